import pytest
from mmengine.registry import Registry

from vadlab.utils.config_check import misspelled_options

PARENT = Registry('config check parent')
PARTS = Registry('config check', parent=PARENT, scope='check')


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
        ({'hook': {'type': 'Open', 'whatever': 1, 'of': {'type': 'Elsewhere', 'unknown': 2}}}, []),
        (
            {'train_dataloader': {'batchsize': 3, 'dataset': {'type': 'Inner'}, 'sampler': None}},
            ["train_dataloader.batchsize: a data loader takes no option 'batchsize'. Did you mean 'batch_size'"],
        ),
        ({'optim_wrapper': {'type': 'Inner', 'constructor': 'C', 'paramwise_cfg': {'a': 1}}}, []),
    ],
)
def test_options_are_held_to_constructors(config, found):
    lines = misspelled_options(config, [PARTS])
    assert len(lines) == len(found)
    assert all(line.startswith(text) for line, text in zip(lines, found, strict=True))
