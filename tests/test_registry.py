import pytest
import torch

from vadlab import registry
from vadlab.registry import Registry
from vadlab.utils.errors import ConfigError


@pytest.fixture
def shapes():
    shapes = Registry('shape', scope='vadlab')

    @shapes.register_module()
    class Square:
        def __init__(self, side, colour='red'):
            self.side = side

    @shapes.register_module()
    class Fragile:
        def __init__(self):
            Square(1, size=2)

    return shapes


def test_builds(shapes):
    assert shapes.build(dict(type='Square', side=2)).side == 2


def test_unknown_name_says_the_nearest(shapes):
    with pytest.raises(ConfigError, match="There is no shape called 'Sqare'. Did you mean 'Square'"):
        shapes.build(dict(type='Sqare'))
    with pytest.raises(ConfigError, match=r'Known: Fragile, Square\.'):
        shapes.build(dict(type='X'))


def test_unknown_option_says_the_nearest(shapes):
    with pytest.raises(ConfigError, match="Square takes no option 'color'. Did you mean 'colour'"):
        shapes.build(dict(type='Square', side=1, color='blue'))


def test_a_fault_inside_a_constructor_stays_one(shapes):
    with pytest.raises(TypeError, match='size'):
        shapes.build(dict(type='Fragile'))


@pytest.mark.parametrize(
    ('rows', 'why'),
    [
        (10**15, r'one of its arrays has 4,000,000 GB'),  # by hand: 4 bytes per number
        (2**61, 'a size is too large for torch'),  # 2**63 bytes
        (10**20, 'a size is too large for torch'),
    ],
)
def test_a_part_that_no_memory_can_hold_is_one_message(shapes, rows, why):
    @shapes.register_module()
    class Table:
        def __init__(self, rows: int):
            torch.empty(rows)

    with pytest.raises(ConfigError, match=rf'^Table does not fit into memory \({why}\). Check the sizes in the config'):
        shapes.build(dict(type='Table', rows=rows))


def test_parents_parts_are_found_and_named():
    assert registry.OPTIMIZERS.get('AdamW').__name__ == 'AdamW'
    with pytest.raises(ConfigError, match="Did you mean 'Adadelta'"):
        registry.OPTIMIZERS.get('Adadeltta')


@pytest.mark.parametrize('name', ['ParamSchedulerHook', 'CheckpointHook'])
def test_our_hooks_stand_before_mmengines(name):
    assert registry.HOOKS.get(name).__module__.startswith('vadlab.')


@pytest.mark.parametrize('former', sorted(registry.RENAMED))
def test_former_names_of_hooks_find_them(former):
    assert registry.HOOKS.get(former).__name__ == registry.RENAMED[former]
