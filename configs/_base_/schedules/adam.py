# Adam with a constant learning rate, as RTFM and UR-DMU are trained.
max_epochs = 50
val_interval = 1  # epochs
lr = 1e-3
weight_decay = 5e-3

optim_wrapper = dict(type='OptimWrapper', optimizer=dict(type='Adam', lr=lr, weight_decay=weight_decay, fused=True))
train_cfg = dict(by_epoch=True, max_epochs=max_epochs, val_interval=val_interval)
val_cfg = dict()
test_cfg = dict()
