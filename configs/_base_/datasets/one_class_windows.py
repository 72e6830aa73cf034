# One-class video sets (see vadlab/datasets/one_class_videos.py): training on short windows of frames of normal clips,
# tests on every frame of whole clips.
data_root = 'data/ped2'
layout = 'auto'
labels = 'auto'  # which published frame truth counts, see OneClassVideos
window = 5  # frames
clip_stride = 1  # frames between the starts of two training windows
image_size = 256  # pixels; height and width
batch_size = 4
num_workers = 2

load_pixels = dict(type='DecodeFrames', size=image_size, interpolation='bilinear')
train_pipeline = [dict(type='ProbeVideo'), load_pixels, dict(type='PackOneClassInputs')]
test_pipeline = [dict(type='ProbeVideo'), dict(type='TakeAllFrames'), load_pixels, dict(type='PackOneClassInputs')]
clips = dict(type='OneClassVideos', data_root=data_root, layout=layout, labels=labels)

train_dataloader = dict(
    batch_size=batch_size,
    num_workers=num_workers,
    persistent_workers=num_workers > 0,
    drop_last=True,
    sampler=dict(type='DefaultSampler', shuffle=True),
    collate_fn=dict(type='pseudo_collate'),
    dataset=dict(**clips, split='train', clip_len=window, clip_stride=clip_stride, pipeline=train_pipeline),
)
# These sets have no validation split. The test clips are scored after training, and nothing is chosen by the result:
# the experiments keep no best checkpoint.
val_dataloader = dict(
    batch_size=1,
    num_workers=min(num_workers, 1),
    persistent_workers=num_workers > 0,
    sampler=dict(type='DefaultSampler', shuffle=False),
    collate_fn=dict(type='pseudo_collate'),
    dataset=dict(**clips, split='test', test_mode=True, pipeline=test_pipeline),
)
test_dataloader = val_dataloader

val_evaluator = [dict(type='OneClassMetric')]
test_evaluator = val_evaluator
