# MNAD's training: Adam with a cosine schedule to 0.
max_epochs = 60
val_interval = 60  # epochs; tests take as long as an epoch
lr = 2e-4

optim_wrapper = dict(type='OptimWrapper', optimizer=dict(type='Adam', lr=lr, fused=True))
param_scheduler = dict(type='CosineAnnealingLR', T_max=max_epochs, by_epoch=True)
train_cfg = dict(by_epoch=True, max_epochs=max_epochs, val_interval=val_interval)
val_cfg = dict()
test_cfg = dict()
