# Clips of animals, with or without sound: species and behaviour.
# Metadata and prepared clips lie below data_root, as tools/prepare_wildlife.py leaves them:
#   raw/metadata/{train,val,test}.csv, processed/{video_frames/*.pt,mel_spectrograms/*.npy}
data_root = 'data'
ann_file = 'raw/metadata/train.csv'  # classes come from here, for all splits
val_ann_file = 'raw/metadata/val.csv'
test_ann_file = 'raw/metadata/test.csv'
train_metadata = f'{data_root}/{ann_file}'  # what heads of the model read their classes from
heads = ('species', 'behaviour')  # columns of the metadata
multi_label = ()  # names of the heads that take several labels; True: all
unseen_labels = 'error'  # drop: leave out clips with a label that train lacks
source = 'processed'  # videos: decode each time, from video_dir
processed_dir = 'processed'
video_dir = 'raw/videos'
audio_statistics = f'{data_root}/{processed_dir}/statistics.json'  # made of the training clips by the preparation

num_frames = 16  # sampled of each clip
sampling = 'jitter'  # a random frame of each of num_frames slots; dense: neighbouring frames; uniform: the middle ones
test_sampling = 'uniform'
image_size = 224  # pixels; prepared frames must have it
audio_columns = 1024  # the most of a spectrogram, 10 ms each; longer ones are cut
audio_bands = None  # fewer than were prepared: cut from a random place
flip_prob = 0.5
color_jitter = 0.2  # of brightness, contrast and saturation
spec_augment = 1.0  # share of clips whose spectrogram is masked
drop_video = 0.0  # share of the training clips that are heard only
drop_audio = 0.0  # and of those that are seen only
mix_up = None  # alpha of MixUp, such as 0.2
frame_recipe = None  # of source='videos': options of vadlab/datasets/formats/av_clip_recipe.py
sound_recipe = None  # of source='videos': options of vadlab/datasets/audio/log_mel.py
blank_pixels = False  # control: what is scored if the model sees nothing

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

train_dataloader = dict(
    batch_size=batch_size,
    num_workers=num_workers,
    persistent_workers=num_workers > 0,
    sampler=dict(type='DefaultSampler', shuffle=True),
    collate_fn=dict(type='pseudo_collate'),
    dataset=dict(**clips, ann_file=ann_file, split='train', pipeline=train_pipeline),
)
val_dataloader = dict(
    batch_size=batch_size,
    num_workers=num_workers,
    persistent_workers=num_workers > 0,
    sampler=dict(type='DefaultSampler', shuffle=False),
    collate_fn=dict(type='pseudo_collate'),
    dataset=dict(**clips, ann_file=val_ann_file, split='val', test_mode=True, pipeline=test_pipeline),
)
test_dataloader = dict(
    batch_size=batch_size,
    num_workers=num_workers,
    persistent_workers=num_workers > 0,
    sampler=dict(type='DefaultSampler', shuffle=False),
    collate_fn=dict(type='pseudo_collate'),
    dataset=dict(**clips, ann_file=test_ann_file, split='test', test_mode=True, pipeline=test_pipeline),
)

val_evaluator = dict(type='ClassificationMetric', heads=heads)
test_evaluator = val_evaluator
