"""Messages for data loader workers that die, where torch would wait forever."""

import errno
import os
import re
import shutil
import sys
import traceback
from collections.abc import Iterator
from multiprocessing import resource_sharer
from multiprocessing.queues import Queue
from types import TracebackType
from typing import Any

# Exit statuses of a worker that cannot send a batch. torch's error has the status as its only hint at the reason.
_NO_SHARED_MEMORY, _NO_FILE_HANDLES, _CANNOT_SEND = 81, 82, 83
_DIED = re.compile(r'DataLoader worker \(pid|process pool (was|were) terminated|not usable anymore')
_EXIT_STATUS = re.compile(r'exited unexpectedly with exit code (\d+)')
_SIGNAL = re.compile(r'is killed by signal: ([\w ]+)')
_FEWER = 'Set num_workers or prefetch_factor of the data loaders lower'


def exit_if_batches_cannot_be_sent(worker_id: int = 0) -> None:
    """Make a worker exit if it cannot send a batch; by default Python prints the error and goes on.

    The main process would wait for that batch forever, but it notices within seconds that a worker is gone. If it is
    the main process that has gone, nothing is printed: it was interrupted, and says so itself.
    """
    del worker_id  # torch passes it to a worker_init_fn
    Queue._on_queue_feeder_error = staticmethod(_exit)  # type: ignore[attr-defined]
    sys.excepthook = _tell_unless_unwanted


def _exit(error: Exception, batch: Any) -> None:
    del batch
    text = str(error)
    if 'Too many open files' in text:
        os._exit(_NO_FILE_HANDLES)
    if 'shared memory' in text or 'No space left' in text:
        os._exit(_NO_SHARED_MEMORY)
    traceback.print_exception(error)
    os._exit(_CANNOT_SEND)


def _tell_unless_unwanted(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """Print an error, unless the main process stopped to take a tensor that a thread was handing over to it."""
    is_of_sharer = any(frame.f_globals is vars(resource_sharer) for frame, _ in traceback.walk_tb(trace))
    if not (is_of_sharer and isinstance(error, ConnectionError | EOFError)):
        sys.__excepthook__(kind, error, trace)


def is_first_worker() -> bool:
    """Whether this is the first worker, or the main process if there are no workers. Only it logs warnings."""
    from torch.utils.data import get_worker_info

    worker = get_worker_info()
    return worker is None or worker.id == 0


def machine_message(error: BaseException) -> str | None:
    """The message for a worker that died, or for a machine that is out of shared memory or file handles.

    Returns:
        One message; None for any other error.
    """
    chain = list(causes(error))
    text = '\n'.join(str(each) for each in chain)
    has_died = bool(_DIED.search(text))
    status = int(found[1]) if (found := _EXIT_STATUS.search(text)) else None
    out_of_files = any(isinstance(each, OSError) and each.errno in (errno.EMFILE, errno.ENFILE) for each in chain)
    # "ancdata": torch could not send the file handles of a batch.
    if out_of_files or status == _NO_FILE_HANDLES or 'Too many open files' in text or 'items of ancdata' in text:
        return f'Too many open files. Raise the limit (ulimit -n 4096). {_FEWER}, or to 0'
    if status == _NO_SHARED_MEMORY or 'unable to allocate shared memory' in text or ('Bus error' in text and has_died):
        usage = shutil.disk_usage('/dev/shm') if os.path.isdir('/dev/shm') else None
        size = f' (/dev/shm has {usage.total / 1e6:.0f} MB)' if usage else ''
        return (
            f'Data loader workers are out of shared memory{size}: batches do not fit. Give a container more '
            f'(docker run --shm-size=8g). {_FEWER}; num_workers=0 needs none'
        )
    if not has_died:
        return None
    signal = _SIGNAL.search(text)
    how = f'was killed ({signal[1].strip()})' if signal else 'ended' + (f' (exit status {status})' if status else '')
    return (
        f'A process that loads data {how}. Often the machine is out of memory: see dmesg. {_FEWER}, or to 0 to see an '
        'error of its own. A training run continues with --resume'
    )


def causes(error: BaseException | None) -> Iterator[BaseException]:
    """An error and the chain of its causes and contexts, latest first."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        error = error.__cause__ or error.__context__
