# DSANet on UCF-Crime: CLIP ViT-B/16 features (VadCLIP's), the training of https://github.com/lessiYin/DSANet.
#   python tools/train.py configs/dsanet_ucf.py
#   python tools/test.py configs/dsanet_ucf.py model_ucf.pth      (their checkpoint)
# The authors tested every 10 iterations, kept the best by AUC on the test videos and started every epoch from it:
# their 89.44 was selected on the test set. Here each epoch continues from the previous one.
_base_ = [
    '_base_/models/dsanet.py',
    '_base_/datasets/ucf_crime_features.py',
    '_base_/schedules/dsanet.py',
    'default_runtime.py',
]
crops = 'separate'  # each of the ten is a training sample; the public test list has crop 5
max_snippets = 256
resample = 'uniform'
batch_size = 128  # 64 normal, 64 abnormal
epoch_length = 'min'
rank_by = 'scores'
segment_mode = 'vadclip'

warmup_steps = 100  # of the normality branch only

model = dict(classes=_base_.classes, max_snippets=max_snippets)
param_scheduler = [
    # In their code, the cosine has the length of both classes' loaders together, but the run that of the shorter one.
    dict(
        type='GroupCosineLR', group='normality', warmup_steps=warmup_steps, min_ratio=0.1, stretch=2.0, by_epoch=False
    ),
    dict(type='GroupCosineLR', group='rest', stairs=_base_.max_epochs, by_epoch=False),
]
