# RTFM on XD-Violence: I3D features (RGB) of five crops, the training of https://github.com/tianyu0207/RTFM.
#   python tools/train.py configs/rtfm_xd.py
# The authors published neither code nor weights for this data set; their paper reports an AP of 77.81. Their code for
# the others keeps the best of many tests on the test videos.
_base_ = ['_base_/datasets/xd_violence_features.py', 'default_runtime.py']
feature_dir = 'i3d-features'
ann_file = 'XD_Train.list'
test_ann_file = 'XD_Test.list'
feature_dim = 1024
crops = 'all'
max_snippets = 32
resample = 'segment_mean'
balanced = True
batch_size = 64  # 32 normal, 32 abnormal
ap_mode = 'trapezoid'
rank_by = 'scores'
save_best = 'frame/ap'

max_epochs = 50  # of 59 iterations
val_interval = 1  # epochs
lr = 1e-4  # as the paper says for this data set
weight_decay = 5e-3  # the code's; the paper says 5e-4
dropout = 0.7
margin = 100.0  # length of abnormal features; depends on the features' own

model = dict(type='RTFM', feature_dim=feature_dim, dropout=dropout, margin=margin)
optim_wrapper = dict(type='OptimWrapper', optimizer=dict(type='Adam', lr=lr, weight_decay=weight_decay, fused=True))
train_cfg = dict(by_epoch=True, max_epochs=max_epochs, val_interval=val_interval)
val_cfg = dict()
test_cfg = dict()
