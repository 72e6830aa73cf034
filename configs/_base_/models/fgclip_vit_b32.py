# FG-CLIP on CLIP ViT-B/32. Other sizes: change the towers in an experiment: model = dict(vision=dict(patch_size=16)).
pretrained = 'openai/clip-vit-base-patch32'  # path or Hugging Face id; None trains from random weights
image_size = 224  # pixels; height and width
chunk_size = 32  # frames encoded at once; the result does not depend on it
with_cp = True  # activation checkpointing: less memory, about a third more compute
compiled = False  # torch.compile on the towers: faster on a GPU
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
    type='FGCLIP',
    data_preprocessor=dict(type='VADDataPreprocessor'),
    vision=dict(
        type='CLIPVisionTransformer',
        image_size=image_size,
        patch_size=32,
        width=768,
        layers=12,
        heads=12,
        chunk_size=chunk_size,
        with_cp=with_cp,
        compiled=compiled,
    ),
    text=dict(
        type='CLIPTextTransformer',
        context_length=77,
        long_context_length=248,
        width=512,
        layers=12,
        heads=8,
        with_cp=with_cp,
        compiled=compiled,
    ),
    embed_dim=512,
    tokenizer=dict(type='CLIPTokenizer'),
    loss_global=dict(type='InfoNCELoss', loss_weight=1.0),
    loss_region=dict(type='InfoNCELoss', loss_weight=0.1),
    loss_hard_negative=dict(type='HardNegativeLoss', loss_weight=0.5) if hard_negatives else None,
    queue=dict(type='NegativeQueue', size=queue_size, warmup='auto'),
    gradient_cache=dict(contrast_batch=contrast_batch, chunk=chunk) if contrast_batch is not None else None,
    score_head=dict(type='PromptScoringHead', classes=classes, score_window=score_window),
    grounding_head=dict(type='GroundingHead', proposals=dict(type='GridProposals')),
    pretrained=pretrained,
)
model_wrapper_cfg = dict(type='MMDistributedDataParallel', broadcast_buffers=False)
