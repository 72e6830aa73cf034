# FG-CLIP 2 on the simulator's videos, small and from random weights: a test of the code, not of the method.
#   python tools/make_demo_data.py
#   python tools/train.py configs/fgclip2_demo.py
#   python tools/test.py configs/fgclip2_demo.py work_dirs/fgclip2_demo/epoch_2.pth --show-dir work_dirs/pictures
_base_ = [
    '_base_/models/fgclip2_base.py',
    '_base_/datasets/ucf_crime_regions.py',
    '_base_/schedules/fgclip.py',
    'default_runtime.py',
]
data_root = 'data/demo'
cache_dir = 'data/demo/cache'
val_temporal_ann_file = 'Temporal_Anomaly_Annotation.txt'
pretrained = None
short_tokens = 64
max_tokens = 196
region_tokens = 64
max_patches = 64
interpolation = 'bilinear'
classes = ('Normal', 'Arson', 'Explosion', 'Fighting', 'RoadAccidents', 'Robbery', 'Vandalism')  # the simulator's
num_frames = 16
batch_size = 8
accumulative_counts = 1
num_workers = 1
max_epochs = 2
lr_vision = 1e-3  # from random weights
lr_text = 1e-3
lr_projections = 1e-3
lr_temperatures = 1e-2
amp_dtype = None
with_cp = False

model = dict(
    tokenizer=dict(type='CLIPTokenizer'),  # FG-CLIP 2's own comes with its weights
    vision=dict(num_patches=64, width=64, layers=3, heads=4),
    text=dict(vocab_size=49408, width=64, layers=2, heads=4, pad_id=49407),
)
