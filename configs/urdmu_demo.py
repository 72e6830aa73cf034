# UR-DMU on the synthetic videos' features, which `make demo-features` writes. About a minute on one core.
#   python tools/train.py configs/urdmu_demo.py
_base_ = ['urdmu_ucf.py']
data_root = 'data/demo_features'
feature_dir = 'features'  # or 'blank': features of blanked frames
ann_file = 'train.txt'
test_ann_file = 'test.txt'
frames_file = 'frames.json'
classes = ('Normal', 'Arson', 'Explosion', 'Fighting', 'RoadAccidents', 'Robbery', 'Vandalism')
feature_dim = 64
feature_config = 'vadlab::features_clip_demo.py'
width = 128
max_snippets = 32  # the videos have 9 to 25
batch_size = 32
num_workers = 0
lr = 2e-4  # for a small model
max_epochs = 20
val_interval = 5  # epochs
