# ShanghaiTech's weakly supervised split (Zhong et al., CVPR 2019: 238 training and 199 test videos) as snippet
# features.
_base_ = ['./snippet_features.py']

data_root = 'data/shanghaitech'
feature_dir = ''  # all of data_root: the public features have one folder for training and one for testing
ann_file = 'shanghai-i3d-train-10crop.list'
test_ann_file = 'shanghai-i3d-test-10crop.list'
temporal_ann_file = 'test_frame_mask'  # the data set's folder of frame masks
classes = ('Normal', 'Anomaly')  # from file names: videos with four digits, such as 01_0014, are anomalous

feature_dim = 2048
crops = 'all'
max_snippets = 32
resample = 'segment_mean'
batch_size = 64
