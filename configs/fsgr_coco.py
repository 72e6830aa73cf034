# FSGR on COCO, cross-entropy; then configs/fsgr_coco_scst.py. See docs/captioning.md.
_base_ = [
    '_base_/models/fsgr_vit_b16.py',
    '_base_/datasets/coco_captions.py',
    '_base_/schedules/fsgr.py',
    'default_runtime.py',
]
save_best = 'caption/cider_d'  # named CIDEr in COCO's evaluation
patience = 5  # stop after this many epochs without improvement ...
min_epochs = 15  # ... but not before this epoch

default_hooks = dict(
    early_stopping=dict(type='EarlyStoppingHook', monitor=save_best, patience=patience, min_epochs=min_epochs)
)
