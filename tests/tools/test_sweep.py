import csv
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from vadlab.apis.sweeps.trial_run import TrialFailed, TrialRun, failure
from vadlab.apis.sweeps.validation import Aim
from vadlab.registry import DATASETS
from vadlab.utils.config import load_config, runner_config
from vadlab.utils.errors import ConfigError, TrainingError

from .conftest import ROOT
from .tiny_features import write_config, write_data

pytest.importorskip('optuna', reason='needs the extra sweep: pip install "vadlab[sweep]"')
AIM = Aim('frame/auc', True)


@pytest.fixture
def split(tmp_path):
    """A tiny experiment whose validation videos are not tested."""
    data = write_data(tmp_path / 'data')
    lines = (data / 'test.txt').read_text().split()
    (data / 'val.txt').write_text('\n'.join(lines[::2]) + '\n')
    (data / 'rest.txt').write_text('\n'.join(lines[1::2]) + '\n')
    config = write_config('mil', tmp_path, ROOT, data)
    config.write_text(config.read_text() + "val_ann_file = 'val.txt'\ntest_ann_file = 'rest.txt'\n")
    return config


@pytest.fixture
def trainings(monkeypatch):
    """Replaces the process of a training by a call of ``arguments``; records the arguments. ``lr=0.5`` fails."""
    calls = []

    def use(train):
        def train_here(run, on_validation):
            arguments = run.command()[2:]
            calls.append(arguments)
            if any(word.startswith('lr=0.5') for word in arguments):
                raise TrialFailed('out of memory: planted')
            train(arguments)

        monkeypatch.setattr(TrialRun, '_train', train_here)
        return calls

    return use


@pytest.fixture
def real_sweep(load_tool, train, trainings):
    """``main`` of the tool with trainings in this process, and their arguments."""
    return load_tool('sweep').main, trainings(train)


@pytest.fixture
def sweep(load_tool, trainings):
    """``main`` of the tool with trainings that only write a log, and their arguments."""

    def write_log(arguments):
        folder = Path(arguments[arguments.index('--work-dir') + 1])
        words = dict(word.split('=', 1) for word in arguments if '=' in word)
        value = 0.5 + float(words.get('lr', 0)) + float(words.get('batch_size', 0)) / 100
        log = folder / '1' / 'vis_data' / 'scalars.json'
        log.parent.mkdir(parents=True)
        log.write_text(json.dumps({'frame/auc': value, 'frame/eer': 1 - value, 'step': 1}) + '\n')
        (folder / 'run.json').write_text('{"state": "finished"}')

    return load_tool('sweep').main, trainings(write_log)


def read(folder):
    return json.loads((folder / 'results.json').read_text())


@pytest.mark.slow
def test_best_by_validation_over_seeds(real_sweep, split, tmp_path, capsys):
    main, calls = real_sweep
    out = tmp_path / 'sweep'
    arguments = [str(split), '--param', 'lr=0.1,0.5', '--param', 'model.dropout=0.0:0.6:0.6', '--sampler', 'grid']
    arguments += ['--seeds', '0', '3', '--work-dir', str(out), '--cfg-options', 'max_epochs=1', 'val_interval=1']
    assert main(arguments) == 0
    said = capsys.readouterr().out

    found = read(out)
    assert [trial['state'] for trial in found['trials']] == ['done', 'done', 'failed', 'failed']
    assert found['trials'][3]['settings'] == {'lr': 0.5, 'model.dropout': 0.6}
    assert found['trials'][3]['reason'] == 'seed 0: out of memory: planted'
    assert len(calls) == 2 * 2 + 2  # a failed trial ends with its first seed

    # The scores are those in the logs of the runs, as read here.
    for trial in found['trials']:
        if trial['state'] == 'done':
            logs = [next(out.glob(f'trial_{trial["trial"]:03d}/seed{s}/*/vis_data/scalars.json')) for s in (0, 3)]
            values = [
                max(r['frame/auc'] for r in map(json.loads, log.read_text().splitlines()) if 'frame/auc' in r)
                for log in logs
            ]
            assert list(trial['scores'].values()) == values
            assert trial['score'] == pytest.approx(sum(values) / 2)
            assert trial['spread'] == pytest.approx(abs(values[0] - values[1]) / 2**0.5)
    done = [trial for trial in found['trials'] if trial['state'] == 'done']
    best = max(done, key=lambda trial: trial['score'])
    assert found['best'] == best['trial']

    # Only the best keeps its checkpoints, which the printed commands test; no test score is printed.
    kept = {path.parts[-3] for path in out.glob('trial_*/seed*/*.pth')}
    assert kept == {f'trial_{found["best"]:03d}'}
    commands = [line.split() for line in said.splitlines() if line.startswith('  python tools/test.py')]
    assert len(commands) == 2
    assert all(Path(words[3]).is_file() for words in commands)
    assert 'test/' not in said

    # The best config is the swept config with the best settings.
    options = {**best['settings'], 'max_epochs': 1, 'val_interval': 1}
    written = runner_config(load_config(out / 'best.py'))._cfg_dict.to_dict()
    assert written == runner_config(load_config(split, options))._cfg_dict.to_dict()

    rows = list(csv.DictReader((out / 'trials.csv').read_text().splitlines()))
    assert [row['lr'] for row in rows] == ['0.1', '0.1', '0.5', '0.5']
    assert float(rows[0]['seed3']) == found['trials'][0]['scores']['3']
    assert (out / 'scores.png').stat().st_size > 1000

    # The same command runs nothing more; failed trials run again on request, and the number of trials stays.
    calls.clear()
    assert main(arguments) == 0
    assert calls == []
    assert main([*arguments, '--retry-failed']) == 0
    assert {next(word for word in call if word.startswith('lr=')) for call in calls} == {'lr=0.5'}
    assert len(read(out)['trials']) == 4


def test_same_settings_are_trained_once(sweep, split, tmp_path):
    main, calls = sweep
    main([str(split), '--param', 'batch_size=2,4', '--trials', '5', '--work-dir', str(tmp_path / 'out')])
    trials = read(tmp_path / 'out')['trials']
    assert len(trials) == 5
    assert len(calls) == len({trial['settings']['batch_size'] for trial in trials}) == 2
    assert sum(trial['same_as'] is not None for trial in trials) == 3


def test_test_videos_as_validation_are_refused(sweep, tmp_path, capsys):
    main, calls = sweep
    config = str(write_config('mil', tmp_path, ROOT, write_data(tmp_path / 'data')))
    arguments = [config, '--param', 'lr=0.01,0.1', '--trials', '1', '--work-dir', str(tmp_path / 'out')]
    with pytest.raises(ConfigError, match=r'4 of 4 validation samples \(first: .*\) are also test samples'):
        main(arguments)
    assert calls == []
    assert not (tmp_path / 'out').exists()
    main([*arguments, '--select-on-test'])
    assert 'CAUTION' in capsys.readouterr().out
    assert 'is not a result' in read(tmp_path / 'out')['chosen_by']
    assert 'is not a result' in (tmp_path / 'out' / 'best.py').read_text()


def test_one_shared_video_is_enough_to_refuse(sweep, split, tmp_path):
    main, _ = sweep
    data = tmp_path / 'data'
    with open(data / 'val.txt', 'a') as file:
        file.write((data / 'rest.txt').read_text().split()[0] + '\n')
    with pytest.raises(ConfigError, match='1 of 3 validation samples'):
        main([str(split), '--param', 'lr=0.01,0.1'])


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        (['--param', 'larning_rate=1:2'], r'--param larning_rate .*no such key'),
        (['--param', 'lr=0.01,0.1', '--metric', 'frame/acu'], r"'frame/acu'\. Did you mean 'frame/auc'"),
        (['--param', 'lr=0.01,0.1', '--trials', '0'], 'at least 1'),
        (['--param', 'lr=0.01,0.1', '--seeds', '1', '1'], '--seeds must differ'),
        (['--param', 'lr=0.01,0.1', '--seeds', '-1'], r'--seeds must be in 0\.\.'),
        (['--param', 'val_ann_file=val.txt,rest.txt'], r'tried rest\.txt\) changes the validation samples'),
        (['--param', 'test_ann_file=rest.txt,val.txt'], r'tried val\.txt\) changes the test samples'),
        (
            ['--param', 'lr=0.01,0.1', '--param', 'val_ann_file=rest.txt,val.txt'],
            r'--param val_ann_file \(tried val\.txt\) changes the validation samples',
        ),
        (
            ['--param', 'lr=0.01,0.1', '--param', 'val_ann_file=rest.txt,./rest.txt'],
            r'--param \(tried the first values\) changes the validation samples',
        ),
        (['--param', 'lr=0.01:0.1', '--sampler', 'grid'], 'lr needs choices or a step'),
        (['--param', 'lr=0.01,0.1', '--select-on-test'], 'Leave the option out'),
        (['--param', 'lr=0.01,0.1', '--cfg-options', 'val_dataloader=None'], 'does not validate'),
        (['--param', 'lr=0.01,0.1', '--cfg-options', 'train_cfg=None'], 'cannot be trained'),
    ],
)
def test_mistakes_before_any_trial(sweep, split, tmp_path, arguments, message):
    main, calls = sweep
    with pytest.raises(ConfigError, match=message):
        main([str(split), '--work-dir', str(tmp_path / 'out'), *arguments])
    assert calls == []
    assert not (tmp_path / 'out').exists()


def test_each_data_set_is_built_once(sweep, split, tmp_path, monkeypatch):
    main, _ = sweep
    built, build = [], DATASETS.build

    def note(settings):
        built.append(settings['ann_file'])
        return build(settings)

    monkeypatch.setattr(DATASETS, 'build', note)
    arguments = ['--param', 'val_ann_file=val.txt,./val.txt,.//val.txt', '--param', 'lr=0.01,0.1,0.2', '--trials', '1']
    main([str(split), '--work-dir', str(tmp_path / 'out'), *arguments])
    assert built == ['val.txt', 'train.txt', 'rest.txt', './val.txt', './/val.txt']


def test_other_settings_are_not_mixed_in(sweep, split, tmp_path):
    main, _ = sweep
    arguments = [str(split), '--param', 'lr=0.01,0.1', '--work-dir', str(tmp_path / 'out'), '--trials', '1']
    main(arguments)
    with pytest.raises(ConfigError, match=r'other settings .*\n.*seeds\.?0?: .*0.* -> .*4'):
        main([*arguments, '--seeds', '4'])


def test_sweep_without_a_score_fails(sweep, split, tmp_path):
    main, _ = sweep
    arguments = [str(split), '--param', 'lr=0.5,0.51', '--work-dir', str(tmp_path / 'out'), '--trials', '2']
    with pytest.raises(TrainingError, match=r'No trial has a score.*planted'):
        main(arguments)


def test_lowest_is_best_where_declared(sweep, split, tmp_path):
    main, _ = sweep
    arguments = ['--param', 'lr=0.001,0.1', '--metric', 'frame/eer', '--sampler', 'grid']
    main([str(split), '--work-dir', str(tmp_path / 'out'), *arguments])
    found = read(tmp_path / 'out')
    assert [trial['score'] for trial in found['trials']] == pytest.approx([0.499, 0.4])
    assert (found['higher_is_better'], found['best']) == (False, 1)
    hook = load_config(tmp_path / 'out' / 'best.py').default_hooks.checkpoint
    assert (hook.save_best, hook.rule) == ('frame/eer', 'less')


@pytest.mark.parametrize(
    ('status', 'text', 'reason'),
    [
        (2, 'log\nerror: lr must be positive\n', 'lr must be positive'),
        (
            2,
            'error: x.py: a setting cannot be used.\n  model.topk must be >= 1, not 0.\n',
            'x.py: a setting cannot be used. model.topk must be >= 1, not 0.',
        ),
        (
            1,
            'Traceback\n  x\ntorch.OutOfMemoryError: CUDA out of memory. Tried',
            'out of memory: torch.OutOfMemoryError: CUDA',
        ),
        (1, 'Traceback\n  x\nKeyError: 3\n', 'KeyError: 3'),
        (-9, 'log\n', 'killed by signal 9, as the system does when memory is full'),
        (-11, 'log\n', r'killed by signal 11 (SIGSEGV)'),
        (7, '', 'exit status 7'),
    ],
)
def test_reason_of_a_failure(tmp_path, status, text, reason):
    log = tmp_path / 'train.out'
    log.write_text(f'error: of an earlier start\n{text}')
    assert failure(status, log, len('error: of an earlier start\n')).startswith(reason)


def test_validations_of_a_resumed_run_count_once(tmp_path):
    run = TrialRun('c.py', tmp_path, 0, [], AIM, {})
    for name, lines in (('1', [(10, 0.5), (20, 0.7)]), ('2', [(20, 0.7), (30, float('nan')), (40, 0.6)])):
        log = tmp_path / name / 'vis_data' / 'scalars.json'
        log.parent.mkdir(parents=True)
        log.write_text(''.join(json.dumps({'frame/auc': v, 'step': s}) + '\n' for s, v in lines) + '{"frame/au')
    assert [value for value in run.validations() if value == value] == [0.5, 0.7, 0.6]
    assert len(run.validations()) == 4
    (tmp_path / 'run.json').write_text('{"state": "finished"}')
    assert run.score() == 0.7


def test_run_without_validation_fails(tmp_path):
    (tmp_path / 'run.json').write_text('{"state": "finished"}')
    with pytest.raises(TrialFailed, match='no validation computed frame/auc'):
        TrialRun('c.py', tmp_path, 0, [], AIM, {}).score()


def command(*arguments):
    return [sys.executable, 'tools/sweep.py', *map(str, arguments)]


@pytest.mark.slow
def test_killed_sweep_continues_as_if_it_was_not_killed(real_sweep, split, tmp_path):
    """SIGKILL in the middle of a trial; then the same command. The oracle is a sweep that nobody kills."""
    options = ['--param', 'lr=1e-4:1e-1:log', '--trials', '3', '--cfg-options', 'max_epochs=20', 'val_interval=5']
    whole, _ = real_sweep
    assert whole([str(split), '--work-dir', str(tmp_path / 'whole'), *options]) == 0
    environment = {**os.environ, 'PYTHONPATH': str(ROOT)}
    words = command(split, '--work-dir', tmp_path / 'killed', *options)
    first = subprocess.Popen(words, cwd=ROOT, env=environment)
    wanted = tmp_path / 'killed' / 'trial_001' / 'seed0' / 'run.json'
    end = time.monotonic() + 200
    while not wanted.is_file() and time.monotonic() < end:
        time.sleep(0.05)
    first.send_signal(signal.SIGKILL)
    first.wait()
    done = subprocess.run(words, cwd=ROOT, env=environment, capture_output=True)
    assert done.returncode == 0, done.stderr.decode()
    killed, whole = read(tmp_path / 'killed'), read(tmp_path / 'whole')
    for one in (*killed['trials'], *whole['trials']):
        del one['seconds']
    assert killed == whole
    assert len(killed['trials']) == 3


@pytest.mark.slow
def test_parallel_trials_and_pruning(split, tmp_path):
    environment = {**os.environ, 'PYTHONPATH': str(ROOT)}
    options = ['--param', 'lr=0.001,0.1', '--param', 'batch_size=2,4', '--sampler', 'grid', '--jobs', '2']
    done = subprocess.run(
        command(split, '--work-dir', tmp_path / 'out', *options, '--prune'),
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    trials = read(tmp_path / 'out')['trials']
    assert len({json.dumps(trial['settings']) for trial in trials}) == 4
    assert {trial['state'] for trial in trials} <= {'done', 'pruned'}
