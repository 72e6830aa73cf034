# VadCLIP on XD-Violence: CLIP ViT-B/16 features, the training of https://github.com/nwpu-zxr/VadCLIP.
#   python tools/train.py configs/vadclip_xd.py
#   python tools/test.py configs/vadclip_xd.py model_xd.pth      (their checkpoint)
# The authors tested after every epoch, kept the best by AP (of the text-aligned branch) on the test videos, and started
# every epoch from it: their 84.51 was selected on the test set. Here each epoch continues from the previous one.
_base_ = [
    '_base_/models/vadclip.py',
    '_base_/datasets/xd_violence_features.py',
    '_base_/schedules/vadclip.py',
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
lr_milestones = [3, 6, 10]  # epochs
window = 64
layers = 1
separation_weight = 1e-4
score_branch = 'aligned'

model = dict(
    classes=_base_.classes,
    prompts=dict(A='normal', B1='fighting', B2='shooting', B4='riot', B5='abuse', B6='car accident', G='explosion'),
    max_snippets=max_snippets,
)
