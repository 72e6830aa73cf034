# VERA on UCF-Crime: a vision-language model that learns which questions to ask. See docs/vlm.md.
#   python tools/train.py configs/vera_ucf.py
#   python tools/test.py configs/vera_ucf.py work_dirs/vera_ucf/best_video_auc_epoch_3.pth
_base_ = [
    '_base_/models/vera.py',
    '_base_/datasets/video_files.py',
    '_base_/schedules/fit.py',
    'default_runtime.py',
]
ann_file = 'Anomaly_Train.txt'
without = None  # a list of intervals whose videos are not for training, if ann_file is a folder of all videos
batch_size = 2  # videos whose predictions are criticised together
max_videos = None  # train on at most so many, evenly spread over the list
held_out = 10  # every tenth training video, of both kinds, is for validation
max_epochs = 10
max_answer_tokens = 1024
save_best = 'video/auc'

model = dict(classes=_base_.classes)
train_videos = dict(
    type='VideoFiles',
    data_root=_base_.data_root,
    ann_file=ann_file,
    without=without,
    classes=_base_.classes,
    every=held_out,
    pipeline=[dict(type='ProbeVideo'), dict(type='PackOneClassInputs')],
)
train_dataloader = dict(
    batch_size=batch_size,
    num_workers=0,
    sampler=dict(type='DefaultSampler', shuffle=True),
    collate_fn=dict(type='pseudo_collate'),
    dataset=dict(**train_videos, part='kept', max_videos=max_videos),
)
val_dataloader = dict(
    batch_size=1,
    num_workers=0,
    sampler=dict(type='DefaultSampler', shuffle=False),
    collate_fn=dict(type='pseudo_collate'),
    dataset=dict(**train_videos, part='held_out', test_mode=True),
)
val_evaluator = [dict(type='VideoScoreMetric', rank_by='scores')]
train_cfg = dict(max_epochs=max_epochs)
val_cfg = dict()
custom_hooks = [dict(type='QuestionVersionsHook')]
