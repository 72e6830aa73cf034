"""The tools that go over many files: two processes, and a Ray cluster of two nodes, write the bytes of one process."""

import json
import re

import pytest
import torch

from tests.datasets.wildlife_clips import write_set
from vadlab.apis import method_runs
from vadlab.registry import MODELS
from vadlab.utils.config import load_config
from vadlab.utils.errors import DataError

from .conftest import ROOT
from .test_extract_features import CONFIG, OPTIONS
from .tiny_features import write_config, write_data

pytestmark = pytest.mark.slow


@pytest.fixture(scope='module', params=['processes', 'ray'])
def engine(request):
    """Options of the engine without its number of workers, and the options that make it two."""
    if request.param == 'processes':
        yield [], ['--workers', '2'], ['--jobs', '2']
        return
    pytest.importorskip('ray')
    from tests.faults.ray_nodes import Nodes

    nodes = Nodes(2)
    yield ['--engine', 'ray', '--ray-address', nodes.address], [], []
    nodes.close()


def content(folder):
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob('*') if path.is_file()}


def test_verify(load_tool, engine, tiny_file, tiny_data, tmp_path, capsys):
    options, workers, _ = engine
    (tiny_data / 'Videos' / 'Arson001.mp4').write_bytes(b'no video')
    said = {}
    for name, more in (('one', ['--workers', '1']), ('many', [*options, *workers])):
        command = [str(tiny_file), '--no-cache', '--no-smoke', '--json', str(tmp_path / name), *more]
        assert load_tool('verify').main(command) == 2
        said[name] = re.sub(r'[\d.]+ GiB free', '', capsys.readouterr().out)
    assert said['one'] == said['many']
    one, many = (re.sub(r'[\d.]+ GiB free', '', (tmp_path / name).read_text()) for name in said)
    assert one == many
    assert 'Arson001' in one


def test_extract_features(load_tool, engine, tiny, tmp_path):
    options, _, jobs = engine
    for i in range(5):
        tiny.write_video(tmp_path / f'Videos/Abuse/v{i}.mp4', 20 + 16 * i, seed=i)
    (tmp_path / 'Videos/Abuse/v9.mp4').write_bytes(b'no video')
    for name, more in (('one', []), ('many', [*options, *jobs])):
        command = [CONFIG, str(tmp_path / 'Videos'), '--out', str(tmp_path / name), '--crops', '5', *more]
        with pytest.raises(DataError, match='1 of 6 videos could not be used'):
            load_tool('extract_features').main([*command, '--cfg-options', *OPTIONS])
    assert content(tmp_path / 'one') == content(tmp_path / 'many')
    assert len(content(tmp_path / 'one')) == 5 * 5 + 5 + 3


def test_prepare_wildlife(load_tool, engine, tmp_path):
    pytest.importorskip('librosa')
    options, workers, _ = engine
    write_set(tmp_path)
    for name, more in (('one', ['--workers', '1']), ('many', [*options, *workers])):
        command = [str(tmp_path / 'metadata.csv'), str(tmp_path / 'videos'), '--out', str(tmp_path / name / 'clips')]
        assert load_tool('prepare_wildlife').main([*command, '--frames', '4', '--size', '24', '32', *more]) == 0
    assert content(tmp_path / 'one') == content(tmp_path / 'many')
    assert 'clips/manifest.jsonl' in content(tmp_path / 'one')


def test_infer(load_tool, engine, tiny_file, tiny_data, tmp_path):
    options, _, jobs = engine
    torch.manual_seed(0)
    model = MODELS.build(load_config(tiny_file).model)
    torch.nn.init.normal_(model.visual_projection.weight)
    torch.save({'state_dict': model.state_dict()}, tmp_path / 'weights.pth')
    (tiny_data / 'Videos' / 'Arson001.mp4').write_bytes(b'no video')
    for name, more in (('one', []), ('many', [*options, *jobs])):
        command = [str(tiny_file), str(tmp_path / 'weights.pth'), str(tiny_data / 'Videos')]
        command += ['--threshold', '0.4', '--boxes', '--out', str(tmp_path / name), *more]
        assert load_tool('infer').main(command) == 2
    assert content(tmp_path / 'one') == content(tmp_path / 'many')
    assert json.loads((tmp_path / 'many' / 'Arson001.mp4.json').read_text())['error']


def test_compare_methods(load_tool, engine, train, test, monkeypatch, tmp_path):
    """The numbers are those of trainings and tests in this process."""
    options, _, jobs = engine
    seeds = ['0', '1'] if jobs else ['0']  # two runs at a time
    data = write_data(tmp_path / 'data')
    config = str(write_config('mil', tmp_path, ROOT, data))
    main = load_tool('compare_methods').main
    command = [config, '--seeds', *seeds, '--out']
    assert main([*command, str(tmp_path / 'many'), *options, *jobs]) == 0
    with monkeypatch.context() as patch:
        tools = {'train.py': train, 'test.py': test}
        patch.setattr(method_runs, 'call_tool', lambda name, arguments, folder: tools[name](arguments))
        assert main([*command, str(tmp_path / 'one')]) == 0
    assert (tmp_path / 'one/table.md').read_text() == (tmp_path / 'many/table.md').read_text()
    assert (tmp_path / 'one/results.json').read_text() == (tmp_path / 'many/results.json').read_text()
