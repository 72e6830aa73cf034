# CLIP-TSA on UCF-Crime: the authors' CLIP features of one crop, the training of
# https://github.com/joos2010kj/CLIP-TSA.
#   python tools/train.py configs/cliptsa_ucf.py
#   python tools/test.py configs/cliptsa_ucf.py clip-tsa-4000-i3d.pkl      (a checkpoint of their code)
# The authors tested every 5 iterations and kept the best by AUC on the test videos: their 87.58 was selected on the
# test set. Their tests draw noise. They published no checkpoint.
_base_ = [
    '_base_/models/cliptsa.py',
    '_base_/datasets/ucf_crime_features.py',
    '_base_/schedules/adam.py',
    'default_runtime.py',
]
feature_dir = 'clip-tsa'
ann_file = 'ucf-vit.list'
test_ann_file = 'ucf-vit-test.list'
feature_dim = 512
crops = 'all'
max_snippets = 32
resample = 'segment_mean'
batch_size = 32  # 16 normal, 16 abnormal
ap_mode = 'trapezoid'
rank_by = 'scores'

max_epochs = 80  # 50 iterations each
lr = 1e-3
weight_decay = 5e-3

model = dict(feature_dim=feature_dim)
