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


def _load_helper(name, path):
    if name not in sys.modules:
        spec = importlib.util.spec_from_file_location(name, path)
        module = sys.modules[name] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
    return sys.modules[name]


@pytest.fixture(scope='session')
def tiny():
    """The helpers of tests/tools/tiny_ucf.py."""
    return _load_helper('tiny_ucf', ROOT / 'tests' / 'tools' / 'tiny_ucf.py')


@pytest.fixture
def tiny_data(tiny, tmp_path):
    """A data root of its own, which a test may spoil."""
    return tiny.write_data(tmp_path / 'data')


@pytest.fixture
def tiny_file(tiny, tiny_data, tmp_path):
    """The file of a tiny FG-CLIP experiment on ``tiny_data``."""
    path = tmp_path / f'tinyfgclip{next(_numbers)}.py'
    path.write_text(tiny.CONFIG.format(root=ROOT, data=tiny_data))
    return path


@pytest.fixture
def toy_file(tmp_path):
    """The file of a toy experiment (see tests/engine/toy.py), under a name of its own."""
    toy = _load_helper('toy_parts', ROOT / 'tests' / 'engine' / 'toy.py')
    path = tmp_path / f'toytool{next(_numbers)}.py'
    path.write_text(toy.CONFIG.format(root=ROOT))
    return path


@pytest.fixture
def clips_file(tmp_path):
    """The file of a toy audio-visual experiment (see tests/tools/toy_clips.py), under a name of its own."""
    toy = _load_helper('toy_clips', ROOT / 'tests' / 'tools' / 'toy_clips.py')
    path = tmp_path / f'toyclips{next(_numbers)}.py'
    path.write_text(toy.CONFIG.format(root=ROOT, data=toy.write_data(tmp_path / 'data')))
    return path


@pytest.fixture
def captions_file(tmp_path):
    """The file of a toy captioning experiment (see tests/tools/toy_captions.py), under a name of its own."""
    toy = _load_helper('toy_captions', ROOT / 'tests' / 'tools' / 'toy_captions.py')
    path = tmp_path / f'toycaptions{next(_numbers)}.py'
    path.write_text(toy.config_text(toy.write_data(tmp_path / 'data')))
    return path


@pytest.fixture
def rewards_file(captions_file, tmp_path):
    """The file of the toy experiment's self-critical training, which counts n-grams in a folder of its own."""
    toy = _load_helper('toy_captions', ROOT / 'tests' / 'tools' / 'toy_captions.py')
    path = tmp_path / f'toyrewards{next(_numbers)}.py'
    more = f"stage1_epochs = 38\nfrequencies_dir = '{tmp_path / 'frequencies'}'\n"
    text = toy.config_text(tmp_path / 'data', 'fsgr_coco_scst', more)
    path.write_text(text.replace('max_epochs = 1\n', ''))
    return path
