# BN-WVAD on XD-Violence: I3D features (RGB) of five crops, the training of https://github.com/cool-xuan/BN-WVAD.
#   python tools/train.py configs/bnwvad_xd.py
#   python tools/test.py configs/bnwvad_xd.py xd_best.pkl      (their checkpoint)
# The authors tested every 5 iterations and kept the best by AP on the test videos: their 84.93 was selected on the test
# set.
_base_ = [
    '_base_/models/bnwvad.py',
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
save_best = 'frame/ap'

max_epochs = 7  # 1,120 iterations; theirs 1,000
lr = 1e-4
weight_decay = 5e-5

model = dict(feature_dim=feature_dim + _base_.audio_dim)
optim_wrapper = dict(clip_grad=dict(max_norm=1.0))
