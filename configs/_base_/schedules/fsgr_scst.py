# Self-critical training. Epochs of the schedule count from the start of the cross-entropy training that gave load_from.
stage1_epochs = 15  # epochs of cross-entropy
last_epoch = 40
val_interval = 1  # epochs
accumulative_counts = 1
lr = 1e-5
lr_vision = 0.1 * lr
lr_milestones = (28, 31, 34)  # epochs after which the rate is a fifth
clip_grad_norm = None
amp_dtype = 'bfloat16'  # None for float32
amp_on_cpu = False

train_cfg = dict(by_epoch=True, max_epochs=last_epoch - stage1_epochs, val_interval=val_interval)
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
    dict(
        type='MultiStepLR',
        milestones=[max(epoch - stage1_epochs, 0) for epoch in lr_milestones],
        gamma=0.2,
        by_epoch=True,
    )
]
