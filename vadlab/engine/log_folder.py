"""Remove log files when set-up fails."""

import contextlib
import logging
import os
import shutil
from pathlib import Path

from mmengine.dist import is_main_process
from mmengine.runner import Runner

from .mmengine_compat import forget_instances


class LogFolder:
    """The files that a runner's constructor writes to the work dir: its log folder and a copy of the config.

    Args:
        work_dir (str | Path): The work dir, before the runner is built.
        config_name (str): File name of the copy.
    """

    def __init__(self, work_dir: str | Path, config_name: str) -> None:
        self._work_dir, self._copy = Path(work_dir), Path(work_dir) / config_name
        self._had_work_dir, self._had_copy = self._work_dir.exists(), self._copy.exists()
        self._had_folders = {path.name for path in self._work_dir.glob('*/')}

    def remove(self, runner: Runner) -> None:
        """Remove the new files. The runner, even if only partly built, stops logging."""
        log_dir = getattr(runner, '_log_dir', None)
        if log_dir is not None and Path(log_dir).name in self._had_folders:
            return  # another run started in the same second and uses the same folder
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
