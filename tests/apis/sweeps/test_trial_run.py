"""Trainings of a sweep as processes, with a stand-in for tools/train.py that needs no torch."""

import json
import subprocess
import sys
import time
from types import SimpleNamespace

import pytest

from vadlab.apis.sweeps import sweep as sweep_module
from vadlab.apis.sweeps import trial_run
from vadlab.apis.sweeps.sweep import judge, slot_environment
from vadlab.apis.sweeps.trial_run import TrialFailed, TrialPruned, TrialRun
from vadlab.apis.sweeps.validation import Aim
from vadlab.engine.work_dir_lock import WorkDirLock

TRAIN = """
import json, os, pathlib, sys, time
folder = pathlib.Path(sys.argv[sys.argv.index('--work-dir') + 1])
(folder / 'run.json').write_text('{"state": "unfinished"}')
log = folder / '1' / 'vis_data' / 'scalars.json'
log.parent.mkdir(parents=True, exist_ok=True)
words = dict(word.split('=', 1) for word in sys.argv if '=' in word)
print('seed', sys.argv[sys.argv.index('--seed') + 1], words, os.environ.get('SLOT'), flush=True)
with open(log, 'a') as file:
    for step, value in enumerate(words['scores'].split(','), 1):
        file.write(json.dumps({'frame/auc': float(value), 'step': step}) + chr(10))
        file.flush()
        time.sleep(float(words.get('pause', 0)))
if words.get('end') == 'error':
    raise MemoryError('planted')
(folder / 'run.json').write_text('{"state": "finished"}')
"""


@pytest.fixture
def run(tmp_path, monkeypatch):
    """Makes a run of the stand-in."""
    (tmp_path / 'train.py').write_text(TRAIN)
    monkeypatch.setattr(trial_run, 'TOOLS', tmp_path)
    monkeypatch.setattr(trial_run, '_POLL_S', 0.05)
    return lambda *options, name='seed3': TrialRun(
        'c.py', tmp_path / name, 3, list(options), Aim('frame/auc', True), {'SLOT': '7'}
    )


def test_score_is_the_best_validation(run):
    one = run('scores=0.5,0.8,0.7')
    assert one.score() == 0.8
    said = (one.folder / 'train.out').read_text()
    assert "seed 3 {'scores': '0.5,0.8,0.7'" in said
    assert "'default_hooks.checkpoint.save_best': 'frame/auc', 'default_hooks.checkpoint.rule': 'greater'} 7" in said
    (one.folder / 'train.out').unlink()
    assert one.score() == 0.8  # finished: not trained again
    assert not (one.folder / 'train.out').exists()


def test_failure_has_a_reason(run):
    with pytest.raises(TrialFailed, match='^out of memory: MemoryError: planted$'):
        run('scores=0.5', 'end=error').score()


def test_validations_are_reported_as_they_come(run):
    found = []
    run('scores=0.5,0.6,0.7', 'pause=0.4').score(lambda number, value: found.append((number, value)))
    assert found == [(0, 0.5), (1, 0.6), (2, 0.7)][: len(found)]
    assert len(found) >= 2


def test_pruned_run_is_stopped(run):
    def on_validation(number, value):
        raise TrialPruned(f'validation {number} was {value}')

    one = run('scores=0.1,0.2', 'pause=60')
    start = time.monotonic()
    with pytest.raises(TrialPruned, match=r'validation 0 was 0\.1'):
        one.score(on_validation)
    assert time.monotonic() - start < 50
    assert one.process.returncode is not None
    assert json.loads((one.folder / 'run.json').read_text())['state'] == 'unfinished'


def test_run_of_a_killed_sweep_is_awaited(run, monkeypatch):
    one = run('scores=0.5')
    taken = iter([True, True, False])
    monkeypatch.setattr(WorkDirLock, 'is_taken', lambda lock: next(taken))
    assert one.score() == 0.5
    assert next(taken, None) is None


def test_lock_is_taken_while_another_process_holds_it(tmp_path):
    lock = WorkDirLock(tmp_path)
    assert not lock.is_taken()
    code = (
        'import fcntl, os, time; file = os.open(".lock", os.O_RDWR | os.O_CREAT); fcntl.lockf(file, fcntl.LOCK_EX); '
        'open("ready", "w").close(); time.sleep(60)'
    )
    holder = subprocess.Popen([sys.executable, '-c', code], cwd=tmp_path)
    while not (tmp_path / 'ready').exists():
        time.sleep(0.02)
    assert lock.is_taken()
    holder.kill()
    holder.wait()
    assert not lock.is_taken()  # though its file is there
    assert lock.path.is_file()


def test_trial_below_the_median_is_pruned():
    class Trial:
        reported = []

        def report(self, value, step):
            self.reported.append((step, value))

        def should_prune(self):
            return self.reported[-1][1] < 0.5

    on_validation = judge(Trial())
    on_validation(0, 0.6)
    with pytest.raises(TrialPruned, match=r'validation 2 was 0\.4000'):
        on_validation(1, 0.4)


def test_parallel_runs_share_cores_and_gpus(monkeypatch):
    monkeypatch.setenv('CUDA_VISIBLE_DEVICES', '3,5')
    monkeypatch.delenv('OMP_NUM_THREADS', raising=False)
    monkeypatch.setattr(sweep_module, 'Engine', lambda workers: SimpleNamespace(count=8))
    assert slot_environment(0, 1) == {}
    found = [slot_environment(slot, 3) for slot in range(3)]
    assert [one['CUDA_VISIBLE_DEVICES'] for one in found] == ['3', '5', '3']
    assert {one['OMP_NUM_THREADS'] for one in found} == {'2'}
