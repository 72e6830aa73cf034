# MIL ranking (Sultani et al.) on XD-Violence: I3D features (RGB) of five crops; settings as on UCF-Crime, since the
# authors did not have this data set.
#   python tools/train.py configs/mil_xd.py
_base_ = ['_base_/datasets/xd_violence_features.py', 'default_runtime.py']
feature_dir = 'i3d-features'
ann_file = 'XD_Train.list'
test_ann_file = 'XD_Test.list'
feature_dim = 1024
crops = 'all'
max_snippets = 32
resample = 'rounded_segment_mean'
balanced = True
batch_size = 60  # 30 normal, 30 abnormal
rank_by = 'scores'
save_best = 'frame/ap'

max_epochs = 320  # of 63 iterations: 20,160
val_interval = 10  # epochs
checkpoint_interval = 10  # epochs
lr = 0.01
weight_l2 = 1e-3
dropout = 0.6

model = dict(type='MILRanking', feature_dim=feature_dim, dropout=dropout, weight_l2=weight_l2)
optim_wrapper = dict(type='OptimWrapper', optimizer=dict(type='Adagrad', lr=lr, eps=1e-8))
train_cfg = dict(by_epoch=True, max_epochs=max_epochs, val_interval=val_interval)
val_cfg = dict()
test_cfg = dict()
