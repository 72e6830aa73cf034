# UR-DMU on UCF-Crime: I3D features of ten crops, the training of https://github.com/henrryzh1/UR-DMU.
#   python tools/train.py configs/urdmu_ucf.py
#   python tools/test.py configs/urdmu_ucf.py ucf_trans_2022.pkl      (their checkpoint)
# The authors tested every 10 iterations and kept the best by AUC on the test videos: their 86.97 was selected on the
# test set.
_base_ = [
    '_base_/models/urdmu.py',
    '_base_/datasets/ucf_crime_features.py',
    '_base_/schedules/adam.py',
    'default_runtime.py',
]
feature_dir = 'UCF_I3D'
ann_file = 'UCF_Train.list'
test_ann_file = 'UCF_Test.list'
feature_dim = 1024
max_snippets = 200
resample = 'segment_mean'
crops = 'separate'
batch_size = 128  # 64 normal, 64 abnormal
epoch_length = 'max'  # 126 iterations
ap_mode = 'trapezoid'
rank_by = 'scores'

max_epochs = 24  # 3,024 iterations; theirs 3,000
lr = 1e-4
weight_decay = 5e-5

model = dict(feature_dim=feature_dim)
