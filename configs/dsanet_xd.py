# DSANet on XD-Violence: CLIP ViT-B/16 features (VadCLIP's), the training of https://github.com/lessiYin/DSANet.
#   python tools/train.py configs/dsanet_xd.py
#   python tools/test.py configs/dsanet_xd.py model_xd.pth      (their checkpoint)
# The authors tested after every epoch, kept the best by AP on the test videos, and began every further epoch from it:
# their 86.95 was chosen by test score. Epochs here go on from their own weights.
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

model = dict(
    type='DSANet',
    classes=_base_.classes,
    prompts=dict(A='normal', B1='fighting', B2='shooting', B4='riot', B5='abuse', B6='car accident', G='explosion'),
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
    adapted_blocks=1,
    adapter_weight=0.6,
    prototypes=16,
    normal_share=0.8,
    decoder_layers=8,
    align_weight=5.0,
    class_temperature=1.0,
    pretrained=pretrained,
)
# Theirs are two optimizers, AdamW and, for the normality branch, one that clips its updates; here two groups of one.
optim_wrapper = dict(
    type='OptimWrapper',
    constructor='NamedGroupsConstructor',
    optimizer=dict(type='StableAdamW', lr=lr, weight_decay=0.01, clip_threshold=None),
    paramwise_cfg=dict(
        groups=dict(
            normality=dict(pattern=r'normality\..*', weight_decay=1e-4, amsgrad=True, eps=1e-10, clip_threshold=1.0),
            rest=dict(pattern='.*'),
        )
    ),
)
param_scheduler = [
    dict(type='GroupCosineLR', group='normality', warmup_steps=100, min_ratio=0.1, by_epoch=False),
    dict(type='GroupCosineLR', group='rest', stairs=max_epochs, by_epoch=False),
]
train_cfg = dict(by_epoch=True, max_epochs=max_epochs, val_interval=val_interval)
val_cfg = dict()
test_cfg = dict()
