# RTFM on XD-Violence: I3D features (RGB) of five crops, the training of https://github.com/tianyu0207/RTFM.
#   python tools/train.py configs/rtfm_xd.py
#   python tools/train.py configs/rtfm_xd.py --cfg-options audio_dir=vggish-features audio_dim=128    (with sound)
# The authors published neither code nor weights for this data set; their paper reports an AP of 77.81. Their code for
# the other data sets keeps the best of many tests on the test videos.
_base_ = [
    '_base_/models/rtfm.py',
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
batch_size = 64  # 32 normal, 32 abnormal
ap_mode = 'trapezoid'
rank_by = 'scores'
save_best = 'frame/ap'

max_epochs = 50  # 59 iterations each
lr = 1e-4  # as in the paper for this data set
weight_decay = 5e-3  # as in the code; the paper has 5e-4

model = dict(feature_dim=feature_dim + _base_.audio_dim)
