"""A method that is fitted, not trained by gradients, through all commands."""

import json

import cv2
import numpy as np
import pytest
import torch

from tests.models.detectors.test_attribute_detector import write_walk
from tools.verify import main as verify
from vadlab.apis.inferencers.vad_inferencer import VADInferencer

from .tiny_methods import ROOT

CONFIG = """
_base_ = ['{root}/configs/aivad_ped2_blobs.py']
data_root = '{data}'
min_speed = 0.8
min_area = 20
components = 2
smoothing = 'gaussian(1)'
cache_dir = '{cache}'
tensorboard = False
model = dict(min_objects=10)
"""


EXEMPLARS = """
_base_ = ['{root}/configs/exemplar_ped2.py']
data_root = '{data}'
cell = 4
region = 4
threshold = 0.05
tensorboard = False
"""
MULDE = CONFIG.replace(
    'model = dict(min_objects=10)',
    """model = dict(min_objects=10, attributes=dict(speed=dict(
    density=dict(_delete_=True, type='MULDEDensity', units=(32, 32), steps=150, lr=3e-3,
        sigma_low=0.05, components=2))))
""",
)


@pytest.fixture(scope='module')
def config(tmp_path_factory):
    folder = tmp_path_factory.mktemp('fit')
    data = folder / 'data'
    for i in range(2):
        write_walk(data / 'Train' / f'Train{i + 1:03d}', lambda i: 1 + i % 2)
    write_walk(data / 'Test' / 'Test001', lambda i: 5 if 12 <= i < 20 else 1 + i % 2)
    write_walk(data / 'Test' / 'Test002', lambda i: 1 + i % 2)
    for name, first in (('Test001', 12), ('Test002', 99)):
        masks = data / 'Test' / f'{name}_gt'
        masks.mkdir()
        for i in range(30):
            mask = np.zeros((64, 96), np.uint8)
            if first <= i < first + 8:
                mask[28:48] = 255
            cv2.imwrite(str(masks / f'{i:03d}.png'), mask)
    for name, text in (('fit', CONFIG), ('exemplars', EXEMPLARS), ('mulde', MULDE)):
        (folder / f'{name}.py').write_text(text.format(root=ROOT, data=data, cache=folder / 'cache'))
    return folder / 'fit.py'


def test_fit_and_test(config, train, test, tmp_path, capsys):
    work, out = tmp_path / 'work', tmp_path / 'metrics.json'
    train([str(config), '--work-dir', str(work)])
    test([str(config), str(work / 'epoch_1.pth'), '--out', str(out), '--work-dir', str(tmp_path / 'test')])
    metrics = json.loads(out.read_text())['metrics']
    assert metrics['one_class/auc_unsmoothed'] > 0.9
    assert {'one_class/macro_auc_gaussian1', 'one_class/auc_causal7', 'space/rbdc', 'pixel/auc'} <= set(metrics)
    state = torch.load(work / 'epoch_1.pth', weights_only=True)['state_dict']
    assert state['densities.speed.means'].shape[1] == 4
    # Without truth there are no metrics; the report shows each object beside the nearest normal one.
    report = ['--report', str(tmp_path / 'report'), '--work-dir', str(tmp_path / 'test')]
    test([str(config), str(work / 'epoch_1.pth'), *report, '--cfg-options', 'labels=none'])
    assert 'There are no metrics, because the test data has no truth for them. Scores' in capsys.readouterr().out
    assert list((tmp_path / 'report' / 'thumbs' / 'Test001').glob('example_*.jpg'))
    # A finished run has nothing left to do, and its checkpoint gives the same numbers.
    train([str(config), '--work-dir', str(work), '--resume'])
    again = torch.load(work / 'epoch_1.pth', weights_only=True)['state_dict']
    assert all(torch.equal(state[key], again[key]) for key in state)


# Exemplars belong to places, so that walking where nobody walked before scores, too.
@pytest.mark.parametrize(('name', 'least'), [('exemplars', 0.8), ('mulde', 0.9)])
def test_other_methods_and_densities_find_the_runner(name, least, config, train, test, tmp_path):
    config, out = config.with_name(f'{name}.py'), tmp_path / 'metrics.json'
    train([str(config), '--work-dir', str(tmp_path / 'work')])
    checkpoint = str(tmp_path / 'work' / 'epoch_1.pth')
    test([str(config), checkpoint, '--out', str(out), '--work-dir', str(tmp_path / 'test')])
    metrics = json.loads(out.read_text())['metrics']
    assert metrics['one_class/auc_unsmoothed'] > least
    assert {'space/rbdc', 'space/tbdc', 'pixel/auc'} <= set(metrics)


def test_any_video_is_scored_with_boxes_and_reasons(config, train, tmp_path):
    train([str(config), '--work-dir', str(tmp_path)])
    test_clips = config.parent / 'data' / 'Test'
    inferencer = VADInferencer(config, tmp_path / 'epoch_1.pth')
    run, walk = (next(iter(inferencer(str(test_clips / name), boxes=True))) for name in ('Test001', 'Test002'))
    assert (run.error, walk.error) == (None, None)
    assert len(run.scores) == 30
    event = max(run.events, key=lambda event: event.score)
    assert 10 <= event.peak < 22
    assert event.label == 'object'
    assert event.reason.startswith('speed: ')
    assert run.scores.max() > walk.scores.max()
    running = (run.boxes.frame_inds >= 12) & (run.boxes.frame_inds < 20)
    assert running.sum() >= 5
    assert any(run.boxes.reasons)


def test_an_interrupted_pass_goes_on_with_the_measured_clips(config, train, tmp_path, monkeypatch):
    from vadlab.models.detectors.attribute_detector import AttributeDetector

    def stop(self, seed=0):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(AttributeDetector, 'fit', stop)
        with pytest.raises((KeyboardInterrupt, SystemExit, AssertionError)):
            train([str(config), '--work-dir', str(tmp_path), '--cfg-options', 'sanity_check=False'])
    from vadlab.models.detectors.clip_objects import ObjectStream

    def measured_again(self, path):
        raise AssertionError(f'{path} was measured again')

    monkeypatch.setattr(ObjectStream, 'extract', measured_again)
    train([str(config), '--work-dir', str(tmp_path), '--resume'])
    assert (tmp_path / 'epoch_1.pth').is_file()


def test_dry_run_and_verify(config, train, capsys):
    train([str(config), '--dry-run'])
    assert verify([str(config), '--workers', '1']) == 0
    assert 'sanity check' in capsys.readouterr().out
