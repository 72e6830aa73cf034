import copy
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal

import pytest
from mmengine.registry import Registry
from torch import nn

from vadlab.utils import register_all_modules
from vadlab.utils.config import load_config, parse_cfg_options, runner_config
from vadlab.utils.config_check import config_problems
from vadlab.utils.errors import ConfigError

CONFIGS = Path(__file__).parents[2] / 'configs'

PARENT = Registry('config check parent')
PARTS = Registry('config check', parent=PARENT, scope='check')


@pytest.fixture(autouse=True, scope='module')
def _modules():
    register_all_modules()


@PARENT.register_module()
class Outer:
    def __init__(self, inner, steps=(), size=3):
        pass


@PARTS.register_module()
class Inner:
    def __init__(self, width, depth=1):
        pass


@PARTS.register_module()
class Open:
    def __init__(self, **anything):
        pass


@pytest.mark.parametrize(
    ('config', 'found'),
    [
        ({'model': {'type': 'Outer', 'inner': {'type': 'Inner', 'width': 3}, 'size': 1}}, []),
        (
            {'model': {'type': 'Outer', 'inner': {'type': 'check.Inner', 'widht': 3}}},
            ["model.inner.widht: Inner takes no option 'widht'. Did you mean 'width'?"],
        ),
        (
            {'model': {'type': Outer, 'steps': [{'type': 'Inner'}, {'type': 'Inner', 'x': 1}]}},
            ["model.steps.1.x: Inner takes no option 'x'. Known: depth, width."],
        ),
        (
            {'visualizer': {'type': 'Opn', 'unknown': 2}},
            ["visualizer.type: there is no part called 'Opn'. Did you mean 'Open'"],
        ),
        ({'visualizer': {'type': 'Open', 'whatever': 1, 'of': {'type': 'of its own', 'unknown': 2}}}, []),
        ({'visualizer': {'type': 'Open', 'of': {'type': 'elsewhere.Part', 'unknown': 2}}}, []),
        (
            {'train_dataloader': {'batchsize': 3, 'dataset': {'type': 'Inner'}, 'sampler': None}},
            ["train_dataloader.batchsize: a data loader takes no option 'batchsize'. Did you mean 'batch_size'"],
        ),
        ({'optim_wrapper': {'type': 'Inner', 'constructor': 'C', 'paramwise_cfg': {'a': 1}}}, []),
    ],
)
def test_options_are_held_to_constructors(config, found):
    lines = config_problems(config, [PARTS])
    assert len(lines) == len(found)
    assert all(line.startswith(text) for line, text in zip(lines, found, strict=True))


class Typed:
    def __init__(
        self,
        layers: int,
        lr: float = 0.1,
        flag: bool = False,
        names: Sequence[str] = (),
        pair: tuple[int, int] | None = None,
        table: Mapping[str, int] | None = None,
        mode: Literal['a', 'b'] = 'a',
        interval: int = -1,
        part: nn.Module | None = None,
        path: str = None,  # noqa: RUF013 - as other packages write it
        loose: int = 'default',  # an annotation that is not true
    ):
        pass


class Forwards(Typed):
    def __init__(self, depth: int = 1, **options):
        super().__init__(**options)


class Keeps(Typed):
    def __init__(self, depth: int = 1, **options):
        self.options = options


@pytest.mark.parametrize(
    'settings',
    [
        {'layers': 1, 'lr': 1, 'flag': True, 'names': ['a'], 'pair': [1, 2], 'table': {'a': 1}, 'mode': 'b'},
        {
            'layers': 3,
            'lr': 0,
            'names': ('a', 'b'),
            'pair': None,
            'interval': -1,
            'part': {'type': 'Inner', 'width': 1},
        },
        {'layers': 3, 'part': None, 'path': None, 'loose': [1], 'interval': 4},
    ],
)
def test_what_fits_passes(settings):
    assert config_problems({'model': {'type': Typed, **settings}}, [PARTS]) == []


@pytest.mark.parametrize(
    ('setting', 'line'),
    [
        ({'layers': 1.5}, 'model.layers must be a whole number in 0..10000, not 1.5.'),
        ({'layers': True}, 'model.layers must be a whole number in 0..10000, not True.'),
        ({'layers': None}, 'model.layers must be a whole number in 0..10000, not None.'),
        ({'layers': -1}, 'model.layers must be in 0..10000, not -1.'),
        ({'layers': 10**9}, 'model.layers must be in 0..10000, not 1000000000.'),
        ({'lr': 'abc'}, "model.lr must be a number >= 0, not 'abc'."),
        ({'lr': -1e-5}, 'model.lr must be >= 0, not -1e-05.'),
        ({'lr': float('nan')}, 'model.lr must be a number >= 0, not nan.'),
        ({'flag': 1}, 'model.flag must be True or False, not 1.'),
        ({'names': 'abc'}, "model.names must be a list (each a string), not 'abc'."),
        ({'names': ['a', 3]}, 'model.names.1 must be a string, not 3.'),
        (
            {'pair': [1, 2, 3]},
            'model.pair must be a list of 2 (a whole number, a whole number) or None, not [1, 2, 3].',
        ),
        ({'table': {'a': 'x'}}, "model.table.a must be a whole number, not 'x'."),
        ({'mode': 'c'}, "model.mode must be 'a' or 'b', not 'c'."),
        ({'interval': 0}, 'model.interval must be >= 1, not 0.'),
        ({'part': 3}, 'model.part must be a dict with a type (Module) or None, not 3.'),
        ({'path': 3}, 'model.path must be a string or None, not 3.'),
        ({'names': ['x' * 200, 3]}, 'model.names.1 must be a string, not 3.'),
    ],
)
@pytest.mark.parametrize('target', [Typed, Forwards])
def test_what_does_not_fit_is_named(target, setting, line):
    config = {'model': {'type': target, **setting}}
    assert config_problems(config, [PARTS]) == [line]
    assert config_problems({'model': {'type': Keeps, **setting}}, [PARTS]) == []


def test_unknown_options_of_a_constructor_that_passes_its_keywords_on():
    (line,) = config_problems({'model': {'type': Forwards, 'layrs': 1}}, [PARTS])
    assert line.startswith("model.layrs: Forwards takes no option 'layrs'. Did you mean 'layers'")


#: For each place of a whole config what must not pass, with a part of the message.
REFUSED = {
    'clip_grad_norm=-1': 'optim_wrapper.clip_grad.max_norm must be > 0, not -1',
    'accumulative_counts=1.5': 'optim_wrapper.accumulative_counts must be a whole number >= 1',
    'accumulative_counts=0': 'optim_wrapper.accumulative_counts must be >= 1',
    'default_hooks.checkpoint.intervall=2': "takes no option 'intervall'. Did you mean 'interval'",
    'default_hooks.checkpoint.interval=abc': 'default_hooks.checkpoint.interval must be a whole number',
    'default_hooks.timer=3': 'default_hooks.timer must be a dict',
    'custom_hooks=[3]': 'custom_hooks.0 must be a dict',
    'checkpoint_interval=None': 'default_hooks.checkpoint.interval must be a whole number',
    'save_best_rule=bigger': "default_hooks.checkpoint.rule must be 'greater' or 'less'",
    'val_interval=0': 'train_cfg.val_interval must be >= 1',
    'max_epochs=0': 'train_cfg.max_epochs must be >= 1',
    'max_epochs=1.5': 'train_cfg.max_epochs must be a whole number',
    'train_cfg.max_epoch=3': "takes no option 'max_epoch'. Did you mean 'max_epochs'",
    'train_cfg.by_epoch=3': 'train_cfg.by_epoch must be True or False',
    'weight_decay=-1': 'optim_wrapper.optimizer.weight_decay must be >= 0',
    'lr_scale=-1': 'optim_wrapper.paramwise_cfg.groups.text.lr must be >= 0',
    'optim_wrapper.optimizer.lr=abc': "optim_wrapper.optimizer.lr must be a number >= 0, not 'abc'",
    'optim_wrapper.optimizer.batch_size=2': "takes no option 'batch_size'",
    'optim_wrapper.optimizer.betas=[0.9,2]': 'optim_wrapper.optimizer.betas must be in 0..1',
    'optim_wrapper.optimizer.fused=3': 'optim_wrapper.optimizer.fused must be True or False or None',
    'optim_wrapper.optimizer=3': 'optim_wrapper.optimizer must be a dict',
    'optim_wrapper.clip_grad.max_nrm=2': "takes no option 'max_nrm'. Did you mean 'max_norm'",
    'optim_wrapper.paramwise_cfg.grups=3': "takes no option 'grups'",
    'optim_wrapper.paramwise_cfg.groups.vision.lrr=3': "takes no option 'lrr'",
    'optim_wrapper.paramwise_cfg.groups.vision.lr=-3': 'groups.vision.lr must be >= 0',
    'optim_wrapper.paramwise_cfg.groups.vision.pattern=3': 'groups.vision.pattern must be a string',
    'param_scheduler.warmup_ratio=x': 'param_scheduler.warmup_ratio must be a number in 0..1',
    'param_scheduler.foo=1': "WarmupCosineLR takes no option 'foo'",
    'seed=-1': 'randomness.seed must be in 0..4294967295',
    'seed=4294967296': 'randomness.seed must be in 0..4294967295',
    'optim_wrapper.optimizer.lr=inf': 'optim_wrapper.optimizer.lr must be finite and >= 0, not inf',
    'model.loss_region.loss_weight=-1': 'model.loss_region.loss_weight must be >= 0',
    'randomness.sed=1': "takes no option 'sed'. Did you mean 'seed'",
    'log_interval=0': 'default_hooks.logger.interval must be >= 1',
    'log_level=LOUD': "log_level must be a whole number or 'DEBUG'",
    'num_workers=-1': 'train_dataloader.num_workers must be in 0..1024',
    'num_workers=100000': 'train_dataloader.num_workers must be in 0..1024',
    'batch_size=None': 'train_dataloader.batch_size must be a whole number >= 1, not None',
    'train_dataloader.dataset.batch_size=2': "UCFCrimeRegions takes no option 'batch_size'",
    'train_dataloader.sampler.shuffle=maybe': 'train_dataloader.sampler.shuffle must be True or False',
    'train_dataloader.collate_fn=pseudo_collate': 'train_dataloader.collate_fn must be',
    'train_dataloader.collate_fn.type=pseudo_colate': "Did you mean 'pseudo_collate'",
    'image_size=None': 'model.vision.image_size must be a whole number >= 1, not None',
    'num_frames=0': 'train_dataloader.dataset.pipeline.1.num_frames must be >= 1',
    'num_frames=[4,8]': r'num_frames is 256 in the config and cannot be [4, 8]',
    'train_pipeline.1.num_frames=0': 'train_dataloader.dataset.pipeline.1.num_frames must be >= 1',
    'data_root=3': 'train_dataloader.dataset.data_root must be a string, not 3',
    'classes=Normal': "classes must be a list (each a string), not 'Normal'",
    'optim_wrapper.optimizer.lr=1e300': 'optim_wrapper.optimizer.lr must be >= 0 and fit float32, not 1e+300',
    'weight_decay=1e39': 'optim_wrapper.optimizer.weight_decay must be >= 0 and fit float32, not 1e+39',
    'model.type=FGCLPI': "model.type: there is no part called 'FGCLPI'. Did you mean 'FGCLIP'",
    'model.vision.layers=x': 'model.vision.layers must be a whole number',
    'env_cfg.mp_cfg.mp_start_method=thread': "env_cfg.mp_cfg.mp_start_method must be 'fork' or 'spawn'",
    'custom_imports=3': 'custom_imports must be a dict',
    'load_from=3': 'load_from must be a string or None',
    'sanity_check=maybe': 'sanity_check must be True or False',
    'smoke_pass=maybe': 'smoke_pass must be True or False',
}  # fmt: skip


@pytest.mark.parametrize('option', REFUSED)
def test_a_setting_that_cannot_be_used_is_refused_when_the_config_is_loaded(option):
    with pytest.raises(ConfigError) as caught:
        load_config(CONFIGS / 'fgclip_ucf.py', parse_cfg_options([option]))
    assert REFUSED[option] in str(caught.value)


def numbers_and_words(node, path=''):
    """Dotted keys of every plain value of a config that is not the name of a part."""
    if isinstance(node, dict):
        for key, value in node.items():
            if key != 'type':
                yield from numbers_and_words(value, f'{path}.{key}' if path else key)
    elif isinstance(node, list):
        for i, value in enumerate(node):
            yield from numbers_and_words(value, f'{path}.{i}')
    elif isinstance(node, (int, float)):
        yield path, node


#: Options that a function reads as keywords of another one.
CHECKED_WHEN_BUILT = ('model.decoding', 'model.vision.adapters.ratio')


@pytest.mark.parametrize('name', ['fgclip_ucf', 'vadclip_ucf', 'mbt_wildlife', 'fsgr_coco', 'rtfm_xd', 'urdmu_ucf'])
def test_no_number_of_a_config_can_be_a_word(name):
    config = runner_config(load_config(CONFIGS / f'{name}.py'))._cfg_dict.to_dict()
    silent = []
    for key, value in numbers_and_words(config):
        *parents, last = key.split('.')
        changed = copy.deepcopy(config)
        node = changed
        for part in parents:
            node = node[int(part)] if isinstance(node, list) else node[part]
        node[int(last) if isinstance(node, list) else last] = 'abc'
        if not config_problems(changed) and not key.startswith(CHECKED_WHEN_BUILT):
            silent.append(f'{key}={value!r}')
    assert silent == []
