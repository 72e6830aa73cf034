"""Tools answer before packages are loaded that take seconds; scoring tools never load them."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import torch

from vadlab.utils.runtime import versions

ROOT = Path(__file__).parents[2]
# Runs commands one after another; notes exit status, standard error and the slow packages that each has loaded.
RUNNER = """
import contextlib, io, json, runpy, sys
SLOW = {'torch', 'mmengine', 'mmcv', 'mmdet', 'transformers', 'matplotlib', 'av', 'cv2'}
found = []
for tool, *arguments in json.loads(sys.stdin.read()):
    sys.argv = [tool, *arguments]
    before, path, error, status = SLOW & set(sys.modules), sys.path[:], io.StringIO(), None
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(error):
        try:
            runpy.run_path(tool, run_name='__main__')
        except SystemExit as end:
            status = end.code
    sys.path[:] = path
    found.append([status, error.getvalue(), sorted(SLOW & set(sys.modules) - before)])
print(json.dumps(found))
"""


def run_all(commands):
    """Exit status, standard error and slow packages of each command; all run in one process."""
    named = [[str(ROOT / 'tools' / f'{tool}.py'), *map(str, arguments)] for tool, *arguments in commands]
    environment = {**os.environ, 'PYTHONPATH': str(ROOT)}
    result = subprocess.run(
        [sys.executable, '-c', RUNNER], input=json.dumps(named), capture_output=True, text=True, env=environment
    )
    assert result.returncode == 0, result.stderr
    return json.loads(result.stdout)


def test_scoring_loads_no_slow_package(tmp_path):
    """Both tools run on a tiny set; one video's scores are short, so that a metric logs a message."""
    (tmp_path / 'scores').mkdir()
    rng = np.random.default_rng(0)
    for name, count in (('Abuse001_x264', 64), ('Normal_Videos_001_x264', 40)):
        classes = rng.random((count, 14))
        np.save(tmp_path / 'scores' / f'{name}.npy', classes / classes.sum(axis=1, keepdims=True))
    (tmp_path / 'annotation.txt').write_text(
        'Abuse001_x264.mp4  Abuse  8  40  -1  -1\nNormal_Videos_001_x264.mp4  Normal  -1  -1  -1  -1\n'
    )
    (tmp_path / 'frames.json').write_text('{"Abuse001_x264": 64, "Normal_Videos_001_x264": 64}')
    (tmp_path / 'references.json').write_text('{"1": ["a man rides a horse"], "2": ["two dogs run"]}')
    (tmp_path / 'candidates.json').write_text('{"1": "a man on a horse", "2": "two dogs"}')
    files = {'--pred': 'scores', '--ann': 'annotation.txt', '--frames': 'frames.json', '--out': 'scores.json'}
    scores = [word for option, name in files.items() for word in (option, tmp_path / name)]
    captions = [tmp_path / 'references.json', tmp_path / 'candidates.json', '--out', tmp_path / 'captions.json']
    found = run_all(
        [
            ['eval_scores', *scores, '--protocol', 'ucf-crime', '--unit', 'frame', '--length-policy', 'truncate'],
            ['eval_captions', *captions],
        ]
    )
    assert found == [[0, '', []], [0, '', []]]
    report = json.loads((tmp_path / 'scores.json').read_text())
    assert 'frame/auc' in report['metrics']
    assert report['versions'].keys() >= {'torch', 'mmengine', 'numpy'}
    assert 'caption/cider' in json.loads((tmp_path / 'captions.json').read_text())['metrics']


def test_the_version_of_torch_is_the_one_that_torch_tells():
    assert versions()['torch'] == torch.__version__
