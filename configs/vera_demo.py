# VERA on the synthetic videos of `make demo`, with the small CLIP to compare windows. See docs/vlm.md.
#   python tools/train.py configs/vera_demo.py
_base_ = ['vera_ucf.py']
data_root = 'data/demo'
ann_file = 'Videos'
without = 'Temporal_Anomaly_Annotation.txt'
classes = ('Normal', 'Arson', 'Explosion', 'Fighting', 'RoadAccidents', 'Robbery', 'Vandalism')  # the simulator's
span = 64
max_epochs = 1
tower_weights = 'vadlab/simulators/surveillance/weights/clip_synthetic.safetensors'
tower_image_size = 128
tower_width = 128
tower_layers = 6
tower_heads = 4
tower_text_width = 64
tower_text_layers = 4
tower_text_heads = 4
tower_embed_dim = 64
tower_act = 'gelu'
