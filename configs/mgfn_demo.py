# MGFN on the synthetic videos' features, which `make demo-features` writes.
#   python tools/train.py configs/mgfn_demo.py
_base_ = ['mgfn_ucf.py']
data_root = 'data/demo_features'
feature_dir = 'features'  # or 'blank': features of blanked frames
ann_file = 'train.txt'
test_ann_file = 'test.txt'
frames_file = 'frames.json'
classes = ('Normal', 'Arson', 'Explosion', 'Fighting', 'RoadAccidents', 'Robbery', 'Vandalism')
feature_dim = 64
feature_config = 'vadlab::features_clip_demo.py'
dims = (64, 64, 128)
batch_size = 32
num_workers = 0
max_epochs = 20  # 6 iterations each
val_interval = 10  # epochs
