# FG-CLIP on UCF-Crime with captions and box tracks: the full experiment, for one GPU.
#   python tools/verify.py configs/fgclip_ucf.py
#   python tools/train.py configs/fgclip_ucf.py
_base_ = [
    '_base_/models/fgclip_vit_b32.py',
    '_base_/datasets/ucf_crime_regions.py',
    '_base_/schedules/fgclip.py',
    'default_runtime.py',
]
num_frames = 256
batch_size = 2
accumulative_counts = 8
max_epochs = 10
