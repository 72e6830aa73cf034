# RTFM on the synthetic videos' features, which `make demo-features` writes. Half a minute on one core.
#   python tools/train.py configs/rtfm_demo.py
_base_ = ['rtfm_ucf.py']
data_root = 'data/demo_features'
feature_dir = 'features'  # or 'blank': features of blanked frames
ann_file = 'train.txt'
test_ann_file = 'test.txt'
frames_file = 'frames.json'
interval_mode = 'half_open'
classes = ('Normal', 'Arson', 'Explosion', 'Fighting', 'RoadAccidents', 'Robbery', 'Vandalism')
batch_size = 32
feature_dim = 64
feature_config = 'vadlab::features_clip_demo.py'
num_workers = 0
max_epochs = 20  # 6 iterations each
val_interval = 10  # epochs
