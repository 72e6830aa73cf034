# HL-Net on the synthetic videos' features, which `make demo-features` writes.
#   python tools/train.py configs/hlnet_demo.py
_base_ = ['hlnet_ucf.py']
data_root = 'data/demo_features'
feature_dir = 'features'  # or 'blank': features of blanked frames
ann_file = 'train.txt'
test_ann_file = 'test.txt'
frames_file = 'frames.json'
classes = ('Normal', 'Arson', 'Explosion', 'Fighting', 'RoadAccidents', 'Robbery', 'Vandalism')
feature_dim = 64
feature_config = 'vadlab::features_clip_demo.py'
batch_size = 16
num_workers = 0
lr = 1e-3  # for few videos
max_epochs = 20
lr_drop = 15
val_interval = 5  # epochs
