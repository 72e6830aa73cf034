# FSGR on COCO, self-critical training from the best checkpoint of configs/fsgr_coco.py.
#   python tools/train.py configs/fsgr_coco_scst.py --cfg-options load_from=work_dirs/fsgr_coco/best_....pth
_base_ = [
    '_base_/models/fsgr_vit_b16.py',
    '_base_/datasets/coco_captions.py',
    '_base_/schedules/fsgr_scst.py',
    'default_runtime.py',
]
save_best = 'caption/cider_d'
train_rows = 'images'
pretrained = None  # load_from has all weights
word_init = None
num_captions = 5  # captions per image, from the beam
frequencies_dir = 'work_dirs/document_frequencies'  # cache of the n-gram counts of the training captions

model = dict(
    type='SelfCriticalFSGR',
    captions=dict(
        type='COCOCaptions',
        data_root=_base_.data_root,
        image_dir=_base_.image_dir,
        ann_file=_base_.ann_file,
        splits=_base_.train_splits,
        id_file=_base_.train_id_file,
        rows='images',
        check_images=False,
    ),
    num_captions=num_captions,
    max_words=_base_.max_words,
    cache_dir=frequencies_dir,
)
log_processor = dict(  # mean over all steps since the last log line, as for losses
    custom_cfg=[
        dict(data_src=name, method_name='mean', window_size=_base_.log_interval) for name in ('reward', 'baseline')
    ]
)
