# PEL4VAD on ShanghaiTech, weakly supervised split: the authors' I3D features of ten crops, the training of
# https://github.com/yujiangpu20/PEL4VAD. Its training list needs a class per video: docs/weakly_supervised.md.
#   python tools/train.py configs/pel4vad_shanghaitech.py
#   python tools/test.py configs/pel4vad_shanghaitech.py SH__98.pkl      (their checkpoint)
# The authors kept the epoch of the best AUC on the test videos: their 98.14 (smoothed) was selected on the test set.
_base_ = [
    '_base_/models/pel4vad.py',
    '_base_/datasets/shanghaitech_features.py',
    '_base_/schedules/pel4vad.py',
    'default_runtime.py',
]
feature_dir = 'SHTech-i3d'
ann_file = 'train_classes.list'
test_ann_file = 'test.list'
feature_dim = 1024
classes = (
    'Normal', 'cycling', 'chasing', 'handcart', 'fighting', 'skateboarding', 'vehicle', 'running', 'jumping',
    'wandering', 'lifting', 'robbery', 'climbing_over', 'throwing',
)  # fmt: skip
max_snippets = 200
resample = 'pick'
crops = 'separate'
balanced = False  # shuffled
batch_size = 128
ap_mode = 'trapezoid'
smoothing = 'forward_window(3)'  # smoothing of snippet scores, part of the published test; None turns it off

# Text features of the classes: the authors' list/sh/sh-prompt.npy. Or your own, from concepts and CLIP weights:
# prompts = 'configs/concepts/shanghaitech.json', clip = 'ViT-B-16.pt'.
prompts = 'data/shanghaitech/sh-prompt.npy'
window = 5
decay = 0.08
offset = 0.1
kernel_size = 3
temperature = 0.2
align_weight = 9.0

model = dict(feature_dim=feature_dim, classes=classes, prompts=prompts, several_classes='mean')
