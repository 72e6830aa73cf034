"""A running service with the fake worker, in threads of the test, and plain requests to it."""

import http.client
import json
import sys
import threading
from contextlib import contextmanager
from pathlib import Path

from vadlab.apis.service.access import Access
from vadlab.apis.service.client import ServiceClient
from vadlab.apis.service.content_checker import ContentChecker
from vadlab.apis.service.dispatcher import Dispatcher
from vadlab.apis.service.job_store import JobStore
from vadlab.apis.service.server import bind, serve
from vadlab.apis.service.settings import ServiceSettings

FAKE = Path(__file__).parent / 'fake_worker.py'
#: One process for all tests; its limit of length is that of the settings.
CHECKER = ContentChecker(ServiceSettings(Path('.')))


def fake_command(log, **more):
    """The command of the fake worker, which writes the id of each job that it begins to a file."""
    return [sys.executable, str(FAKE), json.dumps({'log': str(log), **more})]


class Running:
    """Requests to a running service."""

    def __init__(self, port, folder, log, token):
        self.port, self.folder, self.log, self.token = port, folder, log, token
        self.client = ServiceClient(f'http://127.0.0.1:{port}', token, timeout_s=60, patience_s=60)

    def ask(self, method, path, body=None, headers=None):
        """Status, headers and content of an answer."""
        connection = http.client.HTTPConnection('127.0.0.1', self.port, timeout=60)
        try:
            connection.request(method, path, body, headers or {})
            answer = connection.getresponse()
            return answer.status, answer.headers, answer.read()
        finally:
            connection.close()

    def error(self, method, path, body=None, headers=None):
        """Status and code of an answer that is an error."""
        status, _, content = self.ask(method, path, body, headers)
        return status, json.loads(content)['error']['code']

    def go_on(self):
        """Let the worker finish videos whose name begins with ``half``, also later ones."""
        Path(f'{self.log}.go').touch()

    def hold(self):
        """Let the worker stop in the middle of later videos whose name begins with ``half``."""
        Path(f'{self.log}.go').unlink(missing_ok=True)

    def begun(self):
        """Ids of the jobs that the worker began, in order."""
        return self.log.read_text().split() if self.log.exists() else []


@contextmanager
def running(folder, token=None, host='127.0.0.1', names=(), **limits):
    """A service on a free port of this machine."""
    log = folder.parent / f'{folder.name}.begun'
    settings = ServiceSettings(folder, free_bytes=0, **limits)
    store = JobStore(folder)
    store.recover()
    dispatcher = Dispatcher(store, fake_command(log), settings, lambda line: None)
    dispatcher.start()
    listening = bind('127.0.0.1', 0)
    ready, stops = threading.Event(), []

    def on_ready(stop):
        stops.append(stop)
        ready.set()

    access = Access.of(host, token, names)
    thread = threading.Thread(target=serve, args=(listening, store, dispatcher, CHECKER, access, settings, on_ready))
    port = listening.getsockname()[1]
    thread.start()
    assert ready.wait(60)
    try:
        yield Running(port, folder, log, token)
    finally:
        stops[0]()
        thread.join()
