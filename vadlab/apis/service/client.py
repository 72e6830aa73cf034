"""A client of the service. It uses the standard library only, so this file can also be copied and used alone.

::

    client = ServiceClient('http://127.0.0.1:8000')
    job = client.post('clip.mp4')
    job = client.wait(job['id'])
    print(client.result(job['id'])['events'])
"""

import http.client
import json
import os
import ssl
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode, urlsplit


class ServiceRefusedError(Exception):
    """The service refused a request, or a job failed.

    Attributes:
        status (int): Status of HTTP; 0 for a job that failed.
        code (str): Short word, such as ``too_large``.
        retry_after_s (float | None): When to try again, in seconds, if the service is full.
    """

    def __init__(self, status: int, code: str, message: str, retry_after_s: float | None = None) -> None:
        super().__init__(message)
        self.status, self.code, self.retry_after_s = status, code, retry_after_s


class ServiceClient:
    """Posts videos and fetches results.

    Args:
        url (str): Address of the service, such as ``http://127.0.0.1:8000``.
        token (str | None): The token; by default that of the environment variable ``VADLAB_TOKEN``.
        timeout_s (float): Longest wait for one answer, in seconds.
        patience_s (float): How long a request is repeated while the service cannot be reached or is full, in seconds.
    """

    def __init__(self, url: str, token: str | None = None, timeout_s: float = 120.0, patience_s: float = 600.0) -> None:
        parts = urlsplit(url)
        if parts.scheme not in ('http', 'https') or not parts.hostname:
            raise ValueError(f'{url!r} is not an address such as http://127.0.0.1:8000')
        self._host, self._port, self._is_https = parts.hostname, parts.port, parts.scheme == 'https'
        self._base = parts.path.rstrip('/')
        self._token = token or os.environ.get('VADLAB_TOKEN')
        self._timeout_s, self._patience_s = timeout_s, patience_s

    def post(self, path: str | os.PathLike, name: str | None = None) -> dict[str, Any]:
        """Post a video; return the job. It is accepted once, however often the connection breaks.

        Args:
            path (str | PathLike): The file; it is streamed.
            name (str | None): Name for people; by default that of the file.

        Raises:
            ServiceRefusedError: The service does not take it.
            OSError: The file cannot be read, or the service cannot be reached for ``patience_s``.
        """
        with open(path, 'rb'):  # a missing file is an error now, and not something to wait for
            pass
        query = urlencode({'name': name or Path(path).name})
        headers = {'Idempotency-Key': uuid.uuid4().hex, 'Content-Type': 'application/octet-stream'}
        return json.loads(self._patiently('POST', f'/api/videos?{query}', path, headers))

    def job(self, job_id: str, wait_s: float = 0.0) -> dict[str, Any]:
        """State of a job; with ``wait_s`` the answer comes when it has ended, or after that many seconds."""
        return json.loads(self._patiently('GET', f'/api/videos/{quote(job_id, safe="")}?wait_s={wait_s}'))

    def wait(
        self, job_id: str, on_progress: Callable[[dict[str, Any]], None] = lambda job: None, wait_s: float = 20.0
    ) -> dict[str, Any]:
        """Wait until a job is done; return it.

        Args:
            job_id (str): The job.
            on_progress (Callable): Gets the job now and then.
            wait_s (float): Longest time between two calls, in seconds.

        Raises:
            ServiceRefusedError: The job failed, or was deleted.
        """
        while True:
            job = self.job(job_id, wait_s)
            on_progress(job)
            if job['state'] == 'done':
                return job
            if job['state'] == 'failed':
                raise ServiceRefusedError(0, job['error']['code'], job['error']['message'])

    def result(self, job_id: str) -> dict[str, Any]:
        """Events, thresholds and boxes of a job that is done."""
        return json.loads(self._patiently('GET', f'/api/videos/{quote(job_id, safe="")}/result'))

    def frames(self, job_id: str) -> dict[str, Any]:
        """``times_s`` and ``scores`` of every frame."""
        return json.loads(self._patiently('GET', f'/api/videos/{quote(job_id, safe="")}/frames'))

    def jobs(self, limit: int = 100) -> list[dict[str, Any]]:
        """The newest jobs."""
        return json.loads(self._patiently('GET', f'/api/videos?limit={limit}'))['videos']

    def info(self) -> dict[str, Any]:
        """What scores, and the limits."""
        return json.loads(self._patiently('GET', '/api/info'))

    def delete(self, job_id: str) -> None:
        """Delete a job with its result and report."""
        self._patiently('DELETE', f'/api/videos/{quote(job_id, safe="")}')

    def _patiently(
        self, method: str, path: str, file: str | os.PathLike | None = None, headers: dict[str, str] | None = None
    ) -> bytes:
        """Send a request, again and again while the service is full or cannot be reached."""
        end, pause = time.monotonic() + self._patience_s, 0.5
        while True:
            try:
                return self._send(method, path, file, headers or {})
            except ServiceRefusedError as error:
                if error.status not in (429, 503) or time.monotonic() > end:
                    raise
                time.sleep(min(error.retry_after_s or pause, max(end - time.monotonic(), 0.1)))
            except (OSError, http.client.HTTPException):
                if time.monotonic() > end:
                    raise
                time.sleep(pause)
            pause = min(2 * pause, 10.0)

    def _send(self, method: str, path: str, file: str | os.PathLike | None, headers: dict[str, str]) -> bytes:
        if self._token:
            headers = {**headers, 'Authorization': f'Bearer {self._token}'}
        connection: http.client.HTTPConnection
        if self._is_https:
            connection = http.client.HTTPSConnection(
                self._host, self._port, timeout=self._timeout_s, context=ssl.create_default_context()
            )
        else:
            connection = http.client.HTTPConnection(self._host, self._port, timeout=self._timeout_s)
        try:
            if file is None:
                connection.request(method, self._base + path, headers=headers)
            else:
                with open(file, 'rb') as body:
                    headers = {**headers, 'Content-Length': str(os.fstat(body.fileno()).st_size)}
                    try:
                        connection.request(method, self._base + path, body, headers)
                    except (BrokenPipeError, ConnectionResetError):
                        pass  # refused before its end: the answer says why
            answer = connection.getresponse()
            content = answer.read()
        finally:
            connection.close()
        if answer.status >= 400:
            raise self._refused(answer, content)
        return content

    @staticmethod
    def _refused(answer: http.client.HTTPResponse, content: bytes) -> ServiceRefusedError:
        try:
            error = json.loads(content)['error']
            code, message = str(error['code']), str(error['message'])
        except (ValueError, KeyError, TypeError):
            code, message = 'unknown', f'{answer.status} {answer.reason}'
        after = answer.headers.get('Retry-After', '')
        return ServiceRefusedError(answer.status, code, message, float(after) if after.isdecimal() else None)
