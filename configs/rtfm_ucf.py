# RTFM on UCF-Crime: I3D features of ten crops, the training of https://github.com/tianyu0207/RTFM.
#   python tools/train.py configs/rtfm_ucf.py
#   python tools/test.py configs/rtfm_ucf.py their_checkpoint.pkl
# The authors tested every 5 iterations of at most 15,000 and kept the best by AUC on the test videos: their 84.30 was
# selected on the test set. Their paper trains for 50 epochs, as here.
_base_ = [
    '_base_/models/rtfm.py',
    '_base_/datasets/ucf_crime_features.py',
    '_base_/schedules/adam.py',
    'default_runtime.py',
]
feature_dir = 'UCF_ten_crop_i3d'
ann_file = 'ucf-i3d.list'
test_ann_file = 'ucf-i3d-test.list'
feature_dim = 2048
crops = 'all'
max_snippets = 32
resample = 'segment_mean'
batch_size = 64  # 32 normal, 32 abnormal
interval_mode = 'inclusive'
ap_mode = 'trapezoid'
rank_by = 'scores'

max_epochs = 50  # 25 iterations each
lr = 1e-3
weight_decay = 5e-3  # as in the code; the paper has 5e-4

model = dict(feature_dim=feature_dim)
