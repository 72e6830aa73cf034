import pytest

from vadlab.engine.hooks.run_state_hook import check_work_dir, read_run_state
from vadlab.utils.errors import ConfigError


def test_state_of_a_folder(tmp_path):
    assert read_run_state(tmp_path / 'no') is None
    assert read_run_state(tmp_path) is None
    (tmp_path / 'epoch_1.pth').touch()  # of a run that kept no book
    assert read_run_state(tmp_path) == 'unfinished'
    (tmp_path / 'run.json').write_text('{"state": "finished"}')
    assert read_run_state(tmp_path) == 'finished'
    (tmp_path / 'run.json').write_text('{"sta')
    assert read_run_state(tmp_path) == 'unfinished'


def test_run_is_unfinished_until_its_last_step(toy_runner, tmp_path):
    runner = toy_runner(tmp_path / 'run', max_epochs=1)
    seen = []
    runner.call_hook, call = (
        lambda name, **k: (seen.append((name, read_run_state(tmp_path / 'run'))), call(name, **k)),
        runner.call_hook,
    )
    runner.train()
    states = dict(seen)
    assert states['before_run'] is None
    assert states['before_train_iter'] == 'unfinished'
    assert states['after_run'] == 'finished'


def test_choices(tmp_path):
    (tmp_path / 'epoch_1.pth').touch()
    check_work_dir(tmp_path, resume=True, overwrite=False)
    check_work_dir(tmp_path, resume=False, overwrite=True)
    with pytest.raises(ConfigError, match='an unfinished run'):
        check_work_dir(tmp_path, resume=False, overwrite=False)
