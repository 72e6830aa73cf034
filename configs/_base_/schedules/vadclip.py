# VadCLIP's training: AdamW; the learning rate is divided by 10 at milestones.
max_epochs = 10
val_interval = 1  # epochs
lr = 2e-5
lr_milestones = [4, 8]  # epochs
weight_decay = 0.01

optim_wrapper = dict(
    type='OptimWrapper',
    constructor='NamedGroupsConstructor',  # skips the frozen tower
    optimizer=dict(type='AdamW', lr=lr, weight_decay=weight_decay, fused=True),
)
param_scheduler = dict(type='MultiStepLR', milestones=lr_milestones, gamma=0.1, by_epoch=True)
train_cfg = dict(by_epoch=True, max_epochs=max_epochs, val_interval=val_interval)
val_cfg = dict()
test_cfg = dict()
