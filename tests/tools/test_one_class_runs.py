"""What one-class methods measure on training data is in checkpoints: a resumed run equals an uninterrupted one."""

import pytest
import torch

from .tiny_methods import write_experiment


@pytest.mark.parametrize('name', ['mulde', 'mnad_ped2_small'])
def test_a_resumed_run_equals_an_uninterrupted_one(name, train, tmp_path):
    config = write_experiment(name, tmp_path / 'experiment', train)
    options = ['--cfg-options', 'max_epochs=2', 'val_interval=2', 'checkpoint_interval=1', 'sanity_check=False']
    train([str(config), '--work-dir', str(tmp_path / 'whole'), *options])
    first = tmp_path / 'whole' / 'epoch_1.pth'
    train([str(config), '--work-dir', str(tmp_path / 'resumed'), '--resume', str(first), *options])
    whole, resumed, before = (
        torch.load(path, weights_only=True)['state_dict']
        for path in (tmp_path / 'whole' / 'epoch_2.pth', tmp_path / 'resumed' / 'epoch_2.pth', first)
    )
    assert whole.keys() == resumed.keys()
    assert all(torch.equal(whole[key], resumed[key]) for key in whole)
    measured = next(key for key in whole if key.endswith('total_mean_std'))
    assert not torch.equal(whole[measured], before[measured])
