# DSANet's training. The authors have two optimizers: AdamW, and one with update clipping for the normality branch. Here
# they are two parameter groups of one. An experiment sets the schedules of both (param_scheduler).
max_epochs = 10
val_interval = 1  # epochs
lr = 7e-5

optim_wrapper = dict(
    type='OptimWrapper',
    constructor='NamedGroupsConstructor',
    optimizer=dict(type='StableAdamW', lr=lr, weight_decay=0.01, clip_threshold=None),
    paramwise_cfg=dict(
        groups=dict(
            normality=dict(pattern=r'normality\..*', weight_decay=1e-4, amsgrad=True, eps=1e-10, clip_threshold=1.0),
            rest=dict(pattern='.*'),
        )
    ),
)
train_cfg = dict(by_epoch=True, max_epochs=max_epochs, val_interval=val_interval)
val_cfg = dict()
test_cfg = dict()
