"""A process that answers requests, with limits of time and memory: what it decodes cannot end the service.

Both sides write one JSON object per line. The process announces ``{"ready": ...}`` or ``{"refused": "why"}``; then it
answers each request with any number of ``{"progress": ...}`` and one ``{"answer": ...}``. It ends when its standard
input is closed, so it never outlives the service.
"""

import json
import os
import queue
import selectors
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import vadlab
from vadlab.utils.errors import DataError
from vadlab.utils.json_file import parse_json

_ROOT = str(Path(vadlab.__file__).parents[1])
_POLL_S = 0.25  # between looks at the memory
_LONGEST_LINE = 2**26


class ChildError(Exception):
    """The process gave no answer, and was ended. ``code`` is a short word, the message is for people."""

    code = 'crashed'


class ChildTimeoutError(ChildError):
    """The answer took too long."""

    code = 'too_slow'


class ChildMemoryError(ChildError):
    """The process took too much memory."""

    code = 'too_much_memory'


class ChildRefusedError(ChildError):
    """The process cannot work with its arguments."""

    code = 'refused'


class ChildProcess:
    """A process that answers one request at a time; it is started when it is needed, and again after it has ended.

    Args:
        command (Sequence[str]): What is run; its standard error is that of this process.
        memory (int | None): Most memory that a request may add, in bytes; Linux only. None for any.
        start_limit_s (float): Longest time until it is ready, in seconds.
    """

    def __init__(self, command: Sequence[str], memory: int | None = None, start_limit_s: float = 600.0) -> None:
        self.command = list(command)
        self.memory = memory
        self.start_limit_s = start_limit_s
        self.ready: dict[str, Any] = {}
        self._process: subprocess.Popen | None = None
        self._rest = b''

    @property
    def is_running(self) -> bool:
        """Whether the process is alive."""
        return self._process is not None and self._process.poll() is None

    def start(self) -> dict[str, Any]:
        """Start the process if it is not running; return what it announced.

        Raises:
            ChildRefusedError: It says that it cannot work.
            ChildError: It ended, or took too long.
        """
        if self.is_running:
            return self.ready
        self.stop()
        self._rest = b''
        # A session of its own: Ctrl-C reaches only the service, which then stops its processes in order.
        self._process = subprocess.Popen(
            self.command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,
            env={**os.environ, 'PYTHONPATH': os.pathsep.join([_ROOT, *filter(None, [os.environ.get('PYTHONPATH')])])},
        )
        message = self._read(time.monotonic() + self.start_limit_s, None)
        if 'ready' not in message:
            self.stop()
            raise ChildRefusedError(str(message.get('refused', 'it did not announce itself')))
        self.ready = message['ready']
        return self.ready

    def ask(
        self,
        request: dict[str, Any],
        limit_s: float,
        on_progress: Callable[[dict[str, Any]], None] | None = None,
    ) -> dict[str, Any]:
        """Send a request and wait for its answer.

        Args:
            request (dict[str, Any]): The request, JSON.
            limit_s (float): Longest time until the answer, in seconds.
            on_progress (Callable | None): Gets what the process tells in between.

        Raises:
            ChildError: There is no answer; the process was ended, and starts again with the next request.
        """
        self.start()
        assert self._process is not None
        assert self._process.stdin is not None
        end = time.monotonic() + limit_s
        at_start = _memory_of(self._process.pid)
        try:
            self._process.stdin.write(json.dumps(request).encode() + b'\n')
            self._process.stdin.flush()
        except OSError as error:
            self._end_with(error)
        while True:
            message = self._read(end, at_start)
            if 'answer' in message:
                return message['answer']
            if on_progress is not None and 'progress' in message:
                on_progress(message['progress'])

    def kill(self) -> None:
        """End the process at once, from any thread; a request in another thread then fails."""
        process = self._process
        if process is not None:
            process.kill()

    def stop(self) -> None:
        """End the process, and wait for its end."""
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.wait()
            for pipe in (process.stdin, process.stdout):
                if pipe is not None:
                    try:
                        pipe.close()
                    except OSError:  # what was not sent yet
                        pass

    def _read(self, end: float, at_start: int | None) -> dict[str, Any]:
        """The next message, before the time ``end``."""
        assert self._process is not None
        assert self._process.stdout is not None
        pipe = self._process.stdout
        with selectors.DefaultSelector() as selector:
            selector.register(pipe, selectors.EVENT_READ)
            while b'\n' not in self._rest:
                left = end - time.monotonic()
                if left <= 0:
                    self.stop()
                    raise ChildTimeoutError('it took too long')
                if selector.select(min(left, _POLL_S)):
                    got = os.read(pipe.fileno(), 2**16)
                    self._rest += got
                    if not got or len(self._rest) > _LONGEST_LINE:
                        self._end_with(None)
                if at_start is not None and self.memory is not None:
                    added = (_memory_of(self._process.pid) or 0) - at_start
                    if added > self.memory:
                        self.stop()
                        raise ChildMemoryError(f'it took {added / 2**30:.1f} GiB of memory')
        line, _, self._rest = self._rest.partition(b'\n')
        try:
            message = parse_json(line.decode(), 'the answer')
        except (DataError, UnicodeDecodeError) as error:
            self._end_with(error)
        return message if isinstance(message, dict) else {}

    def _end_with(self, error: Exception | None) -> Any:
        """Reap the process, and raise how it ended."""
        assert self._process is not None
        process = self._process
        try:
            status = process.wait(timeout=2.0)
        except subprocess.TimeoutExpired:
            status = None
        self.stop()
        raise ChildError(_how(status) if error is None or status is not None else str(error)) from error


def _how(status: int | None) -> str:
    """How a process ended, in words."""
    if status is None:
        return 'it closed its output'
    if status < 0:
        try:
            return f'it was ended by {signal.Signals(-status).name}'
        except ValueError:
            return f'it was ended by signal {-status}'
    return f'it ended with exit status {status}'


def _memory_of(pid: int) -> int | None:
    """Memory of a process, in bytes; None where it is not known."""
    try:
        with open(f'/proc/{pid}/statm', encoding='ascii') as file:
            return int(file.read().split()[1]) * os.sysconf('SC_PAGE_SIZE')
    except (OSError, ValueError, IndexError):
        return None


class ParentChannel:
    """The other side: reads requests, and writes messages.

    From here on, standard output of this process goes to standard error, so that nothing that a library prints is taken
    for a message. When the service ends, this process ends at once.
    """

    def __init__(self) -> None:
        self._out = os.fdopen(os.dup(1), 'w', encoding='utf-8', buffering=1)
        os.dup2(2, 1)
        self._lines: queue.SimpleQueue[bytes] = queue.SimpleQueue()
        threading.Thread(target=self._watch, daemon=True).start()

    def _watch(self) -> None:
        rest = b''
        # Not through sys.stdin: Python aborts if it ends while another thread waits for that object.
        while part := os.read(0, 2**16):
            *lines, rest = (rest + part).split(b'\n')
            for line in lines:
                self._lines.put(line)
        os._exit(0)

    def tell(self, **message: Any) -> None:
        """Write a message, such as ``tell(ready={})``."""
        self._out.write(json.dumps(message) + '\n')
        self._out.flush()

    def serve(self, answer: Callable[[dict[str, Any]], dict[str, Any]]) -> None:
        """Answer requests until the service ends."""
        while True:
            self.tell(answer=answer(json.loads(self._lines.get())))
