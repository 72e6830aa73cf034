# UR-DMU on XD-Violence: I3D features (RGB) of five crops, the training of https://github.com/henrryzh1/UR-DMU.
#   python tools/train.py configs/urdmu_xd.py
#   python tools/test.py configs/urdmu_xd.py xd_trans_2022.pkl      (their checkpoint)
# The authors tested every 10 iterations and kept the best by AP on the test videos: their 81.66 was chosen by it.
_base_ = ['_base_/datasets/xd_violence_features.py', 'default_runtime.py']
feature_dir = 'i3d-features'
ann_file = 'XD_Train.list'
test_ann_file = 'XD_Test.list'
feature_dim = 1024
max_snippets = 200
resample = 'segment_mean'
crops = 'separate'
balanced = True
batch_size = 128  # 64 normal, 64 abnormal
epoch_length = 'max'  # 160 iterations
ap_mode = 'trapezoid'
rank_by = 'scores'
save_best = 'frame/ap'

max_epochs = 19  # 3,040 iterations; theirs 3,000
val_interval = 1  # epochs
lr = 1e-4
weight_decay = 5e-5

model = dict(
    type='URDMU',
    feature_dim=feature_dim,
    embed_dim=512,
    layers=2,
    heads=4,
    head_dim=128,
    mlp_dim=512,
    memory_slots=60,
    dropout=0.5,
)
optim_wrapper = dict(type='OptimWrapper', optimizer=dict(type='Adam', lr=lr, weight_decay=weight_decay, fused=True))
train_cfg = dict(by_epoch=True, max_epochs=max_epochs, val_interval=val_interval)
val_cfg = dict()
test_cfg = dict()
