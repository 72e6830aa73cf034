# MGFN on UCF-Crime: I3D features of ten crops, with the authors' training.
#   python tools/train.py configs/mgfn_ucf.py
#   python tools/test.py configs/mgfn_ucf.py mgfn_ucf.pkl      (their checkpoint)
# The authors tested after every epoch and kept the best by AUC on the test videos. Their label file marks all frames of
# five classes (RoadAccidents, Shooting, Shoplifting, Stealing, Vandalism) as normal. With the published annotations,
# users measured 83.5 with the authors' checkpoint instead of 86.98 (issues 8, 21 and 27 of that repository).
_base_ = [
    '_base_/models/mgfn.py',
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
batch_size = 32  # 16 normal, 16 abnormal
ap_mode = 'trapezoid'
rank_by = 'scores'

max_epochs = 1000  # 50 iterations each
lr = 1e-3
weight_decay = 5e-4

model = dict(feature_dim=feature_dim)
