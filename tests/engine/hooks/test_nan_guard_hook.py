import pytest
import torch

from vadlab.checkpoints.checkpoint_io import latest_checkpoint, read_checkpoint
from vadlab.utils.errors import TrainingError

EVERY_ITERATION = {'default_hooks.checkpoint.by_epoch': False, 'default_hooks.checkpoint.interval': 1}


def test_last_good_checkpoint_is_named_and_good(toy_runner, tmp_path):
    runner = toy_runner(tmp_path / 'run', poison=5, sanity_check=False, **EVERY_ITERATION)
    with pytest.raises(TrainingError, match=r'video005.* The last good checkpoint is .*iter_2\.pth'):
        runner.train()
    weights = read_checkpoint(latest_checkpoint(tmp_path / 'run'))['state_dict']
    assert all(torch.isfinite(v.float()).all() for v in weights.values())


def test_gradient_that_is_not_finite_names_all_accumulated_samples(toy_runner, monkeypatch):
    runner = toy_runner(sanity_check=False, accumulative_counts=2)
    runner.model.layer.weight.register_hook(lambda grad: grad * float('inf'))
    with pytest.raises(
        TrainingError, match=r'iteration 2 .* gradient norm is (nan|inf)\. Samples: (video\d+, ){3}video\d+\.'
    ):
        runner.train()


def test_with_several_processes_the_samples_of_this_one_are_not_blamed_for_the_common_gradient(toy_runner, monkeypatch):
    runner = toy_runner(sanity_check=False)
    monkeypatch.setattr('vadlab.engine.runner.VADRunner.world_size', 2)
    runner.model.layer.weight.register_hook(lambda grad: grad * float('inf'))
    with pytest.raises(TrainingError, match=r'over all processes is (nan|inf)\. Samples of this process: v'):
        runner.train()


def test_weights_are_looked_at_when_asked(toy_runner):
    runner = toy_runner(sanity_check=False, nan_check_weights_every=1, **{'optim_wrapper.clip_grad': None})
    runner.model.layer.weight.register_hook(lambda grad: grad * float('nan'))
    with pytest.raises(TrainingError, match=r'1 weights are not finite \(first: layer\.weight\)'):
        runner.train()
