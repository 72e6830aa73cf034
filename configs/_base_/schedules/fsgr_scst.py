# Self-critical training. Epochs of the schedule count from the start of the cross-entropy training that gave load_from.
_base_ = ['./fsgr.py']
stage1_epochs = 15  # epochs of cross-entropy
last_epoch = 40
max_epochs = last_epoch - stage1_epochs
lr = 1e-5
lr_milestones = (28, 31, 34)  # epochs after which the rate is a fifth

param_scheduler = [
    dict(
        type='MultiStepLR',
        milestones=[max(epoch - stage1_epochs, 0) for epoch in lr_milestones],
        gamma=0.2,
        by_epoch=True,
    )
]
