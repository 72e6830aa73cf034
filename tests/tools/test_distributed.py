"""Trainings with two processes over gloo: by torchrun, and by the script for Slurm in docs/distributed.md."""

import json
import os
import re
import subprocess
import sys
import time

import pytest
import torch

from vadlab.engine.mmengine_compat import check_launcher, start_cpu_processes
from vadlab.utils.errors import ConfigError

from .conftest import ROOT
from .tiny_features import write_config, write_data

OPTIONS = ['--cfg-options', 'max_epochs=3', 'val_interval=3', 'batch_size=2']
# Starts the tasks of a job as srun does: the same command with other variables.
SRUN = """#!/bin/bash
shift  # --kill-on-bad-exit=1
for rank in 0 1; do
    SLURM_PROCID=$rank SLURM_LOCALID=$rank SLURM_NTASKS=2 SLURM_NODELIST=here "$@" &
done
wait
"""
SCONTROL = '#!/bin/bash\necho 127.0.0.1\n'


def run_until_finished(command, folder, **environment):
    """Start a training; end its processes when it is finished. Returns the weights of its last checkpoint."""
    environment = {**os.environ, 'PYTHONPATH': str(ROOT), 'OMP_NUM_THREADS': '1', **environment}
    with open(folder.parent / f'{folder.name}.log', 'w') as log:
        process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=log, stderr=log, start_new_session=True)
    state, end = folder / 'run.json', time.monotonic() + 240
    try:
        while time.monotonic() < end and process.poll() is None:
            if state.is_file() and json.loads(state.read_text())['state'] == 'finished':
                break
            time.sleep(0.1)
    finally:
        try:
            process.wait(20)
        except (
            subprocess.TimeoutExpired
        ):  # in torch 2.13, a process group may wait without end, see tests/gloo_ranks.py
            os.killpg(process.pid, 9)
            process.wait()
    said = (folder.parent / f'{folder.name}.log').read_text()
    assert state.is_file(), said
    assert json.loads(state.read_text())['state'] == 'finished', said
    return torch.load(folder / 'epoch_3.pth', weights_only=False)['state_dict']


@pytest.mark.slow
def test_script_for_slurm_trains_as_torchrun_does(tmp_path):
    config = write_config('mil', tmp_path, ROOT, write_data(tmp_path / 'data'))
    words = [str(config), *OPTIONS]
    torchrun = [sys.executable, '-m', 'torch.distributed.run', '--standalone', '--nproc_per_node=2', 'tools/train.py']
    first = run_until_finished(
        [*torchrun, words[0], '--launcher', 'pytorch', '--work-dir', str(tmp_path / 'a'), *words[1:]], tmp_path / 'a'
    )

    (script,) = re.findall(
        r'```bash\n(#!/bin/bash\n#SBATCH.*?)```', (ROOT / 'docs/distributed.md').read_text(), re.DOTALL
    )
    (tmp_path / 'train.sbatch').write_text(script)
    programs = tmp_path / 'bin'
    programs.mkdir()
    python = f'#!/bin/bash\nexec {sys.executable} "$@"\n'
    for name, text in (('srun', SRUN), ('scontrol', SCONTROL), ('python', python)):
        (programs / name).write_text(text)
        (programs / name).chmod(0o755)
    path = f'{programs}:{os.environ["PATH"]}'
    command = ['bash', str(tmp_path / 'train.sbatch'), words[0], '--work-dir', str(tmp_path / 'b'), *words[1:]]
    second = run_until_finished(command, tmp_path / 'b', PATH=path, SLURM_JOB_ID=str(os.getpid()))

    assert first.keys() == second.keys()
    assert all(torch.equal(first[key], second[key]) for key in first)
    assert 'resumed' not in (tmp_path / 'b.log').read_text()


@pytest.mark.parametrize(
    ('launcher', 'message'),
    [('pytorch', 'RANK is not set.*torchrun'), ('slurm', 'SLURM_PROCID is not set.*srun')],
)
def test_launcher_that_did_not_start_the_process_is_named(monkeypatch, launcher, message):
    for name in ('RANK', 'SLURM_PROCID'):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(ConfigError, match=message):
        check_launcher(launcher)


def test_nodes_that_slurm_does_not_name(monkeypatch):
    for name in ('SLURM_PROCID', 'SLURM_LOCALID', 'SLURM_NTASKS', 'RANK', 'LOCAL_RANK', 'WORLD_SIZE', 'MASTER_PORT'):
        monkeypatch.setenv(name, '0')
    monkeypatch.delenv('MASTER_ADDR', raising=False)
    monkeypatch.setenv('PATH', '')
    with pytest.raises(ConfigError, match='Set MASTER_ADDR to the first one'):
        start_cpu_processes('slurm')
