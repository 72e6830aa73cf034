# MNAD on UCSD Ped2: prediction of the next frame, the training of https://github.com/cvlab-yonsei/MNAD, for a GPU.
#   python tools/train.py configs/mnad_ped2.py --cfg-options data_root=data/ped2
#   python tools/test.py configs/mnad_ped2.py their.pth --cfg-options normalisation=per_clip update_threshold=0.01
_base_ = [
    '_base_/datasets/one_class_windows.py',
    '_base_/schedules/mnad.py',
    'default_runtime.py',
]
window = 5  # frames: the last is predicted from the others
task = 'prediction'
width = 64  # channels of the first stage
compact_weight = 0.1
separate_weight = 0.1
psnr_weight = 0.6
# The paper has 0.01: test frames with a smaller error update the memory. Its distances are then not those of training.
update_threshold = None
normalisation = 'training'  # or 'per_clip', as in the paper: min-max over each test clip
calibration_windows = 256
save_best = None  # nothing is chosen by test clips

model = dict(
    type='MNAD',
    task=task,
    width=width,
    compact_weight=compact_weight,
    separate_weight=separate_weight,
    psnr_weight=psnr_weight,
    update_threshold=update_threshold,
    normalisation=normalisation,
)
default_hooks = dict(calibration=dict(type='CalibrationHook', num_samples=calibration_windows))
