# FG-CLIP 2 in its base size. Other sizes: change the towers in an experiment, as the message of a mismatch lists them.
pretrained = 'qihoo360/fg-clip2-base'  # folder or Hugging Face id; None trains from random weights
chunk_size = 32  # frames encoded at once; the result does not depend on it
with_cp = True  # activation checkpointing: less memory, about a third more compute
contrast_batch = None  # videos of a rank in one contrastive loss, by gradient cache; None: batch_size, without it
chunk = 2  # of these videos, encoded at once: bounds memory, does not change the result
hard_negatives = False  # True if the annotation has hard negatives of regions (short_expr_negs)
queue_size = 128  # past pairs used as negatives
classes = (
    'Normal', 'Abuse', 'Arrest', 'Arson', 'Assault', 'Burglary', 'Explosion', 'Fighting', 'RoadAccidents', 'Robbery',
    'Shooting', 'Shoplifting', 'Stealing', 'Vandalism',
)  # fmt: skip
score_window = 1  # sampled frames averaged per score, odd

model = dict(
    type='FGCLIP2',
    data_preprocessor=dict(type='VADDataPreprocessor', mean=[127.5] * 3, std=[127.5] * 3, pad=True),
    vision=dict(
        type='SigLIP2VisionTransformer',
        patch_size=16,
        num_patches=256,
        width=768,
        layers=12,
        heads=12,
        chunk_size=chunk_size,
        with_cp=with_cp,
    ),
    text=dict(
        type='SigLIP2TextTransformer',
        vocab_size=256000,
        context_length=64,
        long_context_length=196,
        width=768,
        layers=12,
        heads=12,
        pad_id=0,
        with_cp=with_cp,
    ),
    loss_global=dict(type='SigmoidContrastiveLoss', loss_weight=1.0),
    loss_region=dict(type='InfoNCELoss', loss_weight=0.2),
    loss_text=dict(type='TextContrastiveLoss', loss_weight=0.1),
    loss_hard_negative=dict(type='RankedHardNegativeLoss', loss_weight=0.5) if hard_negatives else None,
    queue=dict(type='NegativeQueue', size=queue_size, warmup='auto'),
    gradient_cache=dict(contrast_batch=contrast_batch, chunk=chunk) if contrast_batch is not None else None,
    score_head=dict(type='PromptScoringHead', classes=classes, score_window=score_window),
    grounding_head=dict(type='GroundingHead', proposals=dict(type='GridProposals')),
    pretrained=pretrained,
)
model_wrapper_cfg = dict(type='MMDistributedDataParallel', broadcast_buffers=False)
