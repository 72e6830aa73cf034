# Videos with anomalous intervals, for methods that need no other annotation. Videos are found by name below data_root.
data_root = 'data/ucf_crime'
test_ann_file = ''  # a list or a folder of the test videos; empty: the videos of temporal_ann_file
temporal_ann_file = 'Temporal_Anomaly_Annotation.txt'
interval_mode = 'half_open'  # interval convention of temporal lists: half_open, inclusive (RTFM), matlab (Sultani)
classes = (
    'Normal', 'Abuse', 'Arrest', 'Arson', 'Assault', 'Burglary', 'Explosion', 'Fighting', 'RoadAccidents', 'Robbery',
    'Shooting', 'Shoplifting', 'Stealing', 'Vandalism',
)  # fmt: skip
ap_mode = 'step'  # or 'trapezoid'

test_dataloader = dict(
    batch_size=1,
    num_workers=0,
    sampler=dict(type='DefaultSampler', shuffle=False),
    collate_fn=dict(type='pseudo_collate'),
    dataset=dict(
        type='VideoFiles',
        data_root=data_root,
        ann_file=test_ann_file,
        temporal_ann_file=temporal_ann_file,
        interval_mode=interval_mode,
        classes=classes,
        test_mode=True,
        pipeline=[dict(type='ProbeVideo'), dict(type='PackOneClassInputs')],
    ),
)
test_evaluator = [
    dict(type='FrameScoreMetric', rank_by='scores', ap_mode=ap_mode),
    dict(type='VideoScoreMetric', rank_by='scores'),
    dict(type='AnswerMetric'),
]
test_cfg = dict()
