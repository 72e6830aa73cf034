# PEL4VAD's training: Adam with a cosine schedule that ends before the learning rate reaches 0.
max_epochs = 50
val_interval = 1  # epochs
lr = 5e-4
cosine_epochs = 60  # length of the cosine: the learning rate would reach 0 after it

optim_wrapper = dict(type='OptimWrapper', optimizer=dict(type='Adam', lr=lr, fused=True))
param_scheduler = dict(type='CosineAnnealingLR', T_max=cosine_epochs, by_epoch=True)
train_cfg = dict(by_epoch=True, max_epochs=max_epochs, val_interval=val_interval)
val_cfg = dict()
test_cfg = dict()
