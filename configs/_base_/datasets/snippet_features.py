# Snippet features of any data set. As an exception, other bases inherit from this one: ucf_crime_features.py and the
# others set only what differs.
# Lists are relative to data_root, features to its feature_dir, where files are found by name. So the lists of VadCLIP
# (csv), RTFM, UR-DMU and PEL4VAD can be used as published.
data_root = 'data'
feature_dir = ''  # all of data_root
ann_file = 'train.txt'
test_ann_file = 'test.txt'
temporal_ann_file = 'annotations.txt'  # or a folder of frame masks, which also give the lengths of videos
frames_file = None  # JSON with frame counts of the test videos; None: the length of the masks or the features
video_dir = None  # folder of the test videos, to count frames; then frames_file is not read
# The usual data sets have no validation split, and published methods selected checkpoints on the test split. For a fair
# selection, set your own validation split.
val_ann_file = test_ann_file
val_temporal_ann_file = temporal_ann_file
val_frames_file = frames_file
interval_mode = 'half_open'  # interval convention of temporal lists: half_open, inclusive (RTFM), matlab (Sultani)
label_from = 'auto'  # source of the labels, see vadlab/datasets/formats/feature_labels.py
length_tolerance = 0  # allowed difference between the lengths of features and video, in snippets
classes = ('Normal', 'Anomaly')

snippet_len = 16  # frames
feature_dim = 512
audio_dir = None  # folder of features of sound, NAME__vggish.npy, which are joined to those of pictures
audio_dim = 0  # their channels, 128 for VGGish; the model's feature_dim is the sum of both
audio_missing = 'error'  # videos without sound: 'mask' sets it to zero, and a warning counts them
feature_config = 'vadlab::features_clip_vit_b16.py'  # tools/infer.py extracts features of raw videos by it
crops = 'separate'  # in training: all (one sample), separate (one sample per crop), or the number of a crop
test_crops = 'all'  # scores are averaged over the crops that the list names
max_snippets = 256  # in training; tests take whole videos
resample = 'uniform'  # see vadlab/datasets/transforms/resample_snippets.py
normalize_snippets = False  # scale the resampled snippets to unit length
balanced = True  # each batch is half normal, half abnormal
epoch_length = 'min'  # an epoch has the length of the smaller (min) or the larger (max) class
batch_size = 128  # if balanced: both halves together
num_workers = 4

length_policy = 'truncate'  # if the numbers of scores and frames differ: error, truncate or pad_last
smoothing = None  # smoothing of snippet scores in tests: forward_window(7), fixed_blocks(8)
rank_by = 'logits'  # or 'scores': rank frames and videos by probabilities, as most published code does
ap_mode = 'step'  # or 'trapezoid', as RTFM, UR-DMU and PEL4VAD compute it
segment_mode = None  # vadclip or standard, for methods that predict classes

train_pipeline = [
    dict(type='LoadFeatures'),
    dict(type='ResampleSnippets', max_snippets=max_snippets, mode=resample, normalize=normalize_snippets),
    dict(type='PackSnippetInputs'),
]
test_pipeline = [dict(type='LoadFeatures'), dict(type='PackSnippetInputs')]
features = dict(
    type='SnippetFeatures',
    data_root=data_root,
    feature_dir=feature_dir,
    classes=classes,
    snippet_len=snippet_len,
    feature_dim=feature_dim,
    audio_dir=audio_dir,
    audio_dim=audio_dim,
    audio_missing=audio_missing,
    label_from=label_from,
)
test_features = dict(
    **features,
    video_dir=video_dir,
    interval_mode=interval_mode,
    length_tolerance=length_tolerance,
    crops=test_crops,
    test_mode=True,
    pipeline=test_pipeline,
)

loader = dict(
    num_workers=num_workers,
    persistent_workers=num_workers > 0,
    collate_fn=dict(type='pseudo_collate'),
)
train_dataloader = dict(
    **loader,
    batch_size=batch_size,
    sampler=dict(type='DefaultSampler', shuffle=True),
    dataset=dict(**features, ann_file=ann_file, crops=crops, pipeline=train_pipeline),
)
if balanced:
    train_dataloader.update(batch_sampler=dict(type='BalancedBatchSampler', epoch_length=epoch_length))
val_dataloader = dict(
    **loader,
    batch_size=1,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        **test_features, ann_file=val_ann_file, temporal_ann_file=val_temporal_ann_file, frames_file=val_frames_file
    ),
)
test_dataloader = dict(
    **loader,
    batch_size=1,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(**test_features, ann_file=test_ann_file, temporal_ann_file=temporal_ann_file, frames_file=frames_file),
)

val_evaluator = [
    dict(type='FrameScoreMetric', length_policy=length_policy, ap_mode=ap_mode, smoothing=smoothing, rank_by=rank_by),
    dict(type='VideoScoreMetric', rank_by=rank_by),
]
if segment_mode:
    val_evaluator.append(dict(type='SegmentMetric', mode=segment_mode, length_policy=length_policy))
test_evaluator = val_evaluator
