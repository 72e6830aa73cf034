# FG-CLIP on the simulator's videos, from a small CLIP that knows no anomaly. Run by `make demo`.
#   python tools/make_demo_data.py --seed 1 --classes Normal Arson Explosion
#   python tools/train.py configs/fgclip_demo.py
#   python tools/test.py configs/fgclip_demo.py work_dirs/fgclip_demo/epoch_12.pth --show-dir work_dirs/pictures
_base_ = [
    '_base_/models/fgclip_vit_b32.py',
    '_base_/datasets/ucf_crime_regions.py',
    '_base_/schedules/fgclip.py',
    'default_runtime.py',
]
data_root = 'data/demo'
cache_dir = 'data/demo/cache'
val_temporal_ann_file = 'Temporal_Anomaly_Annotation.txt'
pretrained = 'vadlab/simulators/surveillance/weights/clip_everyday.safetensors'
classes = ('Normal', 'Arson', 'Explosion')
num_frames = 2
min_region_frames = 1
test_num_frames = 24
image_size = 96
interpolation = 'area'  # as in pre-training
batch_size = 8
accumulative_counts = 1
num_workers = 1
max_epochs = 12
val_interval = 12  # epochs
lr_vision = 7e-4  # high rates, for a small model and a training of minutes
lr_text = 7e-4
lr_projections = 7e-4
lr_temperatures = 1e-3
amp_dtype = None
with_cp = False
chunk_size = 64
# Cells are compared with events in the words of the regions' captions.
prompts = dict(
    Arson=['a bin on fire', 'a bench burning'],
    Explosion=['an explosion', 'the fire and smoke of an explosion'],
)

model = dict(
    vision=dict(patch_size=8, width=96, layers=3, heads=3, hidden_act='gelu'),
    text=dict(width=64, layers=2, heads=2, hidden_act='gelu'),
    embed_dim=64,
    loss_region=dict(loss_weight=1.0),
    loss_hard_negative=dict(_delete_=True, type='HardNegativeLoss', loss_weight=0.5),
    logit_scale_init=2.6,  # the small CLIP's own value, x13.5; ln 100 is for CLIPs with long training
    score_head=dict(prompts=prompts, templates=('{}',), cells=2, cell_level=0.28, video_reference=0.8),
    grounding_head=dict(
        proposals=dict(sizes=(0.14, 0.18, 0.23, 0.29, 0.37), aspect_ratios=(0.4, 0.7, 1.2), step=0.25),
        area_power=0.05,
    ),
)
