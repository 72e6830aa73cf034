# MemAE on UCSD Ped2, small enough for a CPU: frames of 64 pixels, a quarter of the channels, three epochs.
_base_ = ['memae_ped2.py']
image_size = 64
width = 16
num_items = 500
batch_size = 8
max_epochs = 3
val_interval = 3
lr = 1e-3
