# FG-CLIP's scores without training on videos, by a small CLIP that has read the simulator's words for the events.
#   python tools/infer.py configs/fgclip_demo_zero_shot.py none VIDEO
_base_ = [
    '_base_/models/fgclip_vit_b32.py',
    '_base_/datasets/ucf_crime_regions.py',
    '_base_/schedules/fgclip.py',
    'default_runtime.py',
]
data_root = 'data/demo'
cache_dir = 'data/demo/cache'
val_temporal_ann_file = 'Temporal_Anomaly_Annotation.txt'
pretrained = 'vadlab/simulators/surveillance/weights/clip_synthetic.safetensors'
classes = ('Normal', 'Arson', 'Explosion', 'Fighting', 'RoadAccidents', 'Robbery', 'Vandalism')  # the simulator's
num_frames = 32
image_size = 128
batch_size = 8
accumulative_counts = 1
num_workers = 1
max_epochs = 6
lr_scale = 10.0  # for a small model and a training of minutes
lr_projections = 5e-5  # high, because the small CLIP was not trained on regions
amp_dtype = None
with_cp = False

model = dict(
    vision=dict(patch_size=16, width=128, layers=6, heads=4, hidden_act='gelu'),
    text=dict(width=64, layers=4, heads=4, hidden_act='gelu'),
    embed_dim=64,
    loss_region=dict(loss_weight=1.0),  # as above; whole videos need little further training
    logit_scale_init=2.6,  # the small CLIP's own value, x13.5; ln 100 is for CLIPs with long training
)
