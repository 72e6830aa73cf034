# MemAE on UCSD Ped2: the training of https://github.com/donggong1/memae-anomaly-detection, for a GPU.
#   python tools/train.py configs/memae_ped2.py --cfg-options data_root=data/ped2
#   python tools/test.py configs/memae_ped2.py their_checkpoint.pt --cfg-options normalisation=per_clip
_base_ = [
    '_base_/datasets/one_class_windows.py',
    '_base_/schedules/adam.py',
    'default_runtime.py',
]
window = 16  # frames
batch_size = 10
max_epochs = 100
val_interval = 100  # epochs
lr = 1e-4
weight_decay = 0.0
width = 64  # a quarter of the channels of the features
num_items = 2000
normalisation = 'training'  # or 'per_clip', as in the paper: min-max over each test clip
window_stride = 1  # frames between two scored windows of a test
calibration_windows = 128
save_best = None  # nothing is chosen by test clips

model = dict(
    type='MemAE',
    width=width,
    num_items=num_items,
    window=window,
    normalisation=normalisation,
    window_stride=window_stride,
)
default_hooks = dict(calibration=dict(type='CalibrationHook', num_samples=calibration_windows, batch_size=4))
