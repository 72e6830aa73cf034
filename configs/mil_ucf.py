# MIL ranking (Sultani et al.) on UCF-Crime, the training of https://github.com/WaqasSultani/AnomalyDetectionCVPR2018.
#   python tools/train.py configs/mil_ucf.py
# The authors' features are C3D's (fc6, feature_dim=4096, one crop; 75.41 in the paper). Here: the ten-crop I3D features
# published by RTFM's authors. The authors kept the last of 20,000 iterations.
_base_ = [
    '_base_/models/mil.py',
    '_base_/datasets/ucf_crime_features.py',
    '_base_/schedules/mil.py',
    'default_runtime.py',
]
feature_dir = 'UCF_ten_crop_i3d'
ann_file = 'ucf-i3d.list'
test_ann_file = 'ucf-i3d-test.list'
feature_dim = 2048
crops = 'all'
max_snippets = 32
resample = 'rounded_segment_mean'
batch_size = 60  # 30 normal, 30 abnormal
interval_mode = 'matlab'
rank_by = 'scores'

max_epochs = 770  # 26 iterations each: 20,020
checkpoint_interval = 10  # epochs

model = dict(feature_dim=feature_dim)
