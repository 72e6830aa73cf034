# MNAD on UCSD Ped2, small enough for a CPU: frames of 96 pixels, a quarter of the channels, every second window.
_base_ = ['mnad_ped2.py']
image_size = 96
width = 16
clip_stride = 2  # frames
batch_size = 8
max_epochs = 3
val_interval = 3
lr = 1e-3
calibration_windows = 128
