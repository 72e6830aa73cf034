import errno
from pathlib import Path

import pytest

from vadlab.checkpoints.checkpoint_io import write_pointer
from vadlab.engine.hooks import checkpoint_hook
from vadlab.engine.hooks.run_state_hook import RunStateHook
from vadlab.utils.errors import ConfigError


@pytest.mark.parametrize('sanity_check', [True, False])
def test_save_best_that_is_no_metric_names_the_nearest(toy_runner, sanity_check):
    runner = toy_runner(save_best='toy/closenes')
    runner.cfg.sanity_check = sanity_check
    with pytest.raises(ConfigError, match="save_best='toy/closenes' is not a metric .* Did you mean 'toy/closeness'"):
        runner.train()
    assert runner.iter == (0 if sanity_check else 4)  # found before the first step, or at the first validation


def test_no_best_checkpoint_where_none_is_wanted(toy_runner, tmp_path):
    toy_runner(tmp_path / 'run', save_best=None, max_epochs=1).train()
    assert [p.name for p in (tmp_path / 'run').glob('*.pth')] == ['epoch_1.pth']


def test_leftovers_of_a_killed_save_are_removed(toy_runner, tmp_path):
    (tmp_path / 'run').mkdir()
    (tmp_path / 'run' / '.epoch_1.pth.part').write_bytes(b'half')
    toy_runner(tmp_path / 'run', max_epochs=1).train()
    assert not list((tmp_path / 'run').glob('.*.part'))


@pytest.mark.parametrize('how', ['resume', 'overwrite'])
def test_files_that_another_command_is_writing_into_the_folder_stay(toy_runner, tmp_path, how):
    toy_runner(tmp_path / 'run', max_epochs=1).train()
    of_others = ['.metrics.json.4711.part', '.metrics.npz.4711.part', '.epoch_1.toy.calibration.json.4711.part']
    left = [
        '.epoch_2.pth.part',
        '.best_toy_closeness_epoch_2.pth.part',
        '.run.json.4711.part',
        '.last_checkpoint.1.part',
    ]
    for name in of_others + left:
        (tmp_path / 'run' / name).touch()
    hooks = [RunStateHook(overwrite=how == 'overwrite')]
    toy_runner(tmp_path / 'run', how == 'resume' and tmp_path / 'run/epoch_1.pth', hooks, max_epochs=2).train()
    assert sorted(path.name for path in (tmp_path / 'run').glob('.*.part')) == sorted(of_others)


def test_other_ranks_leave_the_work_dir_as_it_is(toy_runner, tmp_path, monkeypatch):
    toy_runner(tmp_path / 'run', max_epochs=1).train()
    (tmp_path / 'run/.run.json.4711.part').write_text('the main process writes this now')
    (tmp_path / 'run/.epoch_2.pth.part').write_bytes(b'and this')
    hooks = [RunStateHook(overwrite=True)]  # beside the usual one
    before = _content(tmp_path / 'run')
    monkeypatch.setattr('mmengine.dist.utils.get_rank', lambda group=None: 1)
    monkeypatch.setattr('mmengine.evaluator.metric.is_main_process', lambda: True)  # the metrics, which it would send
    for resume in (None, tmp_path / 'run/epoch_1.pth'):
        toy_runner(
            tmp_path / 'run', resume, hooks, max_epochs=3, **{'default_hooks.checkpoint.max_keep_ckpts': 1}
        ).train()
        assert _content(tmp_path / 'run') == before


def _content(folder):
    return {path: path.read_bytes() for path in folder.rglob('*') if path.is_file() and path.suffix != '.log'}


def test_what_happened_to_the_previous_best_is_said(toy_runner, tmp_path, capsys, monkeypatch):
    unlink = Path.unlink

    def refuse(path, *args, **kwargs):
        if path.name.startswith('best_'):
            raise PermissionError(errno.EPERM, 'Operation not permitted')
        unlink(path, *args, **kwargs)

    monkeypatch.setattr(Path, 'unlink', refuse)
    toy_runner(tmp_path / 'run', max_epochs=2).train()
    shown = ''.join(capsys.readouterr())
    assert 'is removed' not in shown
    assert 'best_toy_closeness_epoch_1.pth could not be removed (Operation not permitted)' in shown
    monkeypatch.undo()
    toy_runner(tmp_path / 'other', max_epochs=2).train()
    assert 'best_toy_closeness_epoch_1.pth is removed' in ''.join(capsys.readouterr())


@pytest.mark.parametrize('killed_after', range(1, 4))
def test_what_a_killed_save_replaced_is_removed_when_the_run_goes_on(toy_runner, tmp_path, monkeypatch, killed_after):
    keep = {'max_epochs': 5, 'default_hooks.checkpoint.max_keep_ckpts': 2}
    work_dir = tmp_path / 'run'
    monkeypatch.setattr(checkpoint_hook, 'write_pointer', lambda folder, path: _kill_at(killed_after, folder, path))
    with pytest.raises(KeyboardInterrupt):
        toy_runner(work_dir, **keep).train()
    monkeypatch.undo()
    (work_dir / 'epoch_99.pth').write_bytes(b'of somebody')
    toy_runner(work_dir, resume=work_dir / f'epoch_{killed_after}.pth', **keep).train()
    assert {path.name for path in work_dir.glob('epoch_*.pth')} == {'epoch_4.pth', 'epoch_5.pth', 'epoch_99.pth'}


def _kill_at(epoch, folder, path):
    write_pointer(folder, path)
    if Path(path).name == f'epoch_{epoch}.pth':
        raise KeyboardInterrupt
