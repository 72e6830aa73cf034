# PEL4VAD on UCF-Crime: I3D features of ten crops (Wu et al.'s), the training of https://github.com/yujiangpu20/PEL4VAD.
#   python tools/train.py configs/pel4vad_ucf.py
#   python tools/test.py configs/pel4vad_ucf.py ucf__8636.pkl      (their checkpoint)
# The authors kept the epoch of the best AUC on the test videos: their 86.76 (smoothed) was chosen by test score.
_base_ = ['_base_/datasets/ucf_crime_features.py', 'default_runtime.py']
feature_dir = 'ucf-i3d'
ann_file = 'train.list'
test_ann_file = 'test.list'
feature_dim = 1024
max_snippets = 200
resample = 'pick'
crops = 'separate'
balanced = False  # shuffled files: half of the training videos are normal anyway
batch_size = 128
ap_mode = 'trapezoid'
smoothing = 'forward_window(7)'  # of snippet scores, part of the published test; None switches it off

# Text features of the classes: the authors' list/ucf/ucf-prompt.npy. Or your own, from concepts and CLIP weights:
# prompts = 'configs/concepts/ucf_crime.json', clip = 'ViT-B-16.pt'.
prompts = 'data/ucf_crime/ucf-prompt.npy'
prompt_classes = None  # classes of the file's rows, where they are not those of the data set
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
    decay=0.6,
    offset=0.2,
    norm_context=True,
    kernel_size=9,
    temperature=0.09,
    align_weight=align_weight,
    dropout=dropout,
    train_on_padding=train_on_padding,
)
optim_wrapper = dict(type='OptimWrapper', optimizer=dict(type='Adam', lr=lr, fused=True))
param_scheduler = dict(type='CosineAnnealingLR', T_max=cosine_epochs, by_epoch=True)
train_cfg = dict(by_epoch=True, max_epochs=max_epochs, val_interval=val_interval)
val_cfg = dict()
test_cfg = dict()
