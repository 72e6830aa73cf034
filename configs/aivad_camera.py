# Your own camera: normal footage in data_root/train (or all videos in data_root), no labels. See docs/oneclass.md.
#   python tools/train.py configs/aivad_camera.py --cfg-options data_root=FOLDER detector=yolox_nano.onnx
_base_ = [
    '_base_/models/aivad.py',
    '_base_/datasets/one_class.py',
    '_base_/schedules/fit.py',
    'default_runtime.py',
]
data_root = 'data/camera'
layout = 'folder'
labels = 'optional'  # truth/NAME.npy: 0 or 1 for each frame of a video in data_root/test
smoothing = 'causal(7)'  # later frames do not count, as in live use
save_best = None

custom_hooks = [dict(type='FitDensitiesHook')]
test_evaluator = [dict(type='OneClassMetric', smoothing=['none', smoothing])]
test_cfg = dict()
