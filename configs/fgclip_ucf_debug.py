# Small version of fgclip_ucf.py, to check that everything runs and the loss decreases. Ten videos are enough.
_base_ = ['fgclip_ucf.py']
num_frames = 64
batch_size = 2
accumulative_counts = 1
max_epochs = 2
log_interval = 1
