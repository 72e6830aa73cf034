# VadCLIP on UCF-Crime: CLIP ViT-B/16 features, the training of https://github.com/nwpu-zxr/VadCLIP.
#   python tools/train.py configs/vadclip_ucf.py
#   python tools/test.py configs/vadclip_ucf.py model_ucf.pth      (their checkpoint)
# The authors tested every 10 iterations, kept the best by AUC on the test videos, and began every further epoch from
# it: their 88.02 was chosen by test score. Epochs here go on from their own weights.
_base_ = ['_base_/datasets/ucf_crime_features.py', 'default_runtime.py']
crops = 'separate'  # each of the ten is a training sample; the public test list names crop 5
max_snippets = 256
resample = 'uniform'
batch_size = 128  # 64 normal, 64 abnormal
epoch_length = 'min'
rank_by = 'scores'
segment_mode = 'vadclip'

pretrained = 'openai/clip-vit-base-patch16'  # of the features; its text tower stays frozen
text_width = 512
text_layers = 12
text_heads = 8
text_act = 'quick_gelu'
embed_dim = 512
window = 8
separation_weight = 0.1
max_epochs = 10
val_interval = 1  # epochs
lr = 2e-5
lr_milestones = [4, 8]  # epochs
weight_decay = 0.01

model = dict(
    type='VadCLIP',
    classes=_base_.classes,
    text=dict(
        type='CLIPTextTransformer',
        width=text_width,
        layers=text_layers,
        heads=text_heads,
        hidden_act=text_act,
        long_context_length=None,
    ),
    embed_dim=embed_dim,
    max_snippets=max_snippets,
    window=window,
    layers=2,
    heads=1,
    prompt_prefix=10,
    prompt_postfix=10,
    separation_weight=separation_weight,
    score_branch='binary',
    pretrained=pretrained,
)
optim_wrapper = dict(
    type='OptimWrapper',
    constructor='NamedGroupsConstructor',  # leaves the frozen tower out
    optimizer=dict(type='AdamW', lr=lr, weight_decay=weight_decay, fused=True),
)
param_scheduler = dict(type='MultiStepLR', milestones=lr_milestones, gamma=0.1, by_epoch=True)
train_cfg = dict(by_epoch=True, max_epochs=max_epochs, val_interval=val_interval)
val_cfg = dict()
test_cfg = dict()
