# VadCLIP on the synthetic videos' features, which `make demo-features` writes, with the small CLIP's text tower.
#   python tools/train.py configs/vadclip_demo.py
_base_ = ['vadclip_ucf.py']
data_root = 'data/demo_features'
feature_dir = 'features'  # or 'blank': features of blanked frames
ann_file = 'train.txt'
test_ann_file = 'test.txt'
frames_file = 'frames.json'
classes = ('Normal', 'Arson', 'Explosion', 'Fighting', 'RoadAccidents', 'Robbery', 'Vandalism')
pretrained = 'vadlab/simulators/surveillance/weights/clip_synthetic.safetensors'
feature_dim = 64
feature_config = 'vadlab::features_clip_demo.py'
embed_dim = 64
text_width = 64
text_layers = 4
text_heads = 4
text_act = 'gelu'
max_snippets = 32  # the longest video has 25
batch_size = 16
num_workers = 0
lr = 5e-4  # for a small model and a training of one minute
