"""Resumed runs equal runs that were never stopped, or say what changed."""

import shutil

import pytest
import torch
from mmengine.hooks import Hook

from vadlab.checkpoints.checkpoint_io import latest_checkpoint, read_checkpoint
from vadlab.utils.errors import CheckpointError, ConfigError

EVERY_ITERATION = {'default_hooks.checkpoint.by_epoch': False, 'default_hooks.checkpoint.interval': 1}


class StopAt(Hook):
    """Ends the run at a stage of an epoch, counted from 1, before any other hook of that stage."""

    priority = 0

    def __init__(self, stage, count):
        self.left = count
        setattr(self, stage, self._stop)

    def _stop(self, runner, *args, **kwargs):
        self.left -= 1
        if not self.left:
            raise KeyboardInterrupt


class Validations(Hook):
    """Notes the score of each validation."""

    priority = 'LOWEST'

    def __init__(self):
        self.scores = {}

    def after_val_epoch(self, runner, metrics=None):
        self.scores[runner.epoch] = metrics['toy/closeness']


def assert_same(one, other):
    ours, theirs = one.bare_model.state_dict(), other.bare_model.state_dict()
    for name, value in ours.items():
        torch.testing.assert_close(theirs[name], value, rtol=0, atol=0, msg=name)
    states = [runner.optim_wrapper.optimizer.state_dict()['state'] for runner in (one, other)]
    for key, state in states[0].items():
        for name, value in state.items():
            assert torch.equal(torch.as_tensor(states[1][key][name]), torch.as_tensor(value)), name


def interrupted(toy_runner, work_dir, stage, count, hooks=(), **options):
    """Stop a run at a stage, then resume it to its end."""
    killed = toy_runner(work_dir, hooks=[StopAt(stage, count), *hooks], **options)
    with pytest.raises(KeyboardInterrupt):
        killed.train()
    torch.manual_seed(999)  # the new process starts with other generators
    resumed = toy_runner(work_dir, resume=latest_checkpoint(work_dir), hooks=hooks, **options)
    resumed.train()
    return resumed


@pytest.mark.parametrize('workers', [1, 4])
def test_workers_do_not_change_what_is_trained(toy_runner, workers):
    alone = toy_runner()
    alone.train()
    helped = toy_runner(**{'train_dataloader.num_workers': workers})  # which seeds the generators again
    helped.train()
    assert_same(alone, helped)


def test_epochs_and_samples_draw_differently(toy_runner):
    dataloader = toy_runner().build_dataloader(toy_runner()._train_dataloader, seed=3)
    drawn = []
    for epoch in (0, 1, 0):
        dataloader.batch_sampler.start_epoch(epoch)
        dataloader.batch_sampler.sampler.set_epoch(epoch)
        batches = [torch.stack(batch['inputs']) % 1 for batch in dataloader]
        drawn.append(torch.cat(batches)[:, 0].tolist())
    assert drawn[0] == drawn[2]
    assert len({round(x, 5) for x in drawn[0] + drawn[1]}) == 16


def test_loading_leaves_the_generators_of_the_model_alone(toy_runner):
    dataloader = toy_runner().build_dataloader(toy_runner()._train_dataloader, seed=3)
    torch.manual_seed(5)
    expected = torch.rand(2)
    torch.manual_seed(5)
    list(dataloader)
    assert torch.equal(torch.rand(2), expected)


@pytest.mark.parametrize(('stop_at', 'workers'), [(2, 2), (4, 0), (5, 0)])
def test_iteration_checkpoints_with_workers_and_accumulation(toy_runner, tmp_path, stop_at, workers):
    options = {**EVERY_ITERATION, 'accumulative_counts': 3, 'train_dataloader.num_workers': workers}
    straight = toy_runner(**options)
    straight.train()
    resumed = interrupted(toy_runner, tmp_path / 'run', 'before_train_iter', stop_at + 1, **options)
    assert resumed.iter == straight.iter == 8
    assert resumed.bare_model.steps.item() == 3
    assert_same(straight, resumed)


def test_gradients_that_wait_at_an_epochs_end(toy_runner, tmp_path):
    straight = toy_runner(accumulative_counts=3)
    straight.train()
    resumed = interrupted(toy_runner, tmp_path / 'run', 'before_train_iter', 6, accumulative_counts=3)
    assert_same(straight, resumed)


def test_gradients_of_another_accumulation_are_dropped_and_told(toy_runner, tmp_path, capsys):
    options = {'accumulative_counts': 2, 'allow_config_change': True, 'max_epochs': 2}
    killed = toy_runner(tmp_path / 'run', accumulative_counts=3, hooks=[StopAt('before_train_iter', 6)])
    with pytest.raises(KeyboardInterrupt):
        killed.train()
    resumed = toy_runner(tmp_path / 'run', resume=tmp_path / 'run' / 'epoch_1.pth', **options)
    resumed.train()
    assert 'the gradients of 1 batches that waited for a step are dropped' in ''.join(capsys.readouterr())
    assert resumed.bare_model.steps.item() == 1 + 2  # of epoch 1, of the 4 batches of epoch 2


@pytest.mark.parametrize('options', [{}, EVERY_ITERATION])
@pytest.mark.parametrize(('stage', 'count'), [('before_val', 2), ('after_val_iter', 2), ('before_save_checkpoint', 4)])
def test_a_validation_that_was_due_is_made_up_for(toy_runner, tmp_path, stage, count, options):
    expected, found = Validations(), Validations()
    straight = toy_runner(tmp_path / 'straight', hooks=[expected], max_epochs=3, **options)
    straight.train()
    resumed = interrupted(toy_runner, tmp_path / 'run', stage, count, hooks=[found], max_epochs=3, **options)
    assert_same(straight, resumed)
    assert found.scores == expected.scores
    names = [sorted(p.name for p in (tmp_path / run).glob('*.pth')) for run in ('straight', 'run')]
    assert names[0] == names[1]


def test_early_stopping_counts_a_validation_once(toy_runner, tmp_path):
    hook = dict(type='EarlyStoppingHook', monitor='toy/closeness', rule='less', patience=2)
    options = {'max_epochs': 8, 'custom_hooks': [hook], 'save_best_rule': 'less'}
    straight = toy_runner(tmp_path / 'straight', **options)
    straight.train()
    for count in range(1, straight.epoch + 1):
        work_dir = tmp_path / f'run{count}'
        resumed = interrupted(toy_runner, work_dir, 'before_val', count, **options)
        assert resumed.epoch == straight.epoch
        best = sorted(p.name for p in work_dir.glob('best*'))
        assert best == sorted(p.name for p in (tmp_path / 'straight').glob('best*'))


def test_leftover_of_the_best_checkpoint_before_is_removed(toy_runner, tmp_path):
    run = tmp_path / 'run'
    toy_runner(run, max_epochs=2).train()
    best = next(run.glob('best_*'))
    assert best.name == 'best_toy_closeness_epoch_2.pth'
    shutil.copy(best, run / 'best_toy_closeness_epoch_1.pth')  # the run was killed before it removed this
    shutil.copy(best, run / 'best_mine.pth')
    toy_runner(run, resume=latest_checkpoint(run), max_epochs=2).train()
    assert sorted(p.name for p in run.glob('best_*')) == ['best_mine.pth', 'best_toy_closeness_epoch_2.pth']


# ---- changed settings -----------------------------------------------------------------------------------------------


def lines_of(capsys):
    return [line for line in ''.join(capsys.readouterr()).splitlines() if 'Epoch(train)' in line]


@pytest.mark.parametrize(
    ('change', 'told', 'batches'),
    [
        ({'batch_size': 4}, 'batch_size: 2 -> 4', 2),
        ({'batch_size': 1}, 'batch_size: 2 -> 1', 8),
        ({'length': 6}, 'training samples: 8 -> 6', 3),
        ({'length': 11}, 'training samples: 8 -> 11', 6),
    ],
)
@pytest.mark.parametrize('options', [{}, EVERY_ITERATION])
def test_other_batches_after_an_epochs_end(toy_runner, tmp_path, capsys, change, told, batches, options):
    run = tmp_path / 'run'
    toy_runner(run, max_epochs=2, **options).train()
    (run / 'last_checkpoint').unlink()
    capsys.readouterr()
    resumed = toy_runner(run, resume=latest_checkpoint(run), max_epochs=4, **change, **options)
    resumed.train()
    printed = ''.join(capsys.readouterr())
    assert told in printed
    assert resumed.iter == resumed.max_iters == 8 + 2 * batches
    assert resumed.bare_model.batches.item() == 8 + 2 * batches
    lines = [line for line in printed.splitlines() if 'Epoch(train)' in line]
    assert [f'[{epoch}][{batches}/{batches}]' in line for epoch, line in zip((3, 4), lines, strict=True)] == [True] * 2


@pytest.mark.parametrize(
    ('change', 'told'),
    [({'batch_size': 4}, 'batch_size: 2 -> 4'), ({'length': 7}, 'training samples: 8 -> 7')],
)
def test_other_batches_inside_an_epoch_are_refused(toy_runner, tmp_path, change, told):
    run = tmp_path / 'run'
    toy_runner(run, **EVERY_ITERATION).train()
    runner = toy_runner(run, resume=run / 'iter_6.pth', **change, **EVERY_ITERATION)
    with pytest.raises(ConfigError, match=rf'inside epoch 2, after 2 of 4 batches.*\n  {told}'):
        runner.train()


def test_another_seed_is_refused_unless_allowed(toy_runner, tmp_path, capsys):
    run = tmp_path / 'run'
    toy_runner(run, seed=3).train()
    with pytest.raises(ConfigError, match='trained with seed 3, the config has 4. Resume with --seed 3'):
        toy_runner(run, resume=run / 'epoch_1.pth', seed=4).train()
    toy_runner(run, resume=run / 'epoch_1.pth', seed=4, allow_config_change=True).train()
    assert 'seed: 3 -> 4' in ''.join(capsys.readouterr())
    assert read_checkpoint(run / 'epoch_2.pth')['meta']['seed'] == 4


def test_a_seed_that_the_config_leaves_open_is_the_saved_one(toy_runner, tmp_path):
    straight = toy_runner(tmp_path / 'run', seed=3)
    straight.train()
    epoch_1 = tmp_path / 'run' / 'epoch_1.pth'
    resumed = toy_runner(tmp_path / 'run', resume=epoch_1, **{'randomness.seed': None})
    resumed.train()
    assert_same(straight, resumed)


def test_schedule_shorter_than_the_run_is_told(toy_runner, tmp_path, capsys):
    toy_runner(tmp_path / 'run', max_epochs=2).train()
    toy_runner(tmp_path / 'run', resume=tmp_path / 'run' / 'epoch_2.pth', max_epochs=3).train()
    told = 'WarmupCosineLR keeps its original length, 8 steps. This run has 12: its last 4 steps'
    assert told in ''.join(capsys.readouterr())


def test_same_settings_tell_nothing(toy_runner, tmp_path, capsys):
    toy_runner(tmp_path / 'run', max_epochs=2).train()
    capsys.readouterr()
    toy_runner(tmp_path / 'run', resume=tmp_path / 'run' / 'epoch_1.pth', max_epochs=2).train()
    printed = ''.join(capsys.readouterr())
    assert 'with other settings' not in printed
    assert 'keeps its original length' not in printed


def test_checkpoint_that_does_not_say_its_place(toy_runner, tmp_path):
    run = tmp_path / 'run'
    toy_runner(run, **EVERY_ITERATION).train()
    checkpoint = read_checkpoint(run / 'iter_6.pth')
    del checkpoint['meta']['place'], checkpoint['meta']['data']
    torch.save(checkpoint, run / 'iter_6.pth')
    straight = toy_runner(run, resume=run / 'iter_6.pth', **EVERY_ITERATION)
    straight.train()
    assert straight.iter == 8
    with pytest.raises(ConfigError, match='after 6 iterations, in epoch 2, which does not fit the 8 batches'):
        toy_runner(run, resume=run / 'iter_6.pth', batch_size=1, **EVERY_ITERATION).train()


# ---- moved folders --------------------------------------------------------------------------------------------------


def test_a_moved_work_dir_resumes_itself(toy_runner, tmp_path):
    straight = toy_runner(seed=1, max_epochs=3)
    straight.train()
    toy_runner(tmp_path / 'a', seed=1).train()
    assert (tmp_path / 'a' / 'last_checkpoint').read_text() == 'epoch_2.pth'
    (tmp_path / 'a').rename(tmp_path / 'old')
    toy_runner(tmp_path / 'a', seed=2).train()
    others = {p: p.read_bytes() for p in (tmp_path / 'a').glob('*.pth')}
    resumed = toy_runner(tmp_path / 'old', seed=1, max_epochs=3, resume=latest_checkpoint(tmp_path / 'old'))
    resumed.train()
    # The other run's best checkpoint is not removed, and ours is.
    assert {p: p.read_bytes() for p in (tmp_path / 'a').glob('*.pth')} == others
    assert len(list((tmp_path / 'old').glob('best_*'))) == 1


@pytest.mark.parametrize(
    ('spoil', 'message'),
    [
        (lambda c: c['meta'].update(place=[1]), 'meta.place is damaged'),
        (lambda c: c['meta']['place'].update(batches_done=9), 'meta.place is damaged'),
        (lambda c: c['optimizer'].update(waiting=3), 'optimizer.waiting does not have gradients'),
        (lambda c: c['optimizer']['waiting']['gradients'].pop(), 'optimizer.waiting does not have gradients'),
    ],
)
def test_damaged_parts_end_in_one_message(toy_runner, tmp_path, spoil, message):
    run = tmp_path / 'run'
    toy_runner(run, accumulative_counts=3).train()
    checkpoint = read_checkpoint(run / 'epoch_1.pth')
    spoil(checkpoint)
    torch.save(checkpoint, run / 'epoch_1.pth')
    with pytest.raises(CheckpointError, match=message):
        toy_runner(run, resume=run / 'epoch_1.pth', accumulative_counts=3).train()


# ---- hooks that were others when the checkpoint was saved -----------------------------------------------------------


def test_a_best_score_by_another_metric_is_not_compared_with(toy_runner, tmp_path, capsys):
    toy_runner(tmp_path, max_epochs=1, save_best_rule='less').train()
    checkpoint = read_checkpoint(tmp_path / 'epoch_1.pth')
    info = checkpoint['message_hub']['runtime_info']
    info.update(best_score=-5.0, best_ckpt='/elsewhere/best_toy_loss_epoch_1.pth')
    torch.save(checkpoint, tmp_path / 'epoch_1.pth')
    toy_runner(tmp_path, resume=tmp_path / 'epoch_1.pth', max_epochs=2, save_best_rule='less').train()
    assert 'the choice by toy/closeness starts over' in ''.join(capsys.readouterr())
    assert 'best_toy_closeness_epoch_2.pth' in {p.name for p in tmp_path.glob('best_*')}


def test_early_stopping_by_another_metric_starts_over(toy_runner, tmp_path, capsys):
    hook = dict(type='EarlyStoppingHook', monitor='toy/closeness', rule='less', patience=3)
    toy_runner(tmp_path, max_epochs=1, custom_hooks=[hook]).train()
    path = tmp_path / 'epoch_1.pth'
    checkpoint = read_checkpoint(path)
    checkpoint['early_stopping'].update(monitor='toy/loss', wait_count=2, best_score=-5.0)
    torch.save(checkpoint, path)
    resumed = toy_runner(tmp_path, resume=path, max_epochs=2, custom_hooks=[hook])
    resumed.train()
    assert 'EarlyStoppingHook starts over: the checkpoint counted toy/loss' in ''.join(capsys.readouterr())
    assert resumed.epoch == 2


def test_averaged_weights_are_not_trained_on(toy_runner, tmp_path, capsys):
    average = {'custom_hooks': [dict(type='EMAHook', momentum=0.3)]}
    toy_runner(tmp_path / 'averaged', max_epochs=1, **average).train()
    toy_runner(tmp_path / 'plain', max_epochs=1).train()
    path = tmp_path / 'averaged' / 'epoch_1.pth'
    with pytest.raises(ConfigError, match='was trained with an EMAHook'):
        toy_runner(tmp_path / 'run1', resume=path).train()
    toy_runner(tmp_path / 'run2', resume=path, allow_config_change=True).train()
    capsys.readouterr()
    toy_runner(tmp_path / 'run3', resume=tmp_path / 'plain' / 'epoch_1.pth', **average).train()
    assert 'was saved without an EMAHook' in ''.join(capsys.readouterr())


@pytest.mark.parametrize(
    'spoil', [lambda saved: {'x': 1}, lambda saved: [1], lambda saved: dict(list(saved.items())[:-1])]
)
def test_weights_beside_the_average_must_be_there(toy_runner, tmp_path, spoil):
    average = {'custom_hooks': [dict(type='EMAHook', momentum=0.3)]}
    toy_runner(tmp_path / 'run', max_epochs=1, **average).train()
    path = tmp_path / 'run' / 'epoch_1.pth'
    checkpoint = read_checkpoint(path)
    checkpoint['ema_state_dict'] = spoil(checkpoint['ema_state_dict'])
    torch.save(checkpoint, path)
    with pytest.raises(CheckpointError, match='ema_state_dict'):
        toy_runner(tmp_path / 'other', resume=path, **average).train()


def test_a_run_with_nothing_left_to_train_is_told(toy_runner, tmp_path, capsys):
    toy_runner(tmp_path, max_epochs=2).train()
    toy_runner(tmp_path, resume=tmp_path / 'epoch_2.pth', max_epochs=1).train()
    assert 'has 2 epochs, max_epochs is 1: nothing is left to train' in ''.join(capsys.readouterr())
