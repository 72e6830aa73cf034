# MGFN on XD-Violence: I3D features (RGB) of five crops, with the authors' settings for UCF-Crime. Their code has
# 2,048 channels and ten crops as constants, and cannot train on this data set. Their paper reports an AP of 79.19.
#   python tools/train.py configs/mgfn_xd.py
_base_ = [
    '_base_/models/mgfn.py',
    '_base_/datasets/xd_violence_features.py',
    '_base_/schedules/adam.py',
    'default_runtime.py',
]
feature_dir = 'i3d-features'
ann_file = 'XD_Train.list'
test_ann_file = 'XD_Test.list'
feature_dim = 1024
crops = 'all'
max_snippets = 32
resample = 'segment_mean'
balanced = True
batch_size = 32  # 16 normal, 16 abnormal
ap_mode = 'trapezoid'
rank_by = 'scores'
save_best = 'frame/ap'

max_epochs = 400  # 119 iterations each
lr = 1e-3
weight_decay = 5e-4

model = dict(feature_dim=feature_dim + _base_.audio_dim)
