# HL-Net's training: Adam, a tenth of the learning rate from the tenth epoch on, and half of it for the online layers.
max_epochs = 50
val_interval = 1  # epochs
lr = 1e-4
lr_drop = 9  # epochs before the drop

optim_wrapper = dict(
    type='OptimWrapper',
    optimizer=dict(type='Adam', lr=lr, fused=True),
    paramwise_cfg=dict(custom_keys={'causal': dict(lr_mult=0.5), 'online_head': dict(lr_mult=0.5)}),
)
param_scheduler = dict(type='MultiStepLR', milestones=[lr_drop], gamma=0.1, by_epoch=True)
train_cfg = dict(by_epoch=True, max_epochs=max_epochs, val_interval=val_interval)
val_cfg = dict()
test_cfg = dict()
