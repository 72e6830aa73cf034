# PEL4VAD on XD-Violence: I3D features (RGB) of five crops, the training of https://github.com/yujiangpu20/PEL4VAD.
#   python tools/train.py configs/pel4vad_xd.py
#   python tools/test.py configs/pel4vad_xd.py xd__8526.pkl      (their checkpoint)
# The authors kept the epoch of the best AP on the test videos: their 85.59 (smoothed) was chosen by test score.
_base_ = ['_base_/datasets/xd_violence_features.py', 'default_runtime.py']
feature_dir = 'xd-i3d'
ann_file = 'train.list'
test_ann_file = 'test.list'
feature_dim = 1024
max_snippets = 200
resample = 'pick'
crops = 'separate'
balanced = False  # shuffled files: half of the training videos are normal anyway
batch_size = 128
ap_mode = 'trapezoid'
save_best = 'frame/ap'
smoothing = 'fixed_blocks(8)'  # of snippet scores, part of the published test; None switches it off

# Text features of the classes: the authors' list/xd/xd-prompt.npy. Or your own, from concepts and CLIP weights:
# prompts = 'configs/concepts/xd_violence.json', prompt_classes = None, clip = 'ViT-B-16.pt'.
prompts = 'data/xd_violence/xd-prompt.npy'
prompt_classes = ('A', 'B5', 'B6', 'G', 'B1', 'B4', 'B2')  # of the file's rows
clip = None
prompt_dim = 512

max_epochs = 50
val_interval = 1  # epochs
lr = 5e-4
cosine_epochs = 60  # the learning rate would reach 0 after these
dropout = 0.1
align_weight = 1.0
train_on_padding = True  # as the authors'; False masks what fills up short videos in training, too

model = dict(
    type='PEL4VAD',
    feature_dim=feature_dim,
    classes=_base_.classes,
    prompts=prompts,
    prompt_classes=prompt_classes,
    clip=clip,
    prompt_dim=prompt_dim,
    window=9,
    decay=0.06,
    offset=0.02,
    norm_context=False,
    kernel_size=3,
    temperature=0.05,
    align_weight=align_weight,
    dropout=dropout,
    train_on_padding=train_on_padding,
)
optim_wrapper = dict(type='OptimWrapper', optimizer=dict(type='Adam', lr=lr, fused=True))
param_scheduler = dict(type='CosineAnnealingLR', T_max=cosine_epochs, by_epoch=True)
train_cfg = dict(by_epoch=True, max_epochs=max_epochs, val_interval=val_interval)
val_cfg = dict()
test_cfg = dict()
