import importlib.util
import itertools
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
_numbers = itertools.count()


def _load_tool(name):
    """A script of tools/ as a module."""
    spec = importlib.util.spec_from_file_location(f'tools_{name}', ROOT / 'tools' / f'{name}.py')
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope='session')
def load_tool():
    """Loads a script of tools/ as a module."""
    return _load_tool


@pytest.fixture(scope='session')
def train():
    """``main`` of tools/train.py."""
    return _load_tool('train').main


@pytest.fixture(scope='session')
def test():
    """``main`` of tools/test.py."""
    return _load_tool('test').main


@pytest.fixture
def toy_file(tmp_path):
    """The file of a toy experiment (see tests/engine/toy.py), under a name of its own."""
    spec = importlib.util.spec_from_file_location('toy_parts', ROOT / 'tests' / 'engine' / 'toy.py')
    toy = sys.modules.get('toy_parts')
    if toy is None:
        toy = sys.modules['toy_parts'] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(toy)
    path = tmp_path / f'toytool{next(_numbers)}.py'
    path.write_text(toy.CONFIG.format(root=ROOT))
    return path
