"""Runs that are killed at random moments and resumed end as the run that nobody disturbed, bit for bit.

Real processes, real signals. The moments are drawn from a seed, as shares of the time that the undisturbed run took.
"""

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch

from tests.tools import tiny_features, tiny_ucf, toy_captions
from vadlab.checkpoints.checkpoint_io import latest_checkpoint, read_checkpoint

ROOT = Path(__file__).parents[2]
BY_ITERATION = ('default_hooks.checkpoint.by_epoch=False', 'checkpoint_interval=1', 'max_keep_ckpts=2')
SIGNALS = (signal.SIGKILL, signal.SIGTERM, signal.SIGINT)
STATUS = {signal.SIGKILL: -9, signal.SIGTERM: 143, signal.SIGINT: 130}
LONGEST_S = 400


@dataclass(frozen=True)
class Case:
    """A tiny experiment and how it is disturbed."""

    name: str
    experiment: str
    options: tuple[str, ...]
    workers: int
    kills: int
    seed: int = 0


MIL = ('optim_wrapper.accumulative_counts=3', 'max_epochs=6', 'val_interval=1', 'resample=jitter', 'batch_size=2')
# A rate of 0 lets the score stay, which ends the training early.
STOPS = ('max_epochs=9', 'min_epochs=2', 'patience=2', 'lr=0.0', 'lr_vision=0.0')
FGCLIP = ('max_epochs=4', 'batch_size=1', 'val_interval=1', 'accumulative_counts=3')
CACHE = ('cache_dir={data}/cache',)
USUAL = Case('MIL, accumulation, random snippets', 'mil', (*MIL, *BY_ITERATION), workers=2, kills=3)
MANY = [
    Case('MIL, accumulation, random snippets', 'mil', MIL, workers=4, kills=4),
    Case('FG-CLIP, accumulation, augmentation, frame cache', 'fgclip', (*FGCLIP, *CACHE), workers=0, kills=4),
    Case(
        'FG-CLIP, accumulation, augmentation, frame cache',
        'fgclip',
        (*FGCLIP, *CACHE, *BY_ITERATION),
        workers=2,
        kills=4,
    ),
    Case('FG-CLIP, accumulation, augmentation', 'fgclip', (*FGCLIP, *BY_ITERATION), workers=4, kills=3),
    Case('captions, early stopping', 'captions', STOPS, workers=0, kills=4),
    Case('captions, early stopping', 'captions', (*STOPS, *BY_ITERATION), workers=2, kills=4),
]


class Server:
    """The process of ``run_server.py``."""

    def __init__(self):
        environment = {**os.environ, 'OMP_NUM_THREADS': '1', 'CUDA_VISIBLE_DEVICES': '', 'PYTHONPATH': str(ROOT)}
        self.process = subprocess.Popen(
            [sys.executable, str(Path(__file__).with_name('run_server.py'))],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=environment,
            cwd=ROOT,
        )
        assert self.process.stdout.readline() == 'ready\n'

    def ask(self, *request):
        self.process.stdin.write(json.dumps(request) + '\n')
        self.process.stdin.flush()
        return int(self.process.stdout.readline())

    def close(self):
        self.process.stdin.close()
        self.process.wait()
        self.process.stdout.close()


@pytest.fixture(scope='module')
def server():
    server = Server()
    yield server
    server.close()


@pytest.fixture(scope='module')
def table(request):
    """Rows of what was done, shown when all tests of this file are through."""
    rows = []
    yield rows
    head = ('experiment', 'checkpoints', 'workers', 'signals', 'runs', 'kills', 'identical')
    widths = (50, 12, 7, 24, 4, 5, 9)
    with request.config.pluginmanager.getplugin('capturemanager').global_and_fixture_disabled():
        print()
        for row in [head, *rows]:
            print('  '.join(str(cell).ljust(width) for cell, width in zip(row, widths, strict=True)))


@pytest.fixture(scope='module')
def experiments(tmp_path_factory):
    """The file of each tiny experiment, and its data."""
    folder = tmp_path_factory.mktemp('experiments')
    found = {}

    def make(name):
        if name not in found:
            data = folder / name
            if name == 'mil':
                tiny_features.write_data(data)
                text = tiny_features.CONFIGS['mil'].format(root=ROOT, data=data)
            elif name == 'fgclip':
                text = tiny_ucf.CONFIG.format(root=ROOT, data=tiny_ucf.write_data(data))
            else:
                text = toy_captions.config_text(toy_captions.write_data(data))
            found[name] = folder / f'tiny_{name}.py', data
            found[name][0].write_text(text)
        return found[name]

    return make


def arguments_of(case, config, data, work_dir, workers):
    options = [option.format(data=data) for option in case.options]
    return [str(config), '--work-dir', str(work_dir), '--cfg-options', *options, f'num_workers={workers}']


def finish(server, output, arguments):
    """Run to the end; the seconds it took."""
    began = time.monotonic()
    process = server.ask('start', str(output), *arguments)
    assert server.ask('wait', process) == 0, output.read_text()[-3000:]
    return time.monotonic() - began


def is_running(process):
    try:
        return Path(f'/proc/{process}/stat').read_text().rpartition(')')[2].split()[0] not in 'ZX'
    except FileNotFoundError:
        return False


def assert_equal(one, other, place=''):
    if isinstance(one, torch.Tensor):
        assert torch.equal(one, other), place
    elif isinstance(one, Mapping):
        assert list(one) == list(other), place
        for key in one:
            assert_equal(one[key], other[key], f'{place}.{key}')
    elif isinstance(one, list | tuple):
        assert len(one) == len(other), place
        for i, (ours, theirs) in enumerate(zip(one, other, strict=True)):
            assert_equal(ours, theirs, f'{place}.{i}')
    else:
        assert one == other, place


def validations(work_dir):
    """The metrics of each epoch's validation, of all starts of a run; repeated ones must agree."""
    found = {}
    for file in work_dir.glob('*/vis_data/scalars.json'):
        # The line that was being written when the run was killed may be cut.
        for line in file.read_text().splitlines():
            try:
                values = json.loads(line)
            except ValueError:
                continue
            if 'step' in values and 'loss' not in values:
                metrics = {k: v for k, v in values.items() if k not in ('time', 'data_time')}
                assert_equal(found.setdefault(values['step'], metrics), metrics, f'validation {values["step"]}')
    return dict(sorted(found.items()))


def assert_same_runs(straight, disturbed):
    names = [sorted(path.name for path in run.glob('*.pth')) for run in (straight, disturbed)]
    assert names[0] == names[1]
    last = [read_checkpoint(latest_checkpoint(run)) for run in (straight, disturbed)]
    for part in ('state_dict', 'optimizer', 'param_schedulers', 'early_stopping', 'random_state'):
        assert_equal(last[0].get(part), last[1].get(part), part)
    assert_equal(last[0]['meta']['place'], last[1]['meta']['place'])
    for best in straight.glob('best_*.pth'):
        assert_equal(
            read_checkpoint(best)['state_dict'], read_checkpoint(disturbed / best.name)['state_dict'], best.name
        )
    assert validations(straight) == validations(disturbed)
    assert validations(straight)


def temporary_files(work_dir):
    return {path for path in work_dir.rglob('.*') if path.name.endswith('.part') or path.name == '.lock'}


def disturb(server, case, arguments, work_dir, output, duration):
    """Kill the run at random moments, as often as the case says, and resume it; how many starts it took."""
    draw = random.Random(case.seed)
    kills, starts, share = 0, 0, 0.8
    while kills < case.kills:
        moment = duration * draw.uniform(0.15, share)
        which = SIGNALS[kills % len(SIGNALS)]
        before = temporary_files(work_dir)  # SIGKILL may leave some
        process = server.ask('start', str(output), *arguments, '--resume')
        starts += 1
        until = time.monotonic() + moment
        while time.monotonic() < until and is_running(process):
            time.sleep(0.01)
        if is_running(process):
            os.kill(process, which)
        status = server.ask('wait', process)
        if status == 0:  # it was through before
            assert share > 0.15, f'{which.name} does not end a run'
            shutil.rmtree(work_dir)
            kills, share = 0, share * 0.6
            continue
        text = output.read_text()
        assert status == STATUS[which], text[-3000:]
        kills += 1
        if which != signal.SIGKILL:
            assert 'interrupted, resume with: python tools/train.py' in text.splitlines()[-1], text[-6000:]
            assert temporary_files(work_dir) <= before
    return starts


@pytest.mark.parametrize(
    'case',
    [
        pytest.param(case, marks=() if case is USUAL else pytest.mark.thorough, id=f'{case.experiment}{i}')
        for i, case in enumerate([USUAL, *MANY])
    ],
)
def test_killed_runs_end_as_undisturbed_ones(case, server, table, experiments, tmp_path):
    config, data = experiments(case.experiment)
    straight, disturbed, output = tmp_path / 'straight', tmp_path / 'disturbed', tmp_path / 'disturbed.out'
    # Without workers: these make no difference either.
    undisturbed = finish(server, tmp_path / 'straight.out', arguments_of(case, config, data, straight, 0))
    shutil.rmtree(data / 'cache', ignore_errors=True)
    arguments = arguments_of(case, config, data, disturbed, case.workers)
    starts = disturb(server, case, arguments, disturbed, output, undisturbed)
    finish(server, output, [*arguments, '--resume'])
    kind = 'iterations' if BY_ITERATION[0] in case.options else 'epochs'
    used = ', '.join(SIGNALS[i % 3].name for i in range(min(case.kills, 3)))
    row = [case.name, kind, case.workers, used, starts + 1, case.kills, 'no']
    table.append(row)
    assert_same_runs(straight, disturbed)
    row[-1] = 'yes'
