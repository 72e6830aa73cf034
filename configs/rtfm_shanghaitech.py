# RTFM on ShanghaiTech's weakly supervised split: I3D features of ten crops, the training of
# https://github.com/tianyu0207/RTFM.
#   python tools/train.py configs/rtfm_shanghaitech.py
#   python tools/test.py configs/rtfm_shanghaitech.py their_checkpoint.pkl
# The authors tested every 5 iterations of at most 15,000 and kept the best by AUC on the test videos: their 97.21 was
# selected on the test set.
_base_ = [
    '_base_/models/rtfm.py',
    '_base_/datasets/shanghaitech_features.py',
    '_base_/schedules/adam.py',
    'default_runtime.py',
]
ann_file = 'shanghai-i3d-train-10crop.list'
test_ann_file = 'shanghai-i3d-test-10crop.list'
feature_dim = 2048
crops = 'all'
max_snippets = 32
resample = 'segment_mean'
batch_size = 64  # 32 normal, 32 abnormal
epoch_length = 'max'
ap_mode = 'trapezoid'
rank_by = 'scores'

max_epochs = 3000  # 5 iterations each: 15,000
val_interval = 20  # epochs
checkpoint_interval = 20  # epochs
lr = 1e-3
weight_decay = 5e-3  # as in the code; the paper has 5e-4

model = dict(feature_dim=feature_dim)
