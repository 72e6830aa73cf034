# HL-Net on UCF-Crime: I3D features of ten crops, pictures alone. The authors published code for XD-Violence only.
#   python tools/train.py configs/hlnet_ucf.py
_base_ = [
    '_base_/models/hlnet.py',
    '_base_/datasets/ucf_crime_features.py',
    '_base_/schedules/hlnet.py',
    'default_runtime.py',
]
feature_dir = 'UCF_I3D'
ann_file = 'UCF_Train.list'
test_ann_file = 'UCF_Test.list'
feature_dim = 1024
max_snippets = 200
resample = 'pick'
crops = 'separate'
balanced = False
batch_size = 128
ap_mode = 'trapezoid'
rank_by = 'scores'

model = dict(feature_dim=feature_dim + _base_.audio_dim)
