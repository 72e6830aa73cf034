"""Sends events to a webhook, in a thread of its own, so that a server that hangs never delays a score."""

import hashlib
import hmac
import http.client
import json
import socket
import ssl
import threading
import time
import uuid
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any
from urllib.parse import urlsplit

from vadlab.utils.errors import ConfigError

from .camera_specs import shown_address

#: Environment variable of the key that signs messages.
SECRET_VARIABLE = 'VADLAB_WEBHOOK_SECRET'
#: Pauses before a message is sent again, in seconds.
PAUSES_S = (1.0, 5.0, 30.0)
_MOST_WAITING = 1000
_MOST_PAUSE_S = 60.0
_TRY_AGAIN = (408, 425, 429)  # and all of 500 and more


def signature(secret: str, timestamp: str, body: bytes) -> str:
    """``sha256=`` and the HMAC of ``timestamp.body``; a receiver computes it again and compares.

    >>> signature('key', '1', b'{}')[:17]
    'sha256=1ba6b81711'
    """
    digest = hmac.new(secret.encode(), timestamp.encode() + b'.' + body, hashlib.sha256)
    return f'sha256={digest.hexdigest()}'


class Webhook(threading.Thread):
    """Posts messages as JSON, one after the other.

    A message that fails is sent again after some pauses, with the same ``X-VADLab-Delivery``, unless the server refuses
    it (4xx). At most 1,000 messages wait; then the oldest is dropped. All are counted.

    Args:
        url (str): ``http://`` or ``https://``.
        secret (str): Key of the signature (``X-VADLab-Signature``, see :func:`signature`); empty for none.
        timeout_s (float): Longest time of one try, in seconds.
        most_per_minute (float): Rate limit; further messages wait.
        on_note (Callable | None): Gets texts about what went wrong.
        pauses_s (tuple[float, ...]): Pauses before a message is sent again.

    Raises:
        ConfigError: The address is not one of HTTP.
    """

    def __init__(
        self,
        url: str,
        secret: str = '',
        timeout_s: float = 5.0,
        most_per_minute: float = 30.0,
        on_note: Callable[[str], None] | None = None,
        pauses_s: tuple[float, ...] = PAUSES_S,
    ) -> None:
        super().__init__(name='webhook', daemon=True)
        self.shown = shown_address(url)
        try:
            parts = urlsplit(url)
            host, port = parts.hostname, parts.port
        except ValueError as error:
            raise ConfigError(f'--webhook {self.shown}: {error}.') from error
        if parts.scheme not in ('http', 'https') or not host:
            raise ConfigError(f'--webhook {self.shown}: give an address such as https://example.org/alarms.')
        self._host, self._port, self._is_https = host, port, parts.scheme == 'https'
        self._path = (parts.path or '/') + (f'?{parts.query}' if parts.query else '')
        self._login = None if parts.username is None else f'{parts.username}:{parts.password or ""}'
        self._secret, self._timeout_s, self._pauses_s = secret, timeout_s, pauses_s
        self._gap_s = 60.0 / most_per_minute
        self._burst = max(most_per_minute / 6, 1.0)
        self.on_note = on_note or (lambda text: None)
        self._waiting: deque[dict[str, Any]] = deque()
        self._changed = threading.Condition()
        self._is_stopping = False
        self._is_sending = False
        self.delivered = self.failed = self.dropped = 0

    def send(self, message: Mapping[str, Any]) -> None:
        """Queue a message; returns at once."""
        with self._changed:
            if len(self._waiting) == _MOST_WAITING:
                self._waiting.popleft()
                self.dropped += 1
            self._waiting.append({'id': uuid.uuid4().hex, **message})
            self._changed.notify()

    @property
    def waiting(self) -> int:
        """Number of messages that are not delivered yet."""
        return len(self._waiting) + self._is_sending

    def stop(self, timeout_s: float) -> None:
        """Deliver what waits, as far as the time allows."""
        with self._changed:
            self._is_stopping = True
            self._changed.notify_all()
        self.join(timeout_s)
        if self.waiting:
            self.on_note(f'webhook {self.shown}: {self.waiting} messages were not delivered')

    def run(self) -> None:
        """Deliver messages until :meth:`stop`."""
        tokens, last = self._burst, time.monotonic()
        while True:
            with self._changed:
                while not self._waiting and not self._is_stopping:
                    self._changed.wait()
                if not self._waiting:
                    return
                message = self._waiting.popleft()
                self._is_sending = True
            now = time.monotonic()
            tokens, last = min(tokens + (now - last) / self._gap_s, self._burst), now
            if tokens < 1:
                self._pause((1 - tokens) * self._gap_s)
                tokens, last = 1.0, time.monotonic()
            tokens -= 1
            self._deliver(message)
            self._is_sending = False

    def _deliver(self, message: dict[str, Any]) -> None:
        delivery = message.pop('id')
        body = json.dumps(message, ensure_ascii=False).encode('utf-8', 'backslashreplace')
        why = ''
        for pause_s in (0.0, *self._pauses_s):
            self._pause(pause_s)
            try:
                status, after_s = self._post(body, delivery)
            except (OSError, http.client.HTTPException, ValueError) as error:
                why = f'no answer within {self._timeout_s:g} s' if isinstance(error, TimeoutError) else str(error)
                continue
            if 200 <= status < 300:
                self.delivered += 1
                return
            why = f'the server answered {status}'
            if status < 500 and status not in _TRY_AGAIN:
                break
            self._pause(min(after_s, _MOST_PAUSE_S))
        self.failed += 1
        self.on_note(f'webhook {self.shown}: an event was not delivered: {why}')

    def _pause(self, pause_s: float) -> None:
        """Wait, unless the run is stopping: then what waits is tried at once."""
        end = time.monotonic() + pause_s
        with self._changed:
            while (left := end - time.monotonic()) > 0 and not self._is_stopping:
                self._changed.wait(left)

    def _post(self, body: bytes, delivery: str) -> tuple[int, float]:
        """Post once; return the status and the pause that the server asks for, in seconds."""
        kind: Any = http.client.HTTPSConnection if self._is_https else http.client.HTTPConnection
        options = {'context': ssl.create_default_context()} if self._is_https else {}
        connection = kind(self._host, self._port, timeout=self._timeout_s, **options)
        timestamp = str(int(time.time()))
        headers = {
            'Content-Type': 'application/json',
            'User-Agent': 'vadlab-watch',
            'X-VADLab-Delivery': delivery,
            'X-VADLab-Timestamp': timestamp,
        }
        if self._secret:
            headers['X-VADLab-Signature'] = signature(self._secret, timestamp, body)
        if self._login is not None:
            import base64

            headers['Authorization'] = 'Basic ' + base64.b64encode(self._login.encode()).decode()
        is_late = threading.Event()

        def cut() -> None:  # the time-out of a socket starts over with each byte
            is_late.set()
            if connection.sock is not None:
                with suppress(OSError):
                    connection.sock.shutdown(socket.SHUT_RDWR)

        timer = threading.Timer(self._timeout_s, cut)
        timer.daemon = True
        timer.start()
        try:
            connection.request('POST', self._path, body, headers)
            answer = connection.getresponse()
            after = answer.getheader('Retry-After') or ''
            return answer.status, float(after) if after.isdigit() else 0.0
        except (OSError, http.client.HTTPException, ValueError) as error:
            if is_late.is_set():
                raise TimeoutError from error
            raise
        finally:
            timer.cancel()
            connection.close()
