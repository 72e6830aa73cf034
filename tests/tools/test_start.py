"""Tools answer before packages are loaded that take seconds; scoring tools never load them."""

import json
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pytest
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
    with tempfile.TemporaryDirectory() as folder:
        result = subprocess.run(
            [sys.executable, '-c', RUNNER],
            input=json.dumps(named),
            capture_output=True,
            text=True,
            cwd=folder,
            env=environment,
        )
    assert result.returncode == 0, result.stderr
    return json.loads(result.stdout)


TOOLS = sorted(path.stem for path in (ROOT / 'tools').glob('*.py') if path.stem != '__init__')
CONFIG = 'configs/fgclip_ucf.py'
# A command with something that does not exist, and what names it in the message.
WRONG = [
    ['train', 'nowhere.py'],
    ['train', ROOT / CONFIG, '--resume', 'nowhere.pth'],
    ['test', 'nowhere.py', 'none'],
    ['test', ROOT / CONFIG, 'nowhere.pth'],
    ['sweep', 'nowhere.py', '--param', 'lr=1,2'],
    ['verify', 'nowhere.py'],
    ['print_config', 'nowhere.py'],
    ['infer', 'nowhere.py', 'none', ROOT / 'README.md'],
    ['infer', ROOT / CONFIG, 'nowhere.pth', ROOT / 'README.md'],
    ['infer', ROOT / CONFIG, 'none', 'nowhere'],
    ['watch', 'nowhere.py', 'none', '--source', 'a=rtsp://h/1'],
    ['watch', ROOT / CONFIG, 'nowhere.pth', '--source', 'a=rtsp://h/1'],
    ['watch', ROOT / CONFIG, 'none', '--source', 'nowhere.mp4'],
    ['watch', ROOT / CONFIG, 'none', '--cameras', 'nowhere.json'],
    ['extract_features', 'nowhere.py', ROOT, '--out', 'never'],
    ['extract_features', ROOT / CONFIG, 'nowhere', '--out', 'never'],
    ['ablate_modalities', 'nowhere.py', 'none', '--out', 'never'],
    ['ablate_modalities', ROOT / CONFIG, 'nowhere.pth', '--out', 'never'],
    ['browse_dataset', 'nowhere.py', '--out', 'never'],
    ['build_codebook', 'nowhere.txt', '--clip', ROOT / 'README.md', '--out', 'never.safetensors'],
    ['build_codebook', ROOT / 'README.md', '--clip', 'nowhere.pt', '--out', 'never.safetensors'],
    ['build_vocabulary', 'nowhere.json', '--out', 'never.json'],
    ['compare_features', 'nowhere', ROOT],
    ['compare_features', ROOT, ROOT, '--explain', 'nowhere.py', ROOT],
    ['compare_methods', 'nowhere.py', '--out', 'never'],
    ['convert_checkpoint', 'nowhere.pt', 'never.safetensors'],
    ['eval_captions', 'nowhere.json', ROOT / 'README.md'],
    ['eval_scores', '--pred', 'nowhere', '--ann', 'none.txt', '--protocol', 'ucf-crime'],
    ['extract_patches', 'nowhere.py'],
    ['export_results', 'nowhere', '--to', 'csv', '--out', 'never'],
    ['import_cvat', 'nowhere.xml', '--out', 'never.json'],
    ['import_marks', 'nowhere.json', '--out', 'never.txt'],
    ['import_label_studio', 'nowhere.json', '--out', 'never.json'],
    ['import_wildlife', 'mammalps', 'nowhere', '--out', 'never.csv'],
    ['make_caption_data', '--clip', 'nowhere.pt', '--out', 'never'],
    ['make_demo_features', '--data', 'nowhere', '--config', ROOT / CONFIG, '--out', 'never'],
    ['plot_learning_curve', 'nowhere', '--out', 'never.png'],
    ['prepare_wildlife', 'nowhere.csv', ROOT, '--out', 'never'],
    ['quantize', 'nowhere.py', ROOT / 'README.md', '--out', 'never.pth'],
    ['quantize', ROOT / CONFIG, 'nowhere.pth', '--out', 'never.pth'],
    ['score_synthetic_clip', 'nowhere.pt', '--config', ROOT / CONFIG],
    ['serve', 'nowhere.py', 'none'],
    ['serve', ROOT / CONFIG, 'nowhere.pth'],
    ['serve', ROOT / CONFIG, 'none', '--watch', 'nowhere'],
    ['video_captions_to_coco', 'nowhere.json', '--out', 'never'],
]


@pytest.fixture(scope='module')
def answers():
    """What ``--help`` of each tool loaded."""
    found = run_all([[tool, '--help'] for tool in TOOLS] + [[tool, '--no-such-option'] for tool in TOOLS])
    return {tool: [found[i], found[i + len(TOOLS)]] for i, tool in enumerate(TOOLS)}


@pytest.mark.parametrize('tool', TOOLS)
def test_help_and_an_unknown_option_load_no_slow_package(answers, tool):
    shown, refused = answers[tool]
    assert shown == [0, '', []]
    assert refused[::2] == [2, []]
    assert 'usage:' in refused[1]


@pytest.fixture(scope='module')
def refusals():
    """What each command of WRONG said and loaded."""
    return run_all(WRONG)


NAMES = [' '.join(map(str, words)).replace(f'{ROOT}/', '') for words in WRONG]


@pytest.mark.parametrize('number', range(len(WRONG)), ids=NAMES)
def test_a_wrong_path_is_found_before_a_slow_package_loads(refusals, number):
    status, message, loaded = refusals[number]
    assert status == 2
    assert message.startswith('error: ')
    assert 'nowhere' in message
    assert loaded == []


# Arguments in the wrong order or empty, and the message.
WRONG_ORDER = [
    (
        ['infer', ROOT / 'README.md', ROOT / CONFIG, 'a.mp4'],
        'README.md is not a config, which ends with .py. Name the ',
    ),
    (['train', ROOT / 'README.md'], 'README.md is not a config'),
    (['train', ''], 'The path of the config is empty. Is a variable of the shell not set?'),
    (['test', ROOT / CONFIG, ''], 'The path of the checkpoint is empty'),
    (['infer', ROOT / CONFIG, 'none', ''], 'The path of the image, video or folder is empty'),
    (['infer', ROOT / CONFIG, ROOT / 'README.md'], 'are required: INPUT. The order is CONFIG CHECKPOINT INPUT; '),
    (['calibrate', ROOT / CONFIG, 'none'], 'are required: FOLDER'),
]


def test_arguments_in_the_wrong_order_and_empty_ones_are_told():
    for (_, message), (status, told, loaded) in zip(
        WRONG_ORDER, run_all([command for command, _ in WRONG_ORDER]), strict=True
    ):
        assert status == 2
        assert message in told
        assert loaded == []


FILE = ROOT / 'README.md'  # in which no folder can be made
VERIFY = ['verify', ROOT / CONFIG]
EXTRACT = ['extract_features', ROOT / 'configs/features_clip_demo.py', FILE, '--out']
PATCHES = ['extract_patches', ROOT / 'configs/fsgr_demo.py']
PREPARE = ['prepare_wildlife', 'METADATA', ROOT, '--out']
INFER = ['infer', ROOT / CONFIG, 'none', FILE]
WATCH = ['watch', ROOT / CONFIG, 'none', '--source', FILE, '--out']
COMPARE = ['compare_methods', ROOT / CONFIG, '--out']
# Commands over many files with something wrong, and what names it in the message.
WRONG_OPTIONS = [
    ([*VERIFY, '--workers', '0'], '--workers must be at least 1, not 0'),
    ([*VERIFY, '--frames', '0'], '--frames must be at least 1, not 0'),
    ([*VERIFY, '--json', FILE / 'a.json'], '--json .*README.md/a.json cannot be written'),
    ([*VERIFY, '--engine', 'ray', '--ray-address', '127.0.0.1:9'], 'No Ray cluster answers at 127.0.0.1:9|needs Ray'),
    ([*EXTRACT, 'never', '--jobs', '0'], '--jobs must be at least 1, not 0'),
    ([*EXTRACT, 'never', '--workers', '0'], '--workers must be at least 1, not 0'),
    ([*EXTRACT, 'never', '--batch-size', '0'], '--batch-size must be at least 1, not 0'),
    ([*EXTRACT, 'never', '--max-bad-videos', '-1'], '--max-bad-videos must be at least 0, not -1'),
    ([*EXTRACT, FILE], '--out .*README.md is a file. Name a folder'),
    ([*EXTRACT, FILE / 'a'], '--out .*README.md/a cannot be written to: Not a directory'),
    ([*PATCHES, '--jobs', '0'], '--jobs must be at least 1, not 0'),
    ([*PATCHES, '--workers', '-1'], '--workers must be at least 0, not -1'),
    ([*PREPARE, 'never', '--workers', '0'], '--workers must be at least 1, not 0'),
    ([*PREPARE, 'never', '--max-bad-videos', '-1'], '--max-bad-videos must be at least 0, not -1'),
    ([*PREPARE, FILE / 'a'], '--out .*README.md/a cannot be written to'),
    ([*PREPARE, 'never', '--metadata-out', FILE / 'a'], '--metadata-out .*README.md/a cannot be written to'),
    ([*INFER, '--jobs', '0'], '--jobs must be at least 1, not 0'),
    ([*INFER, '--workers', '0'], '--workers must be at least 1, not 0'),
    ([*INFER, '--batch-size', '0'], '--batch-size must be at least 1, not 0'),
    ([*INFER, '--fps', '0'], '--fps must be above 0, not 0'),
    ([*INFER, '--every', '0'], r'Frames to caption: --every \(every_s\) must be at least 0.001 seconds, not 0'),
    ([*INFER, '--out', FILE / 'a'], '--out .*README.md/a cannot be written to'),
    ([*INFER, '--report', FILE], '--report .*README.md is a file. Name a folder'),
    ([*INFER, '--save-video', FILE / 'a'], '--save-video .*README.md/a cannot be written to'),
    ([*INFER, '--heat-map', FILE / 'a'], '--heat-map .*README.md/a cannot be written to'),
    ([*WATCH, FILE], '--out .*README.md is a file. Name a folder'),
    ([*WATCH, FILE / 'a'], '--out .*README.md/a cannot be written to'),
    ([*COMPARE, 'never', '--cpus', '0'], '--cpus must be at least 1, not 0'),
    ([*COMPARE, FILE / 'a'], '--out .*README.md/a cannot be written to'),
]


@pytest.fixture(scope='module')
def option_refusals(tmp_path_factory):
    """What each command of WRONG_OPTIONS said and loaded."""
    metadata = tmp_path_factory.mktemp('clips') / 'metadata.csv'
    metadata.write_text('clip_id,video,split,species,behaviour\na,a.mp4,train,fox,runs\n')
    return run_all([[metadata if word == 'METADATA' else word for word in words] for words, _ in WRONG_OPTIONS])


OPTION_NAMES = [' '.join(map(str, words)).replace(f'{ROOT}/', '') for words, _ in WRONG_OPTIONS]


@pytest.mark.parametrize('number', range(len(WRONG_OPTIONS)), ids=OPTION_NAMES)
def test_a_wrong_number_or_folder_is_found_before_a_slow_package_loads(option_refusals, number):
    status, message, loaded = option_refusals[number]
    assert status == 2
    assert re.match(f'error: .*({WRONG_OPTIONS[number][1]})', message), message
    assert loaded == []


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
