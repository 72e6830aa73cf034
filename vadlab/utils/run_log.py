"""Writing messages to the log of a run."""

import logging
import sys

from .printable import say


def log(message: str, level: int = logging.WARNING) -> None:
    """Write a message to MMEngine's log, or to standard output if the command has not loaded MMEngine.

    Args:
        message (str): The message.
        level (int): Level of :mod:`logging`. Without MMEngine, levels below INFO are not written.
    """
    if 'mmengine' not in sys.modules:
        if level >= logging.INFO:
            say(f'{logging.getLevelName(level)}: {message}')
        return
    from mmengine.logging import print_log

    print_log(message, logger='current', level=level)
