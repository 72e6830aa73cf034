# ShanghaiTech's weakly supervised split (Zhong et al., CVPR 2019: 238 videos to train with, 199 to test on) as snippet
# features.
_base_ = ['./snippet_features.py']

data_root = 'data/shanghaitech'
feature_dir = ''  # all of data_root, since the public sets come in a folder for training and one for testing
ann_file = 'shanghai-i3d-train-10crop.list'
test_ann_file = 'shanghai-i3d-test-10crop.list'
temporal_ann_file = 'test_frame_mask'  # the data set's folder of frame masks
classes = ('Normal', 'Anomaly')  # names tell no more: campus videos of four digits, 01_0014, are anomalous

feature_dim = 2048
crops = 'all'
max_snippets = 32
resample = 'segment_mean'
batch_size = 64
