# Species and behaviour of clips with sound: VideoMAE, ResNet-18 and MBT, for one GPU.
#   python tools/prepare_wildlife.py METADATA.csv VIDEOS --out data/processed
#   python tools/train.py configs/mbt_wildlife.py
_base_ = [
    '_base_/models/mbt_videomae_resnet18.py',
    '_base_/datasets/wildlife.py',
    '_base_/schedules/wildlife.py',
    'default_runtime.py',
]
batch_size = 8
max_epochs = 50
save_best = 'mean/map'  # mean over heads, on the validation clips
max_keep_ckpts = 1  # keep the latest and the best
