# VadCLIP on XD-Violence: CLIP ViT-B/16 features, the training of https://github.com/nwpu-zxr/VadCLIP.
#   python tools/train.py configs/vadclip_xd.py
#   python tools/test.py configs/vadclip_xd.py model_xd.pth      (their checkpoint)
# The authors tested after every epoch, kept the best by AP (of the text-aligned branch) on the test videos, and began
# every further epoch from it: their 84.51 was chosen by test score. Epochs here go on from their own weights.
_base_ = ['_base_/datasets/xd_violence_features.py', 'default_runtime.py']
crops = 'separate'  # each of the five is a training sample; the public test list names crop 0
max_snippets = 256
resample = 'uniform'
balanced = False
batch_size = 96
rank_by = 'scores'
segment_mode = 'vadclip'
save_best = 'frame/ap'

pretrained = 'openai/clip-vit-base-patch16'  # of the features; its text tower stays frozen
max_epochs = 10
val_interval = 1  # epochs
lr = 1e-5
lr_milestones = [3, 6, 10]  # epochs
weight_decay = 0.01

model = dict(
    type='VadCLIP',
    classes=_base_.classes,
    prompts=dict(
        A='normal',
        B1='fighting',
        B2='shooting',
        B4='riot',
        B5='abuse',
        B6='car accident',
        G='explosion',
    ),
    text=dict(
        type='CLIPTextTransformer',
        width=512,
        layers=12,
        heads=8,
        hidden_act='quick_gelu',
        long_context_length=None,
    ),
    embed_dim=512,
    max_snippets=max_snippets,
    window=64,
    layers=1,
    heads=1,
    prompt_prefix=10,
    prompt_postfix=10,
    separation_weight=1e-4,
    score_branch='aligned',
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
