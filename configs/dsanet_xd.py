# DSANet on XD-Violence: CLIP ViT-B/16 features (VadCLIP's), the training of https://github.com/lessiYin/DSANet.
#   python tools/train.py configs/dsanet_xd.py
#   python tools/test.py configs/dsanet_xd.py model_xd.pth      (their checkpoint)
# The authors tested after every epoch, kept the best by AP on the test videos, and started every epoch from it:
# their 86.95 was selected on the test set. Here each epoch continues from the previous one.
_base_ = [
    '_base_/models/dsanet.py',
    '_base_/datasets/xd_violence_features.py',
    '_base_/schedules/dsanet.py',
    'default_runtime.py',
]
crops = 'separate'  # each of the five is a training sample; the public test list has crop 0
max_snippets = 256
resample = 'uniform'
balanced = False
batch_size = 96
rank_by = 'scores'
segment_mode = 'vadclip'
save_best = 'frame/ap'

lr = 1e-5
window = 64
layers = 1
adapted_blocks = 1
adapter_weight = 0.6
align_weight = 5.0
class_temperature = 1.0

model = dict(
    classes=_base_.classes,
    prompts=dict(A='normal', B1='fighting', B2='shooting', B4='riot', B5='abuse', B6='car accident', G='explosion'),
    max_snippets=max_snippets,
)
param_scheduler = [
    dict(type='GroupCosineLR', group='normality', warmup_steps=100, min_ratio=0.1, by_epoch=False),
    dict(type='GroupCosineLR', group='rest', stairs=_base_.max_epochs, by_epoch=False),
]
