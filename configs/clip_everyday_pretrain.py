# Pre-training of the demo's small CLIP: FG-CLIP's two contrasts on new everyday frames; no event in
# pictures or captions.
#   python tools/train.py configs/clip_everyday_pretrain.py
#   python tools/score_synthetic_clip.py work_dirs/clip_everyday_pretrain/iter_1800.pth
#   python tools/convert_checkpoint.py work_dirs/clip_everyday_pretrain/iter_1800.pth small.safetensors --half
# How the shipped weights were made: vadlab/simulators/surveillance/weights/README.md.
_base_ = ['./default_runtime.py']

seed = 0
steps = 2400  # the shipped weights are those of step 1800
batch_size = 8
pictures = 5600  # distinct frames; repeated in other words
max_regions = 6  # actors of a frame with a region
contrast_batch = None  # replaces batch_size, by gradient cache: memory of one chunk, the same gradients
chunk = 4
num_workers = 0
lr = 1.5e-3
image_size = 96
pretrained = None  # weights to continue from
checkpoint_interval = 600  # iterations
save_best = None
log_interval = 100

# GELU instead of OpenAI's QuickGELU: on a CPU it is one fused kernel; QuickGELU takes a third of a step.
model = dict(
    type='FGCLIP',
    embed_dim=64,
    pretrained=pretrained,
    vision=dict(
        type='CLIPVisionTransformer',
        image_size=image_size,
        patch_size=8,
        width=96,
        layers=3,
        heads=3,
        hidden_act='gelu',
        chunk_size=16,
    ),
    text=dict(type='CLIPTextTransformer', long_context_length=None, width=64, layers=2, heads=2, hidden_act='gelu'),
    loss_region=dict(type='InfoNCELoss', loss_weight=1.0),
    gradient_cache=dict(contrast_batch=contrast_batch, chunk=chunk) if contrast_batch is not None else None,
    data_preprocessor=dict(type='VADDataPreprocessor'),
)
batch_size = batch_size if contrast_batch is None else contrast_batch

# One epoch, in order.
train_dataloader = dict(
    dataset=dict(
        type='SyntheticFrames',
        size=steps * batch_size,
        seed=seed,
        split='train',
        image_size=image_size,
        pictures=pictures,
        max_regions=max_regions,
    ),
    sampler=dict(type='DefaultSampler', shuffle=False),
    batch_size=batch_size,
    num_workers=num_workers,
    persistent_workers=num_workers > 0,
    collate_fn=dict(type='pseudo_collate'),
)
train_cfg = dict(by_epoch=True, max_epochs=1)
default_hooks = dict(checkpoint=dict(by_epoch=False))

optim_wrapper = dict(
    type='OptimWrapper',
    optimizer=dict(type='AdamW', lr=lr, betas=(0.9, 0.98), weight_decay=0.02),
    clip_grad=dict(max_norm=1.0),
)
param_scheduler = dict(type='WarmupCosineLR', warmup_steps=50, by_epoch=False)
