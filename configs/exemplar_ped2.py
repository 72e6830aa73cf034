# Exemplars of motion per region of the picture (Ramachandra and Jones) on UCSD Ped2: fitted in one pass, on a CPU.
#   python tools/train.py configs/exemplar_ped2.py --cfg-options data_root=data/ped2
#   python tools/test.py configs/exemplar_ped2.py work_dirs/exemplar_ped2/epoch_1.pth --cfg-options data_root=data/ped2
_base_ = [
    '_base_/datasets/one_class.py',
    '_base_/schedules/fit.py',
    'default_runtime.py',
]
frames = 4  # per window
cell = 5  # pixels over which flow is averaged
region = 8  # cells
threshold = 0.15  # distance at which motion becomes an exemplar
save_best = None

model = dict(
    type='ExemplarDetector',
    flow=dict(type='DISFlow'),
    frames=frames,
    cell=cell,
    region=region,
    threshold=threshold,
)
custom_hooks = [dict(type='FitDensitiesHook')]
test_evaluator = [
    dict(type='OneClassMetric'),
    dict(type='SpaceMetric', items=['rbdc', 'tbdc']),
    dict(type='PixelLevelMetric'),
]
test_cfg = dict()
