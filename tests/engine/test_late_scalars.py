"""Values that are read one step late, as on a GPU. Oracle: the same run with values that are read at once."""

import pytest
import torch

from vadlab.checkpoints.checkpoint_io import latest_checkpoint, read_checkpoint
from vadlab.engine import late_scalars
from vadlab.engine.hooks import nan_guard_hook, runtime_info_hook
from vadlab.engine.late_scalars import LateScalars
from vadlab.utils.errors import TrainingError

EVERY_ITERATION = {'default_hooks.checkpoint.by_epoch': False, 'default_hooks.checkpoint.interval': 1}


class SlowScalars(LateScalars):
    """Scalars that have not arrived until they are read, on a CPU."""

    most_waiting = waiting = 0

    def __init__(self, values):
        super().__init__(values)
        self.arrived = False
        SlowScalars.waiting += 1

    @property
    def is_late(self):
        SlowScalars.most_waiting = max(SlowScalars.most_waiting, SlowScalars.waiting)
        return not self.arrived

    def read(self):
        self.arrived = True
        SlowScalars.waiting -= 1
        return super().read()


@pytest.fixture
def slow(monkeypatch):
    SlowScalars.most_waiting = SlowScalars.waiting = 0
    for module in (nan_guard_hook, runtime_info_hook):
        monkeypatch.setattr(module, 'LateScalars', SlowScalars)
    return SlowScalars


def history(runner):
    scalars = runner.message_hub.log_scalars.items()
    return {name: scalar.data[0].tolist() for name, scalar in scalars if 'time' not in name}


def test_a_late_run_logs_and_saves_the_same(toy_runner, tmp_path, monkeypatch, slow):
    with monkeypatch.context() as undone:
        for module in (nan_guard_hook, runtime_info_hook):
            undone.setattr(module, 'LateScalars', LateScalars)
        prompt = toy_runner(tmp_path / 'prompt', log_interval=3, **EVERY_ITERATION)
        prompt.train()
    late = toy_runner(tmp_path / 'late', log_interval=3, **EVERY_ITERATION)
    late.train()
    assert slow.most_waiting >= 2
    assert slow.waiting == 0
    assert history(late) == history(prompt)
    assert len(history(late)['train/grad_norm']) == 8
    saved = [
        read_checkpoint(tmp_path / name / 'iter_7.pth')['message_hub']['log_scalars'] for name in ('prompt', 'late')
    ]
    assert saved[0].keys() == saved[1].keys()
    assert str(saved[0]['train/loss_a']) == str(saved[1]['train/loss_a'])


def test_a_late_nan_names_its_own_samples_and_is_never_saved(toy_runner, tmp_path, slow):
    runner = toy_runner(tmp_path / 'run', poison=5, sanity_check=False, **EVERY_ITERATION)
    with pytest.raises(TrainingError, match=r'iteration 3 .*video005.* The last good checkpoint is .*iter_2\.pth'):
        runner.train()
    weights = read_checkpoint(latest_checkpoint(tmp_path / 'run'))['state_dict']
    assert all(torch.isfinite(v.float()).all() for v in weights.values())


def test_a_late_nan_without_checkpoints_is_found_one_iteration_later(toy_runner, slow):
    runner = toy_runner(poison=5, sanity_check=False)
    with pytest.raises(TrainingError, match=r'iteration 3 \(epoch 1\): .*loss_a.* is not finite\. Samples: .*video005'):
        runner.train()
    assert runner.iter == 3  # counted from 0: iteration 4


def test_values_keep_their_order_and_numbers_are_not_tensors():
    scalars = late_scalars.LateScalars({'b': torch.tensor([2.5]), 'a': 1})
    assert not scalars.is_late
    assert list(scalars.read().items()) == [('b', 2.5), ('a', 1.0)]
