"""VERA through the commands: questions are learnt, kept, chosen by validation, resumed and used in a test."""

import json

import cv2
import numpy as np
import pytest

from tests.models.detectors.test_vera import learner
from tests.models.vlm.vlm_server import MODEL, VLMServer
from tests.tools.tiny_methods import ROOT

CONFIG = """
_base_ = ['{root}/configs/vera_demo.py']
data_root = '{data}'
ann_file = 'train.txt'
without = None
temporal_ann_file = 'intervals.txt'
classes = ('Normal', 'Arson')
held_out = 2
stride = 4
span = 8
num_frames = 2
max_epochs = 2
model_name = '{model}'
answer_cache = '{data}/answers.sqlite'
tensorboard = False
model = dict(refinement=[], tower=None, client=dict(first_delay_s=0.01))
"""


@pytest.fixture
def data(tmp_path):
    """Folders of grey frames: normal videos are dark, anomalous ones bright in their second half or as a whole."""
    folder = tmp_path / 'data'

    def write(name, first, second):
        (folder / 'Videos' / name).mkdir(parents=True)
        for i in range(12):
            grey = first if i < 8 else second
            cv2.imwrite(str(folder / 'Videos' / name / f'{i:03d}.png'), np.full((32, 48, 3), grey, np.uint8))

    names = [f'{kind}{i:03d}' for i in range(4) for kind in ('Normal_Videos', 'Arson')]
    for i, name in enumerate(names):
        grey = 230 - i if name.startswith('Arson') else 20 + i
        write(name, grey, grey)
    (folder / 'train.txt').write_text('\n'.join(names))
    write('Arson100', 30, 255)
    write('Normal_Videos100', 16, 17)
    (folder / 'intervals.txt').write_text('Arson100 Arson 8 12 -1 -1\nNormal_Videos100 Normal -1 -1 -1 -1\n')
    (tmp_path / 'vera.py').write_text(CONFIG.format(root=ROOT, data=folder, model=MODEL))
    return tmp_path


def test_questions_are_learnt_kept_and_used(train, test, data, capsys):
    work, config = data / 'work', str(data / 'vera.py')
    with VLMServer(learner) as server:
        address = ['--cfg-options', f'base_url={server.url}']
        train([config, '--work-dir', str(work), *address])
        asked = server.number
        train([config, '--work-dir', str(data / 'again'), *address])
        assert server.number == asked  # everything was in the cache
        out = data / 'metrics.json'
        assert test([config, str(work / 'epoch_2.pth'), '--out', str(out), *address]) == 0
        untrained = data / 'untrained.json'
        assert test([config, 'none', '--out', str(untrained), *address]) == 0
    files = sorted(path.name for path in (work / 'questions').iterdir())
    assert files == ['first.txt', 'step_000001.txt', 'validation.txt']
    assert 'bright light' in (work / 'questions/step_000001.txt').read_text()
    assert 'bright light' not in (work / 'questions/first.txt').read_text()
    assert (work / 'questions/validation.txt').read_text() == ('step 2 video/auc 1.0000\nstep 4 video/auc 1.0000\n')
    assert list(work.glob('best_video_auc_*.pth'))
    assert json.loads(out.read_text())['metrics']['frame/auc'] == 1.0
    assert json.loads(untrained.read_text())['metrics']['frame/auc'] == 0.5


def test_resumed_learning_continues_with_the_learnt_questions(train, data):
    work, config = data / 'work', str(data / 'vera.py')
    with VLMServer(learner) as server:
        options = ['--cfg-options', f'base_url={server.url}']
        train([config, '--work-dir', str(work), *options, 'max_epochs=1'])
        train([config, '--work-dir', str(work), '--resume', *options])
    lines = (work / 'questions/validation.txt').read_text().splitlines()
    assert [line.split()[1] for line in lines] == ['2', '4']
    assert sorted(path.name for path in (work / 'questions').glob('step_*')) == ['step_000001.txt']
