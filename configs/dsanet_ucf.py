# DSANet on UCF-Crime: CLIP ViT-B/16 features (VadCLIP's), the training of https://github.com/lessiYin/DSANet.
#   python tools/train.py configs/dsanet_ucf.py
#   python tools/test.py configs/dsanet_ucf.py model_ucf.pth      (their checkpoint)
# The authors tested every 10 iterations, kept the best by AUC on the test videos and began every further epoch from it:
# their 89.44 was chosen by test score. Epochs here go on from their own weights.
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
decoder_layers = 8
max_epochs = 10
val_interval = 1  # epochs
lr = 7e-5
warmup_steps = 100  # of the normality branch alone

model = dict(
    type='DSANet',
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
    window=8,
    layers=2,
    heads=1,
    adapted_blocks=3,
    adapter_weight=0.1,
    prototypes=16,
    normal_share=0.8,
    decoder_layers=decoder_layers,
    align_weight=1.1,
    class_temperature=5.0,
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
    # Their cosine is as long as the loaders of both classes together, and the run as the shorter one.
    dict(
        type='GroupCosineLR', group='normality', warmup_steps=warmup_steps, min_ratio=0.1, stretch=2.0, by_epoch=False
    ),
    dict(type='GroupCosineLR', group='rest', stairs=max_epochs, by_epoch=False),
]
train_cfg = dict(by_epoch=True, max_epochs=max_epochs, val_interval=val_interval)
val_cfg = dict()
test_cfg = dict()
