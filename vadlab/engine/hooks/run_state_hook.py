"""Record whether the run in a work dir is finished."""

import json
import time
from pathlib import Path
from typing import Any

from mmengine.dist import is_main_process
from mmengine.hooks import Hook

from vadlab.checkpoints.checkpoint_io import latest_checkpoint
from vadlab.registry import HOOKS
from vadlab.utils.atomic import write_text
from vadlab.utils.errors import ConfigError

STATE_FILE = 'run.json'


def read_run_state(work_dir: str | Path) -> str | None:
    """``'unfinished'`` or ``'finished'`` for the run in a work dir; None if there is no run."""
    work_dir = Path(work_dir)
    file = work_dir / STATE_FILE
    if file.is_file():
        try:
            return str(json.loads(file.read_text())['state'])
        except (ValueError, KeyError):
            return 'unfinished'
    return 'unfinished' if latest_checkpoint(work_dir) else None


def check_work_dir(work_dir: str | Path, resume: bool, overwrite: bool) -> None:
    """Check that a new run does not overwrite an existing one.

    Raises:
        ConfigError: The folder contains a run and neither ``resume`` nor ``overwrite`` is set, or both are set.
    """
    if resume and overwrite:
        raise ConfigError('--resume and --overwrite exclude each other.')
    state = read_run_state(work_dir)
    if state is None or resume or overwrite:
        return
    resume_text = (
        'continue it with --resume'
        if state == 'unfinished'
        else 'train it further with --resume and a larger max_epochs'
    )
    raise ConfigError(
        f'{work_dir} holds {"an unfinished" if state == "unfinished" else "a finished"} run. Choose: {resume_text}; '
        'use another folder with --work-dir DIR; or replace the old run with --overwrite.'
    )


@HOOKS.register_module()
class RunStateHook(Hook):
    """Writes ``run.json`` to the work dir: ``unfinished`` before the first step, ``finished`` after the last.

    Args:
        overwrite (bool): Remove checkpoints of an earlier run before the first step.
    """

    # After the sanity check (a run that fails there has not begun), and before anything is saved.
    priority = 'LOW'

    def __init__(self, overwrite: bool = False) -> None:
        self.overwrite = overwrite

    def before_train(self, runner: Any) -> None:
        """Remove an earlier run, if ``overwrite`` is set, and write ``unfinished``."""
        if not is_main_process():
            return
        if self.overwrite:
            for pattern in ('epoch_*.pth', 'iter_*.pth', 'best_*.pth', 'last_checkpoint'):
                for path in Path(runner.work_dir).glob(pattern):
                    path.unlink(missing_ok=True)
        self._write(runner, 'unfinished')

    def after_train(self, runner: Any) -> None:
        """Write ``finished``."""
        if is_main_process():
            self._write(runner, 'finished')

    @staticmethod
    def _write(runner: Any, state: str) -> None:
        now = time.strftime('%Y-%m-%d %H:%M:%S')
        write_text(Path(runner.work_dir) / STATE_FILE, json.dumps({'state': state, 'iter': runner.iter, 'time': now}))
