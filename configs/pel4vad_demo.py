# PEL4VAD on the synthetic videos' features, which `make demo-features` writes. A minute or two on one core.
#   python tools/train.py configs/pel4vad_demo.py
_base_ = ['pel4vad_ucf.py']
data_root = 'data/demo_features'
feature_dir = 'features'  # or 'blank': features of blanked frames
ann_file = 'train.txt'
test_ann_file = 'test.txt'
frames_file = 'frames.json'
classes = ('Normal', 'Arson', 'Explosion', 'Fighting', 'RoadAccidents', 'Robbery', 'Vandalism')
feature_dim = 64
feature_config = 'vadlab::features_clip_demo.py'
prompts = 'configs/concepts/ucf_crime.json'
clip = 'vadlab/simulators/surveillance/weights/clip_synthetic.safetensors'
prompt_dim = 64
smoothing = None  # off: the videos have only a dozen snippets
batch_size = 16
num_workers = 0
max_epochs = 15
cosine_epochs = 15
val_interval = 5  # epochs
