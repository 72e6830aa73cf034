# Zero-shot CLIP on the synthetic videos' features, which `make demo-features` writes with the same small CLIP.
#   python tools/test.py configs/zero_shot_clip_demo.py none
_base_ = ['zero_shot_clip_ucf.py']
data_root = 'data/demo_features'
feature_dir = 'features'  # or 'blank': features of blanked frames
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
num_workers = 0
