# MULDE on the synthetic videos' features, which `make demo-features` writes. It learns from normal videos only.
#   python tools/train.py configs/mulde_demo.py
_base_ = ['mulde_ucf.py']
data_root = 'data/demo_features'
feature_dir = 'features'  # or 'blank': features of blanked frames
ann_file = 'train.txt'
test_ann_file = 'test.txt'
frames_file = 'frames.json'
interval_mode = 'half_open'
classes = ('Normal', 'Arson', 'Explosion', 'Fighting', 'RoadAccidents', 'Robbery', 'Vandalism')
feature_dim = 64
units = (512, 512)
batch_size = 32
num_workers = 0
max_epochs = 100
val_interval = 100  # epochs
