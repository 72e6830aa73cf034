# AI-VAD's idea on UCSD Ped2 with a small detector: the speed, size and kind of objects. Fit and test: make ped2.
_base_ = [
    '_base_/models/aivad.py',
    '_base_/datasets/one_class.py',
    '_base_/schedules/fit.py',
    'default_runtime.py',
]
data_root = 'data/ped2'
save_best = None

custom_hooks = [dict(type='FitDensitiesHook')]
test_evaluator = [
    dict(type='OneClassMetric', smoothing=['none', _base_.smoothing, 'causal(7)']),
    dict(type='SpaceMetric', items=['rbdc', 'tbdc']),
    dict(type='PixelLevelMetric'),
]
test_cfg = dict()
