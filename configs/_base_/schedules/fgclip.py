# AdamW with one learning rate per part; linear warm-up, then cosine, counted in optimizer steps.
max_epochs = 10
val_interval = 1  # epochs
accumulative_counts = 8
warmup_ratio = 0.1  # share of the optimizer steps
lr_scale = 1.0  # factor of all rates below
lr_vision = 1e-5
lr_text = 5e-6
lr_projections = 1e-6
lr_temperatures = 1e-4
weight_decay = 0.01
clip_grad_norm = 1.0
amp_dtype = 'bfloat16'  # None for float32
amp_on_cpu = False

train_cfg = dict(by_epoch=True, max_epochs=max_epochs, val_interval=val_interval)
val_cfg = dict()
test_cfg = dict()

optim_wrapper = dict(
    type='OptimWrapper',
    constructor='NamedGroupsConstructor',
    # Fused: one pass over the weights instead of a dozen, four times as fast on a CPU.
    optimizer=dict(type='AdamW', lr=lr_scale * lr_vision, weight_decay=weight_decay, fused=True),
    paramwise_cfg=dict(
        groups=dict(
            temperatures=dict(pattern=r'logit_(scale|bias)\w*', lr=lr_scale * lr_temperatures, weight_decay=0.0),
            projections=dict(pattern=r'\w+_projection\..*', lr=lr_scale * lr_projections),
            vision=dict(pattern=r'vision\..*', lr=lr_scale * lr_vision),
            text=dict(pattern=r'text\..*', lr=lr_scale * lr_text),
        )
    ),
    clip_grad=dict(max_norm=clip_grad_norm),
    accumulative_counts=accumulative_counts,
)
if amp_dtype:
    optim_wrapper.update(type='AmpOptimWrapper', dtype=amp_dtype, amp_on_cpu=amp_on_cpu)

param_scheduler = dict(type='WarmupCosineLR', warmup_ratio=warmup_ratio, by_epoch=False)
