# Clips of animals, with or without sound: species and behaviour.
# Metadata and prepared clips are in data_root, as written by tools/prepare_wildlife.py:
#   raw/metadata/{train,val,test}.csv, processed/{video_frames/*.pt,mel_spectrograms/*.npy}
data_root = 'data'
ann_file = 'raw/metadata/train.csv'  # classes come from here, for all splits
val_ann_file = 'raw/metadata/val.csv'
test_ann_file = 'raw/metadata/test.csv'
train_metadata = f'{data_root}/{ann_file}'  # source of the classes of the model's heads
heads = ('species', 'behaviour')  # columns of the metadata
multi_label = ()  # heads with several labels per clip; True: all heads
unseen_labels = 'error'  # or 'drop': skip clips with a label that is not in train
source = 'processed'  # or 'videos': decode from video_dir each time
processed_dir = 'processed'
video_dir = 'raw/videos'
audio_statistics = f'{data_root}/{processed_dir}/statistics.json'  # computed from the training clips in the preparation

num_frames = 16  # sampled from each clip
sampling = 'jitter'  # a random frame of each of num_frames slots; dense: neighbouring frames; uniform: the middle ones
test_sampling = 'uniform'
image_size = 224  # pixels; prepared frames must have it
audio_columns = 1024  # maximum length of a spectrogram, 10 ms per column; longer ones are cut
audio_bands = None  # fewer than prepared: crop at a random position
flip_prob = 0.5
color_jitter = 0.2  # of brightness, contrast and saturation
spec_augment = 1.0  # share of clips whose spectrogram is masked
drop_video = 0.0  # share of training clips without video
drop_audio = 0.0  # share of training clips without sound
mix_up = None  # alpha of MixUp, such as 0.2
frame_recipe = None  # for source='videos': options of vadlab/datasets/formats/av_clip_recipe.py
sound_recipe = None  # for source='videos': options of vadlab/datasets/audio/log_mel.py
blank_pixels = False  # control experiment: all pixels are blank

batch_size = 8
num_workers = 4

data_preprocessor = dict(
    type='AudioVisualDataPreprocessor',
    audio_statistics=audio_statistics,
    batch_augment=dict(type='MixUp', alpha=mix_up) if mix_up else None,
)
train_pipeline = [
    dict(type='LoadClip'),
    dict(type='SampleClip', num_frames=num_frames, mode=sampling),
    dict(type='RandomFlip', prob=flip_prob),
    dict(type='ColorJitter', brightness=color_jitter, contrast=color_jitter, saturation=color_jitter),
    dict(type='BlankFrames', enabled=blank_pixels),
    dict(type='TimeFrequencyCrop', columns=audio_columns, bands=audio_bands),
    dict(type='SpecAugment', prob=spec_augment),
    dict(type='PackAudioVisualInputs'),
    dict(type='DropModality', video=drop_video, audio=drop_audio),
]
test_pipeline = [
    dict(type='LoadClip'),
    dict(type='SampleClip', num_frames=num_frames, mode=test_sampling, random_start=False),
    dict(type='BlankFrames', enabled=blank_pixels),
    dict(type='TimeFrequencyCrop', columns=audio_columns, bands=audio_bands, random=False),
    dict(type='PackAudioVisualInputs'),
]
clips = dict(
    type='AudioVisualClips',
    data_root=data_root,
    train_ann_file=ann_file,
    heads=heads,
    multi_label=multi_label,
    unseen_labels=unseen_labels,
    source=source,
    processed_dir=processed_dir,
    video_dir=video_dir,
    image_size=image_size,
    frame_recipe=frame_recipe,
    sound_recipe=sound_recipe,
)

loader = dict(
    batch_size=batch_size,
    num_workers=num_workers,
    persistent_workers=num_workers > 0,
    collate_fn=dict(type='pseudo_collate'),
)
train_dataloader = dict(
    **loader,
    sampler=dict(type='DefaultSampler', shuffle=True),
    dataset=dict(**clips, ann_file=ann_file, split='train', pipeline=train_pipeline),
)
val_dataloader = dict(
    **loader,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(**clips, ann_file=val_ann_file, split='val', test_mode=True, pipeline=test_pipeline),
)
test_dataloader = dict(
    **loader,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(**clips, ann_file=test_ann_file, split='test', test_mode=True, pipeline=test_pipeline),
)

val_evaluator = dict(type='ClassificationMetric', heads=heads)
test_evaluator = val_evaluator
