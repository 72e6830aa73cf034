# COCO 2014 with captions, with the Karpathy split.
# All paths are relative to data_root. With Karpathy's dataset_coco.json, splits are selected by name. With COCO's own
# caption files, set ann_file to them, splits to None and id_file to the .npy lists of annotation ids, e.g.
#   ann_file = ['annotations/captions_train2014.json', 'annotations/captions_val2014.json']
#   train_splits = val_splits = test_splits = None
#   train_id_file = ['annotations/coco_train_ids.npy', 'annotations/coco_restval_ids.npy']
data_root = 'data/coco'
image_dir = 'images'  # or '.': images may be in subfolders, such as train2014 and val2014, train2017 and val2017
val_image_dir = image_dir
test_image_dir = image_dir
ann_file = 'dataset_coco.json'
val_ann_file = ann_file
test_ann_file = ann_file
train_splits = ('train', 'restval')
val_splits = ('val',)
test_splits = ('test',)
train_id_file = None
val_id_file = None
test_id_file = None
vocab_file = 'data/coco/vocab.json'  # built by python tools/build_vocabulary.py
train_rows = 'pairs'  # or 'images': each with all its captions, for self-critical training
captions_per_image = None  # K: train on images with K captions each, encoded once per image
max_len = 54  # tokens of a caption, start and end included

image_size = 224
crop = True  # crop the centre square, as CLIP does; False resizes the whole image to a square
blank_pixels = False  # control experiment: all images are black
shuffled_images = False  # control experiment: test images are paired with captions of other images
patch_store = None  # folder written by tools/extract_patches.py; training reads it instead of images
batch_size = 50
num_workers = 4

# ---- The rest is the same for all caption data sets. ----
tokenizer = dict(type='WordVocabulary', vocab_file=vocab_file)
image_pipeline = [
    dict(type='LoadImage'),
    dict(type='SquareCrop', enabled=crop),
    dict(type='Resize', size=image_size),
    dict(type='BlankFrames', enabled=blank_pixels),
]
train_images = [dict(type='LoadPatches', store=patch_store, pipeline=image_pipeline)] if patch_store else image_pipeline
words = dict(type='TokenizeWords', tokenizer=tokenizer, max_len=max_len, num_captions=captions_per_image)
word_pipeline = [*train_images, words]
with_words = train_rows == 'pairs' or captions_per_image
train_pipeline = [*(word_pipeline if with_words else train_images), dict(type='PackCaptionInputs')]
test_pipeline = [*image_pipeline, dict(type='PackCaptionInputs')]
captions = dict(type='COCOCaptions', data_root=data_root)

loader = dict(
    batch_size=batch_size,
    num_workers=num_workers,
    persistent_workers=num_workers > 0,
    collate_fn=dict(type='pseudo_collate'),
)
train_dataloader = dict(
    **loader,
    sampler=dict(type='DefaultSampler', shuffle=True),
    dataset=dict(
        **captions,
        image_dir=image_dir,
        ann_file=ann_file,
        splits=train_splits,
        id_file=train_id_file,
        rows='images' if captions_per_image else train_rows,
        pipeline=train_pipeline,
    ),
)
val_dataloader = dict(
    **loader,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        **captions,
        image_dir=val_image_dir,
        ann_file=val_ann_file,
        splits=val_splits,
        id_file=val_id_file,
        rows='images',
        test_mode=True,
        pipeline=test_pipeline,
    ),
)
test_dataloader = dict(
    **loader,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        **captions,
        image_dir=test_image_dir,
        ann_file=test_ann_file,
        splits=test_splits,
        id_file=test_id_file,
        rows='images',
        shuffle_images=shuffled_images,
        test_mode=True,
        pipeline=test_pipeline,
    ),
)

val_evaluator = dict(type='CaptionMetric')
test_evaluator = val_evaluator
