# AdamW with one rate for all; linear warm-up, then cosine, counted in optimizer steps.
max_epochs = 50
val_interval = 1  # epochs
accumulative_counts = 1
lr = 1e-4
weight_decay = 1e-5
warmup_ratio = 0.05  # share of the optimizer steps
clip_grad_norm = 1.0
amp_dtype = 'bfloat16'  # None for float32
amp_on_cpu = False

train_cfg = dict(by_epoch=True, max_epochs=max_epochs, val_interval=val_interval)
val_cfg = dict()
test_cfg = dict()

optim_wrapper = dict(
    type='OptimWrapper',
    optimizer=dict(type='AdamW', lr=lr, weight_decay=weight_decay, fused=True),
    clip_grad=dict(max_norm=clip_grad_norm),
    accumulative_counts=accumulative_counts,
)
if amp_dtype:
    optim_wrapper.update(type='AmpOptimWrapper', dtype=amp_dtype, amp_on_cpu=amp_on_cpu)

param_scheduler = dict(type='WarmupCosineLR', warmup_ratio=warmup_ratio, by_epoch=False)
