# One pass over the training clips, then a fit. Nothing is learnt by gradients, but MMEngine wants an optimizer.
optim_wrapper = dict(type='OptimWrapper', optimizer=dict(type='SGD', lr=0.0))
train_cfg = dict(by_epoch=True, max_epochs=1)
