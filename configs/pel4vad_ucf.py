# PEL4VAD on UCF-Crime: I3D features of ten crops (Wu et al.'s), the training of https://github.com/yujiangpu20/PEL4VAD.
#   python tools/train.py configs/pel4vad_ucf.py
#   python tools/test.py configs/pel4vad_ucf.py ucf__8636.pkl      (their checkpoint)
# The authors kept the epoch of the best AUC on the test videos: their 86.76 (smoothed) was selected on the test set.
_base_ = [
    '_base_/models/pel4vad.py',
    '_base_/datasets/ucf_crime_features.py',
    '_base_/schedules/pel4vad.py',
    'default_runtime.py',
]
feature_dir = 'ucf-i3d'
ann_file = 'train.list'
test_ann_file = 'test.list'
feature_dim = 1024
max_snippets = 200
resample = 'pick'
crops = 'separate'
balanced = False  # shuffled; half of the training videos are normal
batch_size = 128
ap_mode = 'trapezoid'
smoothing = 'forward_window(7)'  # smoothing of snippet scores, part of the published test; None turns it off

# Text features of the classes: the authors' list/ucf/ucf-prompt.npy. Or your own, from concepts and CLIP weights:
# prompts = 'configs/concepts/ucf_crime.json', clip = 'ViT-B-16.pt'.
prompts = 'data/ucf_crime/ucf-prompt.npy'

model = dict(feature_dim=feature_dim, classes=_base_.classes, prompts=prompts)
