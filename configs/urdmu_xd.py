# UR-DMU on XD-Violence: I3D features (RGB) of five crops, the training of https://github.com/henrryzh1/UR-DMU.
#   python tools/train.py configs/urdmu_xd.py
#   python tools/train.py configs/urdmu_xd.py --cfg-options audio_dir=vggish-features audio_dim=128    (with sound)
#   python tools/test.py configs/urdmu_xd.py xd_trans_2022.pkl      (their checkpoint)
# The authors tested every 10 iterations and kept the best by AP on the test videos: their 81.66 was selected on the
# test set.
_base_ = [
    '_base_/models/urdmu.py',
    '_base_/datasets/xd_violence_features.py',
    '_base_/schedules/adam.py',
    'default_runtime.py',
]
feature_dir = 'i3d-features'
ann_file = 'XD_Train.list'
test_ann_file = 'XD_Test.list'
feature_dim = 1024
max_snippets = 200
resample = 'segment_mean'
crops = 'separate'
balanced = True
batch_size = 128  # 64 normal, 64 abnormal
epoch_length = 'max'  # 160 iterations
ap_mode = 'trapezoid'
rank_by = 'scores'
save_best = 'frame/ap'

max_epochs = 19  # 3,040 iterations; theirs 3,000
lr = 1e-4
weight_decay = 5e-5

model = dict(feature_dim=feature_dim + _base_.audio_dim)
