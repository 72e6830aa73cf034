"""The notebooks run from top to bottom without a network, in an empty folder, and are committed with light outputs."""

import json
import sys
from pathlib import Path

import pytest

from tests.doc_blocks import environment

ROOT = Path(__file__).parents[1]
NOTEBOOKS = sorted((ROOT / 'notebooks').glob('*.ipynb'))


def code_cells(notebook):
    return [cell for cell in notebook['cells'] if cell['cell_type'] == 'code']


@pytest.mark.parametrize('path', NOTEBOOKS, ids=lambda path: path.stem)
def test_outputs_are_committed_and_light(path):
    notebook = json.loads(path.read_text(encoding='utf-8'))
    assert path.stat().st_size < 400_000
    assert any(cell['outputs'] for cell in code_cells(notebook))
    assert not [out for cell in code_cells(notebook) for out in cell['outputs'] if out['output_type'] == 'error']
    assert '/home/' not in path.read_text(encoding='utf-8')


@pytest.mark.slow
@pytest.mark.parametrize('path', NOTEBOOKS, ids=lambda path: path.stem)
def test_notebook_runs(path, tmp_path, monkeypatch):
    """Each cell ends without an error and has as many pictures as the committed one."""
    nbformat = pytest.importorskip('nbformat')
    client = pytest.importorskip('nbclient')
    for name, value in environment(tmp_path / 'programs', ROOT).items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv('JUPYTER_PREFER_ENV_PATH', '1')
    monkeypatch.delenv('MPLBACKEND')  # figures are outputs of cells
    kernel = tmp_path / 'jupyter' / 'kernels' / 'python3'
    kernel.mkdir(parents=True)
    command = [sys.executable, '-m', 'ipykernel_launcher', '-f', '{connection_file}']
    spec = {'argv': command, 'display_name': 'Python 3', 'language': 'python'}
    (kernel / 'kernel.json').write_text(json.dumps(spec))
    monkeypatch.setenv('JUPYTER_PATH', str(tmp_path / 'jupyter'))
    committed = nbformat.read(path, as_version=4)
    found = nbformat.read(path, as_version=4)
    work = tmp_path / 'work'
    work.mkdir()
    client.NotebookClient(found, timeout=600, resources={'metadata': {'path': str(work)}}).execute()

    def pictures(notebook):
        return [sum('image/png' in out.get('data', {}) for out in cell.outputs) for cell in code_cells(notebook)]

    assert pictures(found) == pictures(committed)
    assert sum(pictures(found)) >= 1
