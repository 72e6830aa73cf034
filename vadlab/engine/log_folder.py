"""The log folder of a run: its name, and its removal when set-up fails."""

import contextlib
import logging
import os
import shutil
from pathlib import Path

import torch
from mmengine.dist import broadcast, is_main_process
from mmengine.runner import Runner

from .mmengine_compat import forget_instances


def new_log_name(work_dir: str | Path, timestamp: str) -> str:
    """Make a log folder of this run alone, and return its name, the same on all ranks.

    MMEngine names it by the second, and opens the log for writing: a second run of the same second, such as the test of
    another checkpoint, would empty the log of the first.

    Args:
        work_dir (str | Path): The work dir; it exists on the main process.
        timestamp (str): The name; a number follows if it is taken.
    """
    number = torch.tensor(1)
    while is_main_process():
        try:
            os.makedirs(Path(work_dir, _numbered(timestamp, number)))
            break
        except FileExistsError:
            number += 1
    broadcast(number)
    return _numbered(timestamp, number)


def _numbered(timestamp: str, number: torch.Tensor) -> str:
    return timestamp if number == 1 else f'{timestamp}_{int(number)}'


class LogFolder:
    """The files that a runner's constructor writes to the work dir: its log folder and a copy of the config.

    Args:
        work_dir (str | Path): The work dir, before the runner is built.
        config_name (str): File name of the copy.
    """

    def __init__(self, work_dir: str | Path, config_name: str) -> None:
        self._work_dir, self._copy = Path(work_dir), Path(work_dir) / config_name
        self._had_work_dir, self._had_copy = self._work_dir.exists(), self._copy.exists()

    def remove(self, runner: Runner) -> None:
        """Remove the new files. The runner, even if only partly built, stops logging."""
        log_dir = getattr(runner, '_log_dir', None)
        visualizer, logger = getattr(runner, 'visualizer', None), getattr(runner, 'logger', None)
        if visualizer is not None:
            visualizer.close()  # an open writer would create its folder again
        if logger is not None:
            for handler in [h for h in logger.handlers if isinstance(h, logging.FileHandler)]:
                logger.removeHandler(handler)
                handler.close()
        forget_instances(visualizer, logger, getattr(runner, 'message_hub', None))
        if not is_main_process():
            return
        if log_dir is not None:
            shutil.rmtree(log_dir, ignore_errors=True)
        if not self._had_copy:
            self._copy.unlink(missing_ok=True)
        if not self._had_work_dir:
            with contextlib.suppress(OSError):  # another process may have written files there
                os.rmdir(self._work_dir)
