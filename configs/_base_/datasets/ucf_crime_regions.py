# UCF-Crime with captions and regions. Paths are relative to data_root; videos are found there by file name.
data_root = 'data/ucf_crime'
ann_file = 'train.json'
train_temporal_ann_file = None  # as val_temporal_ann_file; also gives classes that are not in the paths
val_ann_file = 'test.json'  # UCF-Crime has no validation split; for fair checkpoint selection, set your own
val_temporal_ann_file = None  # None: frames with a region are anomalous
test_ann_file = 'test.json'
temporal_ann_file = 'Temporal_Anomaly_Annotation.txt'  # of the test split; None as above
classes = (
    'Normal', 'Abuse', 'Arrest', 'Arson', 'Assault', 'Burglary', 'Explosion', 'Fighting', 'RoadAccidents', 'Robbery',
    'Shooting', 'Shoplifting', 'Stealing', 'Vandalism',
)  # fmt: skip
interval_mode = 'half_open'  # interval convention of temporal lists: half_open, inclusive (RTFM), matlab (Sultani)
caption_type = 'caption'  # of regions; short and long are FG-CLIP's other expressions
max_bad_videos = 0  # maximum number of missing or damaged videos to skip

num_frames = 256  # sampled from each video
test_num_frames = None  # the same in tests; None: num_frames
min_region_frames = 4  # minimum number of them within each region, in training
test_min_region_frames = 0  # more than 0 lets the ground truth influence which frames are scored
min_box_area = 0.005  # share of the frame; smaller boxes are dropped
image_size = 224  # pixels; height and width
max_patches = None  # a number keeps the aspect ratio instead: at most so many patches of 16 x 16 pixels (FG-CLIP 2)
interpolation = 'bicubic'  # of frames: bilinear, bicubic, area
tokenizer_path = None  # folder or Hugging Face id with a tokenizer.json (FG-CLIP 2); None for CLIP's tokenizer
short_tokens = 77  # tokens of captions on the short path, for the log
max_tokens = 248  # longer captions are cut
region_tokens = None  # longer captions of regions are cut; None: max_tokens
flip_prob = 0.5
color_jitter = 0.2  # of brightness, contrast and saturation
backend = 'auto'  # video reader: auto, pyav, opencv, decord
blank_pixels = False  # control experiment: all pixels are blank

cache_dir = None  # folder for decoded frames, so that later epochs need no decoding
cache_format = 'jpeg'  # quality 95; raw is exact and nine times larger
cache_gb = 50.0
cache_candidates = 4  # with a cache, training draws from this many frames per slot

batch_size = 2
contrast_batch = None  # replaces batch_size in training, for models with a gradient cache
num_workers = 4

cache = dict(dir=cache_dir, format=cache_format, max_gb=cache_gb) if cache_dir else None
decode = dict(
    type='DecodeFrames',
    size=None if max_patches else image_size,
    max_patches=max_patches,
    interpolation=interpolation,
    backend=backend,
    cache=cache,
)
tokenize = dict(
    type='TokenizeCaptions',
    tokenizer=dict(type='HuggingFaceTokenizer', path=tokenizer_path) if tokenizer_path else dict(type='CLIPTokenizer'),
    max_len=max_tokens,
    short_len=short_tokens,
    region_len=region_tokens,
)
train_pipeline = [
    dict(type='ProbeVideo'),
    dict(
        type='SampleFrames',
        num_frames=num_frames,
        mode='jitter',
        min_region_frames=min_region_frames,
        candidates=cache_candidates if cache_dir else None,
    ),
    decode,
    dict(type='RegionsToBoxes', min_box_area=min_box_area),
    dict(type='RandomFlip', prob=flip_prob),
    dict(type='ColorJitter', brightness=color_jitter, contrast=color_jitter, saturation=color_jitter),
    dict(type='BlankFrames', enabled=blank_pixels),
    tokenize,
    dict(type='PackVADInputs'),
]
test_pipeline = [
    dict(type='ProbeVideo'),
    dict(
        type='SampleFrames',
        num_frames=test_num_frames or num_frames,
        mode='uniform',
        min_region_frames=test_min_region_frames,
    ),
    decode,
    dict(type='RegionsToBoxes', min_box_area=min_box_area),
    dict(type='BlankFrames', enabled=blank_pixels),
    tokenize,
    dict(type='PackVADInputs'),
]

videos = dict(
    type='UCFCrimeRegions',
    data_root=data_root,
    classes=classes,
    interval_mode=interval_mode,
    caption_type=caption_type,
    max_bad_videos=max_bad_videos,
)
loader = dict(
    num_workers=num_workers,
    persistent_workers=num_workers > 0,
    collate_fn=dict(type='pseudo_collate'),
)
train_dataloader = dict(
    **loader,
    batch_size=batch_size if contrast_batch is None else contrast_batch,
    sampler=dict(type='DefaultSampler', shuffle=True),
    dataset=dict(**videos, ann_file=ann_file, temporal_ann_file=train_temporal_ann_file, pipeline=train_pipeline),
)
val_dataloader = dict(
    **loader,
    batch_size=1,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        **videos, ann_file=val_ann_file, temporal_ann_file=val_temporal_ann_file, test_mode=True, pipeline=test_pipeline
    ),
)
test_dataloader = dict(
    **loader,
    batch_size=1,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        **videos, ann_file=test_ann_file, temporal_ann_file=temporal_ann_file, test_mode=True, pipeline=test_pipeline
    ),
)

val_evaluator = [
    dict(type='FrameScoreMetric'),
    dict(type='VideoScoreMetric'),
    dict(type='RetrievalMetric'),
    dict(type='GroundingMetric'),
    dict(type='SpaceMetric', items=['miou', 'tiou']),
]
test_evaluator = val_evaluator
