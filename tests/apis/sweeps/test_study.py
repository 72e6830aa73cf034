import pytest

from vadlab.apis.sweeps import study as study_module
from vadlab.apis.sweeps.search_space import Choice, Range
from vadlab.apis.sweeps.study import Study, grid_of, require_optuna
from vadlab.utils.errors import ConfigError, DataError, MissingDependencyError

pytest.importorskip('optuna', reason='needs the extra sweep: pip install "vadlab[sweep]"')
PARAMS = [Range('lr', 1e-5, 1e-1, is_log=True), Choice('model.size', ('[8,4]', '16')), Range('n', 2, 8, is_whole=True)]


def run(folder, trials, interrupted_at=None, sampler='tpe'):
    """Settings of trials whose score is their ``lr``; one may be interrupted, and continues in a second study."""
    study = Study(folder, PARAMS, is_higher_better=True, sampler=sampler)
    for number, settings in study.interrupted():
        study.finish(number, float(settings['lr']))
    while len(study.trials()) < trials:
        trial, settings = study.start()
        if trial.number == interrupted_at:
            return run(folder, trials, sampler=sampler)
        study.finish(trial.number, float(settings['lr']))
    return [study.texts(trial.params) for trial in study.trials()]


@pytest.mark.parametrize(('sampler', 'trials'), [('tpe', 12), ('random', 4)])
def test_interrupted_study_tries_the_same_settings(tmp_path, sampler, trials):
    places = [tmp_path / name for name in 'ab']
    for place in places:
        place.mkdir()
    whole = run(places[0], trials, sampler=sampler)  # TPE draws the first ten at random
    assert run(places[1], trials, interrupted_at=trials - 2, sampler=sampler) == whole
    assert len({settings['lr'] for settings in whole}) == trials
    assert all(set(settings) == {'lr', 'model.size', 'n'} for settings in whole)
    assert {settings['model.size'] for settings in whole} == {'[8,4]', '16'}


def test_grid_has_every_combination_once(tmp_path):
    params = [Choice('a', ('x', 'y')), Range('n', 2, 6, step=2, is_whole=True), Range('p', 0.1, 0.3, step=0.1)]
    points = [(a, n, p) for a in 'xy' for n in ('2', '4', '6') for p in ('0.1', '0.2', '0.3')]  # by hand
    assert [tuple(point.values()) for point in grid_of(params)][:4] == [
        ('x', 2, 0.1),
        ('x', 2, 0.2),
        ('x', 2, 0.3),
        ('x', 4, 0.1),
    ]
    study = Study(tmp_path, params, True, sampler='grid')
    assert study.size == 18
    found = []
    for _ in range(18):
        trial, settings = study.start()
        study.finish(trial.number, None)
        found.append(tuple(settings.values()))
    assert found == points


def test_grid_needs_steps():
    with pytest.raises(ConfigError, match='lr needs choices or a step'):
        grid_of([Range('lr', 0.0, 1.0)])


def test_failed_trial_may_run_again(tmp_path):
    study = Study(tmp_path, PARAMS, True)
    first, settings = study.start()
    study.finish(first.number, None)
    assert len(study.trials()) == 1
    study.retry(first.number)
    assert study.trials() == []
    again, same = study.start()
    assert (again.number, same) == (1, settings)


def test_trial_without_settings_does_not_count(tmp_path):
    study = Study(tmp_path, PARAMS, True)
    study._study.ask()  # as if killed before the settings were drawn
    assert Study(tmp_path, PARAMS, True).interrupted() == []
    assert study.trials() == []


def test_damaged_file_is_one_message(tmp_path):
    (tmp_path / 'study.db').write_bytes(b'not a database' * 100)
    with pytest.raises(DataError, match=r'study\.db cannot be used: .*Remove the folder'):
        Study(tmp_path, PARAMS, True)


def test_missing_package_is_named(monkeypatch):
    monkeypatch.setattr(study_module.importlib.util, 'find_spec', lambda name: None)
    with pytest.raises(MissingDependencyError, match=r'pip install "vadlab\[sweep\]"'):
        require_optuna()
