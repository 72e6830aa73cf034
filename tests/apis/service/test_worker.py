"""The process that scores: a tiny FG-CLIP, run here, writes what the service serves."""

import json
import re

import numpy as np
import pytest
import torch

from tests.tools import tiny_ucf
from vadlab.apis.inferencers.vad_inferencer import VADInferencer
from vadlab.apis.service import schemas
from vadlab.apis.service.worker import ModelChoice, describe, load_inferencer, score_upload
from vadlab.registry import MODELS
from vadlab.utils.config import load_config
from vadlab.utils.errors import CheckpointError, ConfigError
from vadlab.utils.setup_env import register_all_modules

from . import hostile_files

ROOT = tiny_ucf.__file__.rpartition('/tests/')[0]


@pytest.fixture(scope='module')
def choice(tmp_path_factory):
    """A tiny model on disk."""
    folder = tmp_path_factory.mktemp('model')
    config = folder / 'tinyservice.py'
    config.write_text(tiny_ucf.CONFIG.format(root=ROOT, data=folder))
    register_all_modules()
    torch.manual_seed(0)
    model = MODELS.build(load_config(config).model)
    torch.nn.init.normal_(model.visual_projection.weight)
    torch.save({'state_dict': model.state_dict()}, folder / 'weights.pth')
    return ModelChoice(str(config), str(folder / 'weights.pth'), 'cpu', data=str(folder))


@pytest.fixture(scope='module')
def inferencer(choice):
    return load_inferencer(choice)


def test_results_are_those_of_the_inferencer(choice, inferencer, video, tmp_path):
    told = []
    outcome = score_upload(inferencer, video, 'My "clip".mp4', tmp_path / 'out', tell=lambda *step: told.append(step))
    (expected,) = VADInferencer(choice.config, choice.checkpoint, 'cpu')(str(video))
    result = json.loads((tmp_path / 'out' / 'result.json').read_text())
    frames = json.loads((tmp_path / 'out' / 'frames.json').read_text())
    np.testing.assert_allclose(frames['scores'], expected.scores, rtol=0, atol=1e-6)
    np.testing.assert_array_equal(frames['times_s'], expected.times)
    assert result['name'] == 'My "clip".mp4'
    assert [event['start'] for event in result['events']] == [event.start for event in expected.events]
    assert outcome['summary']['events'] == len(expected.events)
    assert json.loads((tmp_path / 'out' / 'outcome.json').read_text()) == outcome
    assert told[0] == ('scoring', None)
    assert ('scoring', 1.0) in told
    assert told[-1] == ('report', None)
    # As OpenAPI describes them.
    schemas.ResultAnswer.model_validate(result)
    schemas.FramesAnswer.model_validate(frames)
    assert result.keys() == schemas.ResultAnswer.model_fields.keys()


def test_pages_name_no_folder_of_the_machine(choice, inferencer, video, tmp_path):
    outcome = score_upload(inferencer, video, 'clip.mp4', tmp_path / 'out')
    page = (tmp_path / 'out' / 'report' / outcome['page']).read_text()
    assert 'tinyservice.py' in page
    for folder in (str(video.parent), choice.data, str(tmp_path)):
        assert folder not in page
        assert folder not in json.dumps(describe(inferencer))
        assert folder not in (tmp_path / 'out' / 'report' / 'index.html').read_text()


def test_a_hostile_name_is_escaped(inferencer, video, tmp_path):
    name = '"><script>alert(1)</script>.mp4'
    outcome = score_upload(inferencer, video, name, tmp_path / 'out')
    assert re.fullmatch(r'pages/[\w.-]+\.html', outcome['page'])
    assert '<script>alert' not in (tmp_path / 'out' / 'report' / outcome['page']).read_text()


@pytest.mark.parametrize('kind', ['no frame decodes', 'missing', 'cut'])
def test_a_video_that_cannot_be_scored_has_an_error_with_its_own_name(inferencer, video, tmp_path, kind):
    upload = tmp_path / 'video.mp4'
    if kind == 'no frame decodes':
        hostile_files.write_with_claimed_samples(upload, video, 10**6)
    elif kind == 'cut':
        upload.write_bytes(video.read_bytes()[:9000])
    outcome = score_upload(inferencer, upload, 'clip.mp4', tmp_path / 'out')
    assert outcome['error']['code'] == 'unreadable'
    assert 'clip.mp4' in outcome['error']['message']
    assert str(tmp_path) not in outcome['error']['message']


def test_a_fault_of_the_program_is_an_error_of_the_job(inferencer, video, tmp_path, monkeypatch, capsys):
    def fail(*args, **options):
        raise ZeroDivisionError('a fault')

    monkeypatch.setattr(inferencer, 'scorer', fail)
    outcome = score_upload(inferencer, video, 'clip.mp4', tmp_path / 'out')
    assert outcome['error'] == {'code': 'internal', 'message': 'ZeroDivisionError: a fault'}
    assert 'Traceback' in capsys.readouterr().err


def test_a_model_that_cannot_be_used_is_named(choice, tmp_path):
    with pytest.raises(ConfigError, match='takes no prompts|prompts'):
        load_inferencer(ModelChoice(**{**vars(choice), 'negatives': ['a street']}))
    torch.save({'state_dict': {'other.weight': torch.zeros(2)}}, tmp_path / 'other.pth')
    with pytest.raises(CheckpointError):
        load_inferencer(ModelChoice(**{**vars(choice), 'checkpoint': str(tmp_path / 'other.pth')}))
