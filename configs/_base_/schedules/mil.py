# Adagrad with a constant learning rate, as MIL ranking (Sultani et al.) is trained.
max_epochs = 770
val_interval = 10  # epochs
lr = 0.01

optim_wrapper = dict(type='OptimWrapper', optimizer=dict(type='Adagrad', lr=lr, eps=1e-8))
train_cfg = dict(by_epoch=True, max_epochs=max_epochs, val_interval=val_interval)
val_cfg = dict()
test_cfg = dict()
