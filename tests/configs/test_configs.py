import inspect
from pathlib import Path

import pytest
from mmengine.dataset import Compose

from vadlab.registry import DATASETS, HOOKS, METRICS, MODELS
from vadlab.registry import OPTIM_WRAPPER_CONSTRUCTORS as CONSTRUCTORS
from vadlab.utils import register_all_modules
from vadlab.utils.config import RUNNER_KEYS, load_config, runner_config

CONFIGS = Path(__file__).parents[2] / 'configs'
# Those of features have tests of their own.
EXPERIMENTS = sorted(
    p for p in CONFIGS.glob('*.py') if p.name != 'default_runtime.py' and not p.name.startswith('features_')
)
TINY = {
    'image_size': 32,
    'pretrained': None,
    'model.embed_dim': 8,
    'model.adapted_blocks': 1,
    'model.vision.patch_size': 16,
    'model.vision.width': 16,
    'model.vision.layers': 1,
    'model.vision.heads': 2,
    'model.text.width': 16,
    'model.text.layers': 1,
    'model.text.heads': 2,
}
LOADERS = ('train_dataloader', 'val_dataloader', 'test_dataloader')


def load(path, **options):
    """A config; of the tiny options those whose variable or part it has."""
    config = load_config(path)
    known = {key: value for key, value in TINY.items() if has(config, key)}
    return load_config(path, {**known, **options})


def has(config, key):
    """Whether a config sets a dotted key."""
    *parents, name = key.split('.')
    for part in parents:
        config = config.get(part) or {}
    return name in config


@pytest.fixture(autouse=True)
def _modules():
    register_all_modules()


@pytest.mark.parametrize('path', EXPERIMENTS, ids=lambda p: p.stem)
def test_every_part_can_be_built(path):
    config = load(path)
    model = MODELS.build(config.model)
    if config.get('optim_wrapper') is not None:
        cfg = config.optim_wrapper.to_dict()
        build = CONSTRUCTORS.get(cfg.pop('constructor', 'DefaultOptimWrapperConstructor'))
        wrapper = build(cfg, cfg.pop('paramwise_cfg', None))(model)
        grouped = sum(p.numel() for g in wrapper.optimizer.param_groups for p in g['params'])
        assert grouped == sum(p.numel() for p in model.parameters() if p.requires_grad)
    for name in LOADERS:
        if config.get(name) is not None:
            settings = config[name]['dataset'].to_dict()
            dataset = DATASETS.get(settings.pop('type'))
            inspect.signature(dataset).bind(**settings)  # raises for an option that it does not take
            if 'pipeline' in settings:
                Compose(settings['pipeline'])
    for name in ('val_evaluator', 'test_evaluator'):
        metrics = config.get(name) or []
        for metric in metrics if isinstance(metrics, list) else [metrics]:
            METRICS.build(metric)
    for hook in [*config.default_hooks.values(), *config.custom_hooks]:
        HOOKS.build(hook)


@pytest.mark.parametrize('path', EXPERIMENTS, ids=lambda p: p.stem)
def test_dumped_config_says_the_same(path, tmp_path):
    flat = runner_config(load_config(path))
    (tmp_path / 'flat.py').write_text(flat.pretty_text)
    assert load_config(tmp_path / 'flat.py')._cfg_dict == flat._cfg_dict
    assert set(flat._cfg_dict) <= RUNNER_KEYS


@pytest.mark.parametrize('path', [p for p in EXPERIMENTS if p.stem.startswith('fgclip')], ids=lambda p: p.stem)
def test_one_variable_reaches_every_place(path):
    config = load_config(path, {'num_frames': 7, 'image_size': 96, 'blank_pixels': True, 'data_root': '/somewhere'})
    assert config.model.vision.image_size == 96
    for name in LOADERS:
        dataset = config[name].dataset
        assert dataset.data_root == '/somewhere'
        steps = {step.type: step for step in dataset.pipeline}
        assert steps['SampleFrames'].num_frames == 7
        assert steps['DecodeFrames'].size == 96
        assert steps['BlankFrames'].enabled is True


def test_full_experiment_is_what_the_design_says():
    config = load_config(CONFIGS / 'fgclip_ucf.py')
    assert config.train_cfg.max_epochs == 10
    assert config.train_dataloader.batch_size == 2
    wrapper = config.optim_wrapper
    assert (wrapper.type, wrapper.dtype, wrapper.accumulative_counts) == ('AmpOptimWrapper', 'bfloat16', 8)
    assert wrapper.clip_grad.max_norm == 1.0
    groups = wrapper.paramwise_cfg.groups
    assert {name: group.lr for name, group in groups.items()} == {
        'temperatures': 1e-4, 'projections': 1e-6, 'vision': 1e-5, 'text': 5e-6,
    }  # fmt: skip
    assert groups.temperatures.weight_decay == 0
    assert wrapper.optimizer.weight_decay == 0.01
    assert config.default_hooks.checkpoint.max_keep_ckpts == 3
    assert (config.default_hooks.checkpoint.save_best, config.default_hooks.checkpoint.rule) == ('frame/auc', 'greater')
    assert config.model.vision.with_cp is True
    assert config.model.queue.size == 128
    steps = {step.type: step for step in config.train_dataloader.dataset.pipeline}
    assert steps['SampleFrames'].num_frames == 256


def test_debug_experiment_is_what_the_design_says():
    config = load_config(CONFIGS / 'fgclip_ucf_debug.py')
    assert config.train_cfg.max_epochs == 2
    assert config.train_dataloader.batch_size == 2
    assert {s.type: s for s in config.train_dataloader.dataset.pipeline}['SampleFrames'].num_frames == 64


def test_base_files_inherit_nothing():
    for path in (CONFIGS / '_base_').rglob('*.py'):
        assert '_base_ =' not in path.read_text(), path
