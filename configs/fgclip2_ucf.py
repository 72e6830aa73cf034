# FG-CLIP 2 on UCF-Crime with captions in English or Chinese and box tracks: the full experiment, for one GPU.
#   python tools/verify.py configs/fgclip2_ucf.py
#   python tools/train.py configs/fgclip2_ucf.py
_base_ = [
    '_base_/models/fgclip2_base.py',
    '_base_/datasets/ucf_crime_regions.py',
    '_base_/schedules/fgclip.py',
    'default_runtime.py',
]
pretrained = 'qihoo360/fg-clip2-base'
tokenizer_path = pretrained
short_tokens = 64
max_tokens = 196
region_tokens = 64
max_patches = 256
interpolation = 'bilinear'  # as the authors resize
num_frames = 256
batch_size = 2
accumulative_counts = 8
max_epochs = 10
# The authors' second stage has one rate for all weights.
lr_vision = 1e-6
lr_text = 1e-6
lr_projections = 1e-6
weight_decay = 0.001

model = dict(
    tokenizer=dict(type='HuggingFaceTokenizer', path=tokenizer_path) if tokenizer_path else dict(type='CLIPTokenizer')
)
optim_wrapper = dict(optimizer=dict(betas=(0.9, 0.98), eps=1e-6))
