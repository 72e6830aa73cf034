"""Training and test of an experiment with a seed, each by a command of its own."""

import fcntl
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vadlab.checkpoints.checkpoint_io import latest_checkpoint
from vadlab.engine.hooks.run_state_hook import read_run_state
from vadlab.utils.errors import TrainingError
from vadlab.utils.own_files import TOOLS
from vadlab.utils.printable import say


@dataclass(frozen=True)
class Run:
    """One training run with its test, or one test of a method without training.

    Attributes:
        config (str): Config file of the experiment.
        folder (Path): Folder for all files of the run.
        seed (int): Seed of all random generators.
        options (tuple[str, ...]): ``KEY=VALUE`` changes of the config.
        trained (bool): Whether the method is trained.
        settings (dict): The whole config, as plain values.
        place (str): Its number among all runs, such as ``2/6``.
    """

    config: str
    folder: Path
    seed: int
    options: tuple[str, ...]
    trained: bool
    settings: dict[str, Any]
    place: str = ''

    @property
    def report_file(self) -> Path:
        """The metrics file that the test writes."""
        return self.folder / 'metrics.json'


def carry_out(run: Run) -> None:
    """Train and test, except for finished steps.

    Raises:
        TrainingError: A tool failed; the message has the last lines of its output.
    """
    if run.report_file.is_file():
        say(f'[{run.place}] {run.folder}: done before')
        return
    say(f'[{run.place}] {run.folder}', flush=True)
    common = ['--seed', str(run.seed), *(['--cfg-options', *run.options] if run.options else [])]
    checkpoint = 'none'
    if run.trained:
        if read_run_state(run.folder) != 'finished':
            call_tool('train.py', [run.config, '--work-dir', str(run.folder), '--resume', *common], run.folder)
        checkpoint = str(latest_checkpoint(run.folder))
    arguments = [run.config, checkpoint, '--work-dir', str(run.folder / 'test'), '--out', str(run.report_file)]
    call_tool('test.py', [*arguments, *common], run.folder)


def call_tool(tool: str, arguments: list[str], folder: Path) -> None:
    """Run a tool in a process of its own; what it prints goes to a file in the folder of the run.

    If the process that started a tool is killed, the tool goes on. Another one for the same folder waits for its end.

    Raises:
        TrainingError: It failed.
    """
    log = folder / f'{Path(tool).stem}.out'
    with open(folder / '.lock', 'w') as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say(f'{folder}: another process works in it. Waiting for its end', flush=True)
            fcntl.flock(lock, fcntl.LOCK_EX)
        with open(log, 'w') as file:
            done = subprocess.run(
                [sys.executable, str(TOOLS / tool), *arguments],
                stdout=file,
                stderr=subprocess.STDOUT,
                check=False,
                pass_fds=[lock.fileno()],  # the tool holds the lock, too
            )
    if done.returncode:
        tail = '\n  '.join(log.read_text(errors='replace').strip().splitlines()[-8:])
        raise TrainingError(
            f'python tools/{tool} {" ".join(arguments)} failed with status {done.returncode} (see {log}):\n  {tail}'
        )
