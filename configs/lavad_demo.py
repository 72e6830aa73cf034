# LAVAD on the synthetic videos of `make demo`, with the small CLIP to compare frames and captions. See docs/vlm.md.
#   python tools/test.py configs/lavad_demo.py none --dry-run
_base_ = ['lavad_ucf.py']
data_root = 'data/demo'
classes = ('Normal', 'Arson', 'Explosion', 'Fighting', 'RoadAccidents', 'Robbery', 'Vandalism')  # the simulator's
span = 64
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
