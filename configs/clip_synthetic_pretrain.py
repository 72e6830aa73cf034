# Pre-training of the demo's small CLIP: image-text contrast on an endless stream of new frames from the simulator.
#   python tools/train.py configs/clip_synthetic_pretrain.py
#   python tools/score_synthetic_clip.py work_dirs/clip_synthetic_pretrain/iter_6000.pth
#   python tools/convert_checkpoint.py work_dirs/clip_synthetic_pretrain/iter_6000.pth small.safetensors --half
# How the shipped weights were made: vadlab/simulators/surveillance/weights/README.md.
_base_ = ['./default_runtime.py']

seed = 0
steps = 6000
batch_size = 64  # a multiple of 32: eight scenes with four images each cover all classes
contrast_batch = None  # replaces batch_size, by gradient cache: memory of one chunk, the same gradients
chunk = 16
num_workers = 1
lr = 1e-3
image_size = 128
pretrained = None  # weights to continue from
checkpoint_interval = 250  # iterations
save_best = None
log_interval = 25

# GELU instead of OpenAI's QuickGELU: on a CPU it is one fused kernel; QuickGELU takes a third of a step.
model = dict(
    type='CLIP',
    embed_dim=64,
    pretrained=pretrained,
    vision=dict(
        type='CLIPVisionTransformer',
        image_size=image_size,
        patch_size=16,
        width=128,
        layers=6,
        heads=4,
        hidden_act='gelu',
        chunk_size=16,
    ),
    text=dict(type='CLIPTextTransformer', long_context_length=None, width=64, layers=4, heads=4, hidden_act='gelu'),
    gradient_cache=dict(contrast_batch=contrast_batch, chunk=chunk) if contrast_batch is not None else None,
    data_preprocessor=dict(type='VADDataPreprocessor'),
)
batch_size = batch_size if contrast_batch is None else contrast_batch

# One epoch, in order: each image is used once, and four consecutive images are from one scene.
train_dataloader = dict(
    dataset=dict(type='SyntheticFrames', size=steps * batch_size, seed=seed, split='train', image_size=image_size),
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
param_scheduler = dict(type='WarmupCosineLR', warmup_steps=100, by_epoch=False)
