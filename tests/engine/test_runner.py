from pathlib import Path

import pytest
import torch
from mmengine.hooks import Hook
from mmengine.logging import MMLogger

from vadlab.checkpoints.checkpoint_io import latest_checkpoint, read_checkpoint
from vadlab.engine.runner import VADRunner
from vadlab.utils.errors import CheckpointError, ConfigError, TrainingError

EVERY_ITERATION = {'default_hooks.checkpoint.by_epoch': False, 'default_hooks.checkpoint.interval': 1}


class StopAfter(Hook):
    """Kills the run when so many iterations are done, after everything else of that iteration."""

    priority = 'LOWEST'

    def __init__(self, iterations):
        self.iterations = iterations

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        if runner.iter + 1 == self.iterations:
            raise KeyboardInterrupt


def weights(runner):
    return {k: v.clone() for k, v in runner.bare_model.state_dict().items()}


@pytest.mark.parametrize('stop_at', [1, 3, 4, 5])
def test_resumed_run_equals_run_never_stopped(toy_runner, tmp_path, stop_at):
    straight = toy_runner(**EVERY_ITERATION)
    straight.train()

    killed = toy_runner(tmp_path / 'killed', hooks=[StopAfter(stop_at)], **EVERY_ITERATION)
    with pytest.raises(KeyboardInterrupt):
        killed.train()
    checkpoint = latest_checkpoint(tmp_path / 'killed')
    assert checkpoint.name == f'iter_{stop_at}.pth'
    torch.manual_seed(999)  # the new process starts with other generators
    resumed = toy_runner(tmp_path / 'killed', resume=checkpoint, **EVERY_ITERATION)
    resumed.train()

    assert resumed.iter == straight.iter == 8
    for name, value in weights(straight).items():
        torch.testing.assert_close(weights(resumed)[name], value, rtol=0, atol=0, msg=name)
    lr = [[g['lr'] for g in r.optim_wrapper.optimizer.param_groups] for r in (straight, resumed)]
    assert lr[0] == lr[1]


def test_resume_between_epochs_equals_run_never_stopped(toy_runner, tmp_path):
    straight = toy_runner()
    straight.train()
    killed = toy_runner(tmp_path / 'killed', hooks=[StopAfter(6)])
    with pytest.raises(KeyboardInterrupt):
        killed.train()
    resumed = toy_runner(tmp_path / 'killed', resume=latest_checkpoint(tmp_path / 'killed'))
    resumed.train()
    for name, value in weights(straight).items():
        torch.testing.assert_close(weights(resumed)[name], value, rtol=0, atol=0, msg=name)


def test_sanity_check_and_validation_leave_training_as_it_is(toy_runner):
    plain = toy_runner(**{'default_hooks.sanity_check.priority': 'VERY_HIGH', 'val_interval': 1})
    plain.train()
    config_without = {'val_interval': 1000}
    other = toy_runner(**config_without)
    other.cfg.sanity_check = False
    other.train()
    for name, value in weights(plain).items():
        torch.testing.assert_close(weights(other)[name], value, rtol=0, atol=0, msg=name)


@pytest.mark.parametrize(('accumulative_counts', 'steps'), [(1, 8), (2, 4), (3, 3)])
def test_steps_are_optimizer_steps(toy_runner, accumulative_counts, steps):
    runner = toy_runner(accumulative_counts=accumulative_counts)
    runner.train()
    assert runner.bare_model.max_steps == runner.max_steps == steps
    assert runner.bare_model.steps.item() == steps
    # 8 batches of training (the sanity check is not counted) and the schedule saw `steps` steps
    assert runner.bare_model.batches.item() == 8
    assert runner.param_schedulers[0].steps == steps
    assert runner.param_schedulers[0]._global_step == steps


def test_resume_under_another_model_says_what_differs(toy_runner, tmp_path):
    toy_runner(tmp_path / 'run').train()
    runner = toy_runner(tmp_path / 'run', resume=tmp_path / 'run' / 'epoch_2.pth', lr_scale=7.0)
    with pytest.raises(ConfigError, match=r'temperatures\.lr: 0\.01 -> 0\.0007'):
        runner.train()
    runner = toy_runner(
        tmp_path / 'run', resume=tmp_path / 'run' / 'epoch_2.pth', lr_scale=7.0, allow_config_change=True, max_epochs=3
    )
    runner.train()
    assert runner.epoch == 3


def test_checkpoint_of_another_model_names_its_keys(toy_runner, tmp_path):
    toy_runner(tmp_path / 'run').train()
    runner = toy_runner(load_from=str(tmp_path / 'run' / 'epoch_1.pth'), width=6)
    before = weights(runner)
    with pytest.raises(CheckpointError, match=r'another model.*layer\.weight \(4, 4\) in the file, \(6, 4\)'):
        runner.train()
    assert torch.equal(before['logit_scale'], weights(runner)['logit_scale'])


def test_best_checkpoint_cannot_be_resumed_from(toy_runner, tmp_path):
    toy_runner(tmp_path / 'run').train()
    best = next((tmp_path / 'run').glob('best_*.pth'))
    with pytest.raises(CheckpointError, match='contains only weights'):
        toy_runner(tmp_path / 'run', resume=best).train()


def test_checkpoint_carries_config_versions_and_state(toy_runner, tmp_path):
    toy_runner(tmp_path / 'run').train()
    checkpoint = read_checkpoint(tmp_path / 'run' / 'epoch_2.pth')
    assert "type='ToyModel'" in checkpoint['meta']['cfg']
    assert 'lr_scale' not in checkpoint['meta']['cfg']  # variables are resolved
    assert set(checkpoint['meta']['versions']) == {'vadlab', 'torch', 'mmengine'}
    assert {'python', 'numpy', 'torch'} <= set(checkpoint['random_state'])


def test_newest_three_checkpoints_and_the_best_are_kept(toy_runner, tmp_path):
    toy_runner(tmp_path / 'run', max_epochs=6).train()
    names = sorted(p.name for p in (tmp_path / 'run').glob('*.pth'))
    assert names[1:] == ['epoch_4.pth', 'epoch_5.pth', 'epoch_6.pth']
    assert names[0].startswith('best_toy_closeness_epoch_')


def test_training_ends_on_a_sample_that_is_not_finite(toy_runner, tmp_path):
    runner = toy_runner(tmp_path / 'run', poison=5, sanity_check=False)
    with pytest.raises(TrainingError, match=r'loss, loss_a is not finite. Samples: .*video005'):
        runner.train()


def test_misspelled_option_names_the_nearest(toy_config):
    with pytest.raises(ConfigError, match="takes no option 'max_epoch'. Did you mean 'max_epochs'"):
        toy_config(**{'train_cfg.max_epoch': 3})
    config = toy_config()
    config.train_cfg.max_epoch = 3  # a config that was changed after it was loaded
    with pytest.raises(ConfigError, match="takes no option 'max_epoch'. Did you mean 'max_epochs'"):
        VADRunner.from_cfg(config)


def test_unknown_part_names_the_nearest(toy_config):
    with pytest.raises(ConfigError, match=r"model\.type: there is no part called 'ToyModle'. Did you mean 'ToyModel'"):
        toy_config(**{'model.type': 'ToyModle'})


def test_unknown_dataset_option(toy_config):
    with pytest.raises(ConfigError, match="ToyDataset takes no option 'lenght'. Did you mean 'length'"):
        toy_config(**{'train_dataloader.dataset.lenght': 3})


def test_epoch_schedule_converted_to_batches_is_refused(toy_config):
    config = toy_config()
    config.param_scheduler = dict(type='LinearLR', begin=0, end=1, by_epoch=True, convert_to_iter_based=True)
    with pytest.raises(ConfigError, match='counts batches'):
        VADRunner.from_cfg(config).train()


def test_what_a_library_refuses_is_one_message(toy_config):
    config = toy_config()
    config.param_scheduler = dict(type='LinearLR', begin=3, end=1, by_epoch=True)
    with pytest.raises(ConfigError, match='LinearLR cannot be built with these options: end should be larger'):
        VADRunner.from_cfg(config).train()


@pytest.mark.parametrize(
    ('option', 'value', 'message'),
    [
        ('train_dataloader.persistent_workers', True, 'persistent_workers option needs num_workers > 0'),
        ('custom_hooks', [{'type': 'DiagnosticsHook', 'priority': 'SOON'}], "'SOON' is not a priority of a hook"),
        ('default_hooks.logger.priority', 1000, 'priority must be between 0 and 100'),
        ('optim_wrapper.paramwise_cfg.groups.rest.pattern', '(', r"the pattern '\(' of group 'rest' is not a regular"),
        ('train_dataloader.drop_last', True, 'A data loader of 8 samples has no batch: batch_size=100'),
    ],
)
def test_what_is_refused_when_parts_are_built_is_one_message(toy_config, option, value, message):
    with pytest.raises(ConfigError, match=message):
        VADRunner.from_cfg(toy_config(**{option: value, 'batch_size': 100})).train()


def test_terminal_is_quiet_and_file_is_not(toy_runner, tmp_path, capsys):
    runner = toy_runner(tmp_path / 'run')
    runner.train()
    MMLogger.get_current_instance()
    printed = ''.join(capsys.readouterr())
    assert 'Epoch(train)' in printed
    assert 'System environment' not in printed
    assert 'FileClient' not in printed
    log = next((tmp_path / 'run').glob('*/*.log')).read_text()
    assert 'System environment' in log
    assert 'rest_lr' in log


def test_dry_run_reports_losses_and_metrics(toy_runner):
    found = toy_runner().dry_run()
    assert set(found) == {'loss', 'loss_a', 'loss_b', 'val/toy/closeness'}
    assert found['loss'] == pytest.approx(found['loss_a'] + found['loss_b'])


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        ({'param_scheduler.by_epoch': True}, 'counts optimizer steps'),
        ({'optim_wrapper.paramwise_cfg.groups.rest.pattern': 'none'}, 'match no parameter'),
    ],
)
def test_a_mistake_in_the_config_leaves_no_log(toy_config, tmp_path, options, message):
    config = toy_config(**options)
    work_dir = Path(config.work_dir)
    with pytest.raises(ConfigError, match=message):
        VADRunner.from_cfg(config).train()
    assert not work_dir.exists()
    # What was in the folder before, stays.
    work_dir.mkdir()
    (work_dir / 'notes.txt').write_text('mine')
    with pytest.raises(ConfigError, match=message):
        VADRunner.from_cfg(toy_config(work_dir, **options)).train()
    assert [path.name for path in work_dir.iterdir()] == ['notes.txt']


def test_a_run_that_has_begun_keeps_its_log(toy_runner, tmp_path):
    runner = toy_runner(poison=2, sanity_check=False)
    with pytest.raises(TrainingError):
        runner.train()
    assert list(Path(runner.work_dir).rglob('*.log'))


@pytest.mark.parametrize('key', ['cfg', 'config'])
@pytest.mark.parametrize('command', ['resume', 'load_from'])
def test_a_config_in_a_checkpoint_is_never_run(toy_runner, tmp_path, key, command):
    toy_runner(tmp_path / 'run').train()
    checkpoint = read_checkpoint(tmp_path / 'run' / 'epoch_1.pth')
    witness = tmp_path / 'ran'
    checkpoint['meta'][key] = f'{checkpoint["meta"]["cfg"]}\nopen({str(witness)!r}, "w")\n'
    torch.save(checkpoint, tmp_path / 'hostile.pth')
    if command == 'load_from':  # neither key is read
        toy_runner(load_from=str(tmp_path / 'hostile.pth')).train()
    elif key == 'config':  # MMEngine's name for it
        toy_runner(resume=tmp_path / 'hostile.pth').train()
    else:
        with pytest.raises(CheckpointError, match=r'hostile\.pth: its saved config .* more than assignments'):
            toy_runner(resume=tmp_path / 'hostile.pth').train()
    assert not witness.exists()


def test_runs_of_one_second_have_logs_of_their_own(toy_config, tmp_path, monkeypatch):
    monkeypatch.setattr('mmengine.runner.runner.time.time', lambda: 1e9)
    config = toy_config(max_epochs=1)
    for name in ('a', 'b'):
        config.work_dir = str(tmp_path / name)
        VADRunner.from_cfg(config).train()
    for name in ('a', 'b'):
        (log,) = (tmp_path / name).glob('*/*.log')
        assert f'Work dir: {tmp_path / name} ' in log.read_text()
        assert 'Epoch(train) [1]' in log.read_text()


def test_runs_of_one_second_in_one_folder_have_log_folders_of_their_own(toy_config, tmp_path, monkeypatch):
    monkeypatch.setattr('mmengine.runner.runner.time.strftime', lambda *_: '20260101_120000')
    config = toy_config(tmp_path / 'run')
    VADRunner.from_cfg(config).train()
    before = next((tmp_path / 'run').glob('*/*.log')).read_text()
    config.load_from, config.train_dataloader, config.train_cfg, config.optim_wrapper = None, None, None, None
    config.param_scheduler = None
    for _ in range(2):
        VADRunner.from_cfg(config).test()
    logs = [path.relative_to(tmp_path / 'run').as_posix() for path in sorted((tmp_path / 'run').glob('*/*.log'))]
    assert logs == [f'{name}/{name}.log' for name in ('20260101_120000', '20260101_120000_2', '20260101_120000_3')]
    assert (tmp_path / 'run' / logs[0]).read_text() == before


def test_processes_that_find_different_checkpoints_do_not_train(toy_runner, tmp_path, monkeypatch):
    toy_runner(tmp_path / 'run', max_epochs=1).train()
    runner = toy_runner(tmp_path / 'run', resume=tmp_path / 'run/epoch_1.pth', max_epochs=2)
    monkeypatch.setattr('vadlab.engine.runner.all_gather_object', lambda mine: [mine, None])
    with pytest.raises(ConfigError, match=r'different checkpoints: epoch_1\.pth, none\. All machines need'):
        runner.train()
    assert runner.iter == 0
