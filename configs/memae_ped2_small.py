# MemAE on UCSD Ped2, small enough for a CPU: frames of 64 pixels, a quarter of the channels, every fourth window.
_base_ = ['memae_ped2.py']
image_size = 64
width = 16
num_items = 500
clip_stride = 4  # frames
batch_size = 8
max_epochs = 12
val_interval = 12
lr = 1e-3
