"""Checks of uploads, for the service; the work is done by :mod:`vadlab.apis.service.content_check`."""

import sys
import threading
from pathlib import Path
from typing import Any

from .child_process import ChildError, ChildProcess
from .settings import ServiceSettings
from .uploads import RefusedError

_COMMAND = [sys.executable, '-P', '-m', 'vadlab.apis.service.content_check']


class ContentChecker:
    """Checks uploads one after the other in a process of its own."""

    def __init__(self, settings: ServiceSettings) -> None:
        self.settings = settings
        self._child = ChildProcess(_COMMAND, start_limit_s=settings.start_limit_s)
        self._lock = threading.Lock()

    def __call__(self, path: Path) -> dict[str, Any]:
        """What an upload is; see :func:`~vadlab.apis.service.content_check.check_content`.

        Raises:
            RefusedError: It is not taken.
        """
        request = {'path': str(path), 'max_duration_s': self.settings.max_duration_s}
        with self._lock:
            try:
                found = self._child.ask(request, self.settings.check_limit_s)
            except ChildError as error:
                raise RefusedError(422, 'damaged', f'The file cannot be checked: {error}. It is not taken.') from error
        if 'error' in found:
            code = found['error']['code']
            raise RefusedError(415 if code in ('not_a_video', 'empty') else 422, code, found['error']['message'])
        return found

    def close(self) -> None:
        """End the process."""
        self._child.stop()
