# MNAD on UCSD Ped2, small enough for a CPU: frames of 128 pixels, a quarter of the channels, three epochs.
_base_ = ['mnad_ped2.py']
image_size = 128
width = 16
batch_size = 8
max_epochs = 3
val_interval = 3
lr = 1e-3
calibration_windows = 128
