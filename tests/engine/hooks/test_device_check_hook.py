import logging

import pytest
from torch import nn

from vadlab.engine.hooks import device_check_hook
from vadlab.models.heads.mmdet_proposals import MMDetProposals
from vadlab.models.layers.roi_align import RoIAlign
from vadlab.utils.errors import MissingDependencyError


class _Runner:
    logger = logging.getLogger('test_device_check_hook')

    def __init__(self, part):
        self.bare_model = nn.Sequential(nn.Linear(1, 1), part)


@pytest.fixture
def messages(monkeypatch, caplog):
    """Runs the hook for a model with the given part, on a machine where mmcv has no ops; its log lines."""
    monkeypatch.setattr(device_check_hook, 'mmcv_ops_problem', lambda device_type: f'no ops for {device_type}')

    def run(part):
        with caplog.at_level(logging.INFO):
            device_check_hook.DeviceCheckHook().before_run(_Runner(part))
        return caplog.messages

    return run


def test_a_model_without_regions_does_not_need_mmcv(messages):
    (line,) = messages(nn.Linear(1, 1))
    assert 'parameters on cpu' in line


def test_a_model_with_regions_says_in_one_line_that_it_takes_the_plain_one(messages):
    (line,) = messages(nn.Sequential(RoIAlign(), RoIAlign()))[1:]
    assert line == 'RoIAlign in plain torch, with the same results: no ops for cpu'


def test_a_model_with_regions_says_nothing_where_mmcv_runs(caplog):
    with caplog.at_level(logging.INFO):
        device_check_hook.DeviceCheckHook().before_run(_Runner(RoIAlign()))
    assert len(caplog.messages) == 1


def test_a_detector_of_mmdetection_needs_the_ops(messages):
    with pytest.raises(MissingDependencyError, match='MMDetProposals needs the ops of mmcv: no ops for cpu'):
        messages(MMDetProposals('det.py'))


def test_an_experiment_without_regions_trains_without_mmcv(toy_runner, monkeypatch):
    monkeypatch.setattr(device_check_hook, 'mmcv_ops_problem', lambda device_type: f'no ops for {device_type}')
    runner = toy_runner()
    runner.train()
    assert runner.epoch == runner.max_epochs
