# CLIP-TSA on XD-Violence: the authors' CLIP features of one crop, the training of https://github.com/joos2010kj/CLIP-TSA.
#   python tools/train.py configs/cliptsa_xd.py
# The authors tested every 5 iterations and kept the best by AP on the test videos: their 82.19 was selected on the test
# set.
_base_ = [
    '_base_/models/cliptsa.py',
    '_base_/datasets/xd_violence_features.py',
    '_base_/schedules/adam.py',
    'default_runtime.py',
]
feature_dir = 'clip-tsa'
ann_file = 'xd-vit-train.list'
test_ann_file = 'xd-vit-test.list'
feature_dim = 512
crops = 'all'
max_snippets = 32
resample = 'segment_mean'
balanced = True
batch_size = 32  # 16 normal, 16 abnormal
ap_mode = 'trapezoid'
rank_by = 'scores'
save_best = 'frame/ap'
keep = 0.9

max_epochs = 34  # 119 iterations each: 4,046; theirs 4,000
lr = 1e-3
weight_decay = 5e-3

model = dict(feature_dim=feature_dim + _base_.audio_dim)
