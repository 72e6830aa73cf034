# fgclip_ucf.py in small: does everything run, and does the loss fall? Ten videos are enough.
_base_ = ['fgclip_ucf.py']
num_frames = 64
batch_size = 2
accumulative_counts = 1
max_epochs = 2
log_interval = 1
