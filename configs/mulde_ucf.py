# MULDE on UCF-Crime: the log-density of CLIP features, trained on the normal training videos only.
#   python tools/train.py configs/mulde_ucf.py
# The network, the noise and the optimizer are those of the authors' code; their features (Hiera-L) are not published.
_base_ = [
    '_base_/datasets/ucf_crime_features.py',
    '_base_/schedules/adam.py',
    'default_runtime.py',
]
max_snippets = 64  # per video and epoch
resample = 'jitter'  # single snippets at random places, not means
batch_size = 64  # videos; the loss uses the 32 normal ones
epoch_length = 'max'
units = (4096, 4096)
num_scales = 16
num_components = 5
regular_weight = 0.1
aggregate = 'gmm'  # or max, median, mean
lr = 5e-4
weight_decay = 0.0
save_best = None  # nothing is chosen by test videos
max_epochs = 50
calibration_videos = 100_000  # all

model = dict(
    type='MULDE',
    feature_dim=_base_.feature_dim,
    units=units,
    num_scales=num_scales,
    num_components=num_components,
    regular_weight=regular_weight,
    aggregate=aggregate,
)
optim_wrapper = dict(optimizer=dict(betas=(0.5, 0.9)))
default_hooks = dict(calibration=dict(type='CalibrationHook', num_samples=calibration_videos))
