# Clips for one-class detection: training clips are normal. The folder is read as people have it, see docs/oneclass.md.
data_root = 'data/ped2'
layout = 'auto'  # ucsd, frames, avenue, shanghaitech, ubnormal, folder
labels = 'auto'  # which truth counts: frame_masks, masks, tracks, intervals, joined; optional; none
min_region_area = 1  # pixels; smaller components of the pixel masks are no regions
num_workers = 0

train_dataloader = dict(
    batch_size=1,
    num_workers=num_workers,
    sampler=dict(type='DefaultSampler', shuffle=False),
    collate_fn=dict(type='pseudo_collate'),
    dataset=dict(
        type='OneClassVideos',
        data_root=data_root,
        split='train',
        layout=layout,
        pipeline=[dict(type='ProbeVideo'), dict(type='PackOneClassInputs')],
    ),
)
test_dataloader = dict(
    batch_size=1,
    num_workers=num_workers,
    sampler=dict(type='DefaultSampler', shuffle=False),
    collate_fn=dict(type='pseudo_collate'),
    dataset=dict(
        type='OneClassVideos',
        data_root=data_root,
        split='test',
        layout=layout,
        labels=labels,
        test_mode=True,
        pipeline=[
            dict(type='ProbeVideo'),
            dict(type='LoadPixelTruth', min_area=min_region_area),
            dict(type='PackOneClassInputs'),
        ],
    ),
)
