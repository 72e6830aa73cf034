# BN-WVAD on UCF-Crime: I3D features of ten crops, with the settings for XD-Violence of
# https://github.com/cool-xuan/BN-WVAD. The authors published no code for UCF-Crime. The paper has an AUC of 87.24; a
# user who trained it (issue 7 of that repository) reports 82 to 84.8.
#   python tools/train.py configs/bnwvad_ucf.py
_base_ = [
    '_base_/models/bnwvad.py',
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

max_epochs = 8  # 1,008 iterations; 1,000 for XD-Violence
lr = 1e-4
weight_decay = 5e-5

model = dict(feature_dim=feature_dim)
optim_wrapper = dict(clip_grad=dict(max_norm=1.0))
