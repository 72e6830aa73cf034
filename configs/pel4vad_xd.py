# PEL4VAD on XD-Violence: I3D features (RGB) of five crops, the training of https://github.com/yujiangpu20/PEL4VAD.
#   python tools/train.py configs/pel4vad_xd.py
#   python tools/test.py configs/pel4vad_xd.py xd__8526.pkl      (their checkpoint)
# The authors kept the epoch of the best AP on the test videos: their 85.59 (smoothed) was selected on the test set.
_base_ = [
    '_base_/models/pel4vad.py',
    '_base_/datasets/xd_violence_features.py',
    '_base_/schedules/pel4vad.py',
    'default_runtime.py',
]
feature_dir = 'xd-i3d'
ann_file = 'train.list'
test_ann_file = 'test.list'
feature_dim = 1024
max_snippets = 200
resample = 'pick'
crops = 'separate'
balanced = False  # shuffled; half of the training videos are normal
batch_size = 128
ap_mode = 'trapezoid'
save_best = 'frame/ap'
smoothing = 'fixed_blocks(8)'  # smoothing of snippet scores, part of the published test; None turns it off

# Text features of the classes: the authors' list/xd/xd-prompt.npy. Or your own, from concepts and CLIP weights:
# prompts = 'configs/concepts/xd_violence.json', prompt_classes = None, clip = 'ViT-B-16.pt'.
prompts = 'data/xd_violence/xd-prompt.npy'
prompt_classes = ('A', 'B5', 'B6', 'G', 'B1', 'B4', 'B2')  # classes of the file's rows
decay = 0.06
offset = 0.02
norm_context = False
kernel_size = 3
temperature = 0.05

model = dict(feature_dim=feature_dim, classes=_base_.classes, prompts=prompts)
