import numpy as np
import pytest
import torch

from vadlab.engine.hooks.calibration_hook import CalibrationHook
from vadlab.utils.errors import ConfigError

from ..toy import ToyModel


class Calibrated(ToyModel):
    """Keeps what it is given, and draws random numbers as a careless method may."""

    def calibrate(self, batches):
        seen = [[sample.video_id for sample in batch['data_samples']] for batch in batches]
        torch.rand(3)
        np.random.rand(2)  # noqa: NPY002
        self.seen = [*getattr(self, 'seen', []), seen]
        self.modes = [*getattr(self, 'modes', []), self.training]
        return sum(map(len, seen))


@pytest.fixture
def run(toy_runner, tmp_path):
    def make(name, hooks, **options):
        runner = toy_runner(tmp_path / name, hooks=hooks, **options)
        runner.bare_model.__class__ = Calibrated
        runner.train()
        return runner.bare_model

    return make


def test_samples_are_spread_evenly_and_the_same_in_each_epoch(run):
    model = run('even', [CalibrationHook(num_samples=3, batch_size=2)])
    assert model.seen == [[['video000', 'video004'], ['video007']]] * 2
    assert model.modes == [False, False]
    assert run('all', [CalibrationHook()]).seen == [[[f'video{i:03d}' for i in range(8)]]] * 2


def test_training_is_the_same_with_and_without_the_hook(run):
    states = [run(name, hooks).state_dict() for name, hooks in (('with', [CalibrationHook()]), ('without', []))]
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[1])


def test_a_model_without_scores_to_calibrate_is_refused(toy_runner):
    with pytest.raises(ConfigError, match='ToyModel has no scores to calibrate'):
        toy_runner(hooks=[CalibrationHook()]).train()


def test_numbers_below_one_are_refused():
    with pytest.raises(ConfigError, match='num_samples=0'):
        CalibrationHook(num_samples=0)


class Prepared(Calibrated):
    """Needs one look at all data before it learns."""

    is_prepared = False
    prepared_with = None

    def prepare(self, batches):
        self.prepared_with = [sample.video_id for batch in batches for sample in batch['data_samples']]
        return len(self.prepared_with)


def test_a_model_that_must_be_prepared_sees_all_data_once_before_training(toy_runner):
    for is_prepared, seen in ((False, [f'video{i:03d}' for i in range(8)]), (True, None)):
        runner = toy_runner(hooks=[CalibrationHook(num_samples=2)])
        runner.bare_model.__class__ = Prepared
        runner.bare_model.is_prepared = is_prepared
        runner.train()
        assert runner.bare_model.prepared_with == seen
