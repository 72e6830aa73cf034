# MIL ranking (Sultani et al.) on XD-Violence: I3D features (RGB) of five crops; settings as on UCF-Crime, since the
# authors did not have this data set.
#   python tools/train.py configs/mil_xd.py
_base_ = [
    '_base_/models/mil.py',
    '_base_/datasets/xd_violence_features.py',
    '_base_/schedules/mil.py',
    'default_runtime.py',
]
feature_dir = 'i3d-features'
ann_file = 'XD_Train.list'
test_ann_file = 'XD_Test.list'
feature_dim = 1024
crops = 'all'
max_snippets = 32
resample = 'rounded_segment_mean'
balanced = True
batch_size = 60  # 30 normal, 30 abnormal
rank_by = 'scores'
save_best = 'frame/ap'

max_epochs = 320  # 63 iterations each: 20,160
checkpoint_interval = 10  # epochs

model = dict(feature_dim=feature_dim)
