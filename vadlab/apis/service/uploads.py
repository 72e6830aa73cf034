"""Uploads: the body of a request on its way to a file, in little memory, with limits of size and time."""

import asyncio
import os
import re
import shutil
import time
import unicodedata
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from vadlab.utils.printable import printable

from .settings import ServiceSettings

_BUFFER = 2**19
_LONGEST_NAME = 120


class RefusedError(Exception):
    """A request is refused.

    Args:
        status (int): Status of HTTP.
        code (str): Short word for programs.
        message (str): What is wrong, and how to fix it.
        headers (dict[str, str] | None): More headers of the answer.
    """

    def __init__(self, status: int, code: str, message: str, headers: dict[str, str] | None = None) -> None:
        super().__init__(message)
        self.status, self.code, self.message, self.headers = status, code, message, headers or {}


class ClientGoneError(Exception):
    """The client closed the connection before the end of the body."""


class Body:
    """The body of a request, part by part.

    Args:
        receive (Callable): Of ASGI.
    """

    def __init__(self, receive: Callable[[], Awaitable[Any]]) -> None:
        self._receive = receive
        self.is_complete = False

    async def next(self) -> bytes:
        """The next part.

        Raises:
            ClientGoneError: The connection ended.
        """
        message = await self._receive()
        if message['type'] == 'http.disconnect':
            self.is_complete = True
            raise ClientGoneError
        self.is_complete = not message.get('more_body', False)
        return message.get('body', b'')

    async def drain(self, most: int = 2**30, limit_s: float = 5.0) -> None:
        """Read the rest of a body that was refused, for some seconds, so that the client gets the answer.

        A connection that is closed with unread data is reset, and then a client loses the answer.
        """
        size = 0
        try:
            async with asyncio.timeout(limit_s):
                while not self.is_complete and size <= most:
                    size += len(await self.next())
        except (TimeoutError, ClientGoneError):
            return


def check_length(length: str | None, settings: ServiceSettings) -> None:
    """Check the announced length of a body, before any of it is read.

    Raises:
        RefusedError: It is too large, or not a number.
    """
    if length is None:
        return
    if not re.fullmatch('[0-9]{1,18}', length):
        raise RefusedError(400, 'bad_request', 'Content-Length is not a number.')
    if int(length) > settings.max_bytes:
        raise _too_large(settings)


async def receive_body(body: Body, path: Path, settings: ServiceSettings) -> int:
    """Write the body of a request to a new file; return its size in bytes. After an error, there is no file.

    Args:
        body (Body): The body.
        path (Path): The file.
        settings (ServiceSettings): Limits.

    Raises:
        RefusedError: The body is too large or too slow, or the disk is full.
        ClientGoneError: The connection ended.
    """
    end = time.monotonic() + settings.upload_limit_s
    size, buffer = 0, bytearray()
    try:
        with open(path, 'xb') as file:
            while not body.is_complete:
                part = await _next_part(body, end, settings)
                buffer += part
                size += len(part)
                if size > settings.max_bytes:
                    raise _too_large(settings)
                if len(buffer) >= _BUFFER or body.is_complete:
                    _check_room(path, settings)
                    await asyncio.to_thread(file.write, bytes(buffer))
                    buffer.clear()
            await asyncio.to_thread(_sync, file)
    except OSError as error:
        path.unlink(missing_ok=True)
        raise RefusedError(507, 'no_room', f'The upload cannot be stored: {error.strerror}.') from error
    except BaseException:
        path.unlink(missing_ok=True)
        raise
    return size


async def _next_part(body: Body, end: float, settings: ServiceSettings) -> bytes:
    left = min(end - time.monotonic(), settings.idle_limit_s)
    try:
        return await asyncio.wait_for(body.next(), max(left, 0.001))
    except TimeoutError:
        what = f'No data came for {settings.idle_limit_s:g} s.'
        if time.monotonic() >= end:
            what = f'The upload took more than {settings.upload_limit_s / 60:g} minutes.'
        raise RefusedError(408, 'too_slow', f'{what} The upload was ended.', {'Connection': 'close'}) from None


def _sync(file: Any) -> None:
    file.flush()
    os.fsync(file.fileno())


def _check_room(path: Path, settings: ServiceSettings) -> None:
    if shutil.disk_usage(path.parent).free < settings.free_bytes:
        raise RefusedError(
            507,
            'no_room',
            f'The disk of the service has less than {settings.free_bytes / 2**30:.2g} GiB left. Delete old jobs.',
        )


def _too_large(settings: ServiceSettings) -> RefusedError:
    return RefusedError(
        413, 'too_large', f'The video is larger than {size_text(settings.max_bytes)}, the limit of this service.'
    )


def size_text(size: float) -> str:
    """A number of bytes for people.

    >>> size_text(3 * 2**30), size_text(1536)
    ('3 GiB', '1.5 KiB')
    """
    for unit in ('bytes', 'KiB', 'MiB'):
        if size < 1024:
            return f'{size:.3g} {unit}'
        size /= 1024
    return f'{size:.3g} GiB'


def shown_name(name: str | None) -> str:
    r"""The name of an upload for people: without folders and control characters, not too long. It is never a path.

    >>> shown_name('C:\\videos\\..\\a.mp4'), shown_name('../../etc/passwd'), shown_name('..'), shown_name(None)
    ('a.mp4', 'passwd', 'video', 'video')
    """
    last = re.split(r'[/\\]', unicodedata.normalize('NFC', name or ''))[-1]
    clean = printable(last.replace('\n', ' ').replace('\t', ' ').replace('\0', '')).replace('\\', '_').strip()
    if len(clean) > _LONGEST_NAME:
        clean = f'{clean[: _LONGEST_NAME // 2]}…{clean[-_LONGEST_NAME // 2 + 1 :]}'
    return clean if clean.strip('. ') else 'video'
