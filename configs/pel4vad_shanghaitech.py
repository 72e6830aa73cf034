# PEL4VAD on ShanghaiTech, weakly supervised split: the authors' I3D features of ten crops, the training of
# https://github.com/yujiangpu20/PEL4VAD. Its training list needs a class for each video: docs/weakly_supervised.md.
#   python tools/train.py configs/pel4vad_shanghaitech.py
#   python tools/test.py configs/pel4vad_shanghaitech.py SH__98.pkl      (their checkpoint)
# The authors kept the epoch of the best AUC on the test videos: their 98.14 (smoothed) was chosen by test score.
_base_ = ['_base_/datasets/shanghaitech_features.py', 'default_runtime.py']
feature_dir = 'SHTech-i3d'
ann_file = 'train_classes.list'
test_ann_file = 'test.list'
feature_dim = 1024
classes = (
    'Normal', 'cycling', 'chasing', 'handcart', 'fighting', 'skateboarding', 'vehicle', 'running', 'jumping',
    'wandering', 'lifting', 'robbery', 'climbing_over', 'throwing',
)  # fmt: skip
max_snippets = 200
resample = 'pick'
crops = 'separate'
balanced = False  # shuffled files
batch_size = 128
ap_mode = 'trapezoid'
smoothing = 'forward_window(3)'  # of snippet scores, part of the published test; None switches it off

# Text features of the classes: the authors' list/sh/sh-prompt.npy. Or your own, from concepts and CLIP weights:
# prompts = 'configs/concepts/shanghaitech.json', clip = 'ViT-B-16.pt'.
prompts = 'data/shanghaitech/sh-prompt.npy'
prompt_classes = None  # classes of the file's rows, where they are not those of the data set
clip = None
prompt_dim = 512

max_epochs = 50
val_interval = 1  # epochs
lr = 5e-4
cosine_epochs = 60  # the learning rate would reach 0 after these
dropout = 0.1
align_weight = 9.0
train_on_padding = True  # as the authors'; False masks what fills up short videos in training, too

model = dict(
    type='PEL4VAD',
    feature_dim=feature_dim,
    classes=classes,
    prompts=prompts,
    prompt_classes=prompt_classes,
    clip=clip,
    prompt_dim=prompt_dim,
    several_classes='mean',
    window=5,
    decay=0.08,
    offset=0.1,
    norm_context=True,
    kernel_size=3,
    temperature=0.2,
    align_weight=align_weight,
    dropout=dropout,
    train_on_padding=train_on_padding,
)
optim_wrapper = dict(type='OptimWrapper', optimizer=dict(type='Adam', lr=lr, fused=True))
param_scheduler = dict(type='CosineAnnealingLR', T_max=cosine_epochs, by_epoch=True)
train_cfg = dict(by_epoch=True, max_epochs=max_epochs, val_interval=val_interval)
val_cfg = dict()
test_cfg = dict()
