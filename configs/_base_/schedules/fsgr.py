# Cross-entropy: Adam, learning rate by epoch, a tenth of it for the backbone.
max_epochs = 40
val_interval = 1  # epochs
accumulative_counts = 1
lr = 2e-4
lr_vision = 0.1 * lr
warmup_epochs = 4  # with 1/4, 2/4, 3/4, 4/4 of the rate
lr_milestones = (6, 12)  # epochs after which the rate is a fifth
clip_grad_norm = None
amp_dtype = 'bfloat16'  # None for float32
amp_on_cpu = False

train_cfg = dict(by_epoch=True, max_epochs=max_epochs, val_interval=val_interval)
val_cfg = dict()
test_cfg = dict()

optim_wrapper = dict(
    type='OptimWrapper',
    constructor='NamedGroupsConstructor',
    optimizer=dict(type='Adam', lr=lr, betas=(0.9, 0.98), fused=True),
    paramwise_cfg=dict(
        groups=dict(
            vision=dict(pattern=r'vision\..*', lr=lr_vision),
            captioner=dict(pattern=r'.*', lr=lr),
        )
    ),
    clip_grad=dict(max_norm=clip_grad_norm) if clip_grad_norm else None,
    accumulative_counts=accumulative_counts,
)
if amp_dtype:
    optim_wrapper.update(type='AmpOptimWrapper', dtype=amp_dtype, amp_on_cpu=amp_on_cpu)

param_scheduler = [
    dict(type='LinearLR', start_factor=1 / warmup_epochs, end=warmup_epochs, by_epoch=True),
    dict(type='MultiStepLR', milestones=lr_milestones, gamma=0.2, by_epoch=True),
]
