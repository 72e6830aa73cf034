"""Messages that belong into the log of a run."""

import logging
import sys

from .printable import say


def log(message: str, level: int = logging.WARNING) -> None:
    """Write a message into MMEngine's log, or onto standard output in a command that has not loaded MMEngine.

    Args:
        message (str): What to write.
        level (int): As in :mod:`logging`.
    """
    if 'mmengine' not in sys.modules:
        say(f'{logging.getLevelName(level)}: {message}')
        return
    from mmengine.logging import print_log

    print_log(message, logger='current', level=level)
