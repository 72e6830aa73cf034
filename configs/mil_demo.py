# MIL ranking on the synthetic videos' features, which `make demo-features` writes. Half a minute on one core.
#   python tools/train.py configs/mil_demo.py
_base_ = ['mil_ucf.py']
data_root = 'data/demo_features'
feature_dir = 'features'  # or 'blank': features of blanked frames
ann_file = 'train.txt'
test_ann_file = 'test.txt'
frames_file = 'frames.json'
interval_mode = 'half_open'
classes = ('Normal', 'Arson', 'Explosion', 'Fighting', 'RoadAccidents', 'Robbery', 'Vandalism')
feature_dim = 64
feature_config = 'vadlab::features_clip_demo.py'
num_workers = 0
max_epochs = 100  # 3 iterations each
val_interval = 50  # epochs
checkpoint_interval = 50  # epochs
