# UCSD Ped2 without any weights: the speed and size of moving regions.
_base_ = [
    '_base_/models/aivad_blobs.py',
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
