"""A service with the fake worker as a program: ``python fake_service.py FOLDER PORT MAX_BYTES MAX_WAITING LOG``."""

import sys
from pathlib import Path

from tests.apis.service.running import fake_command
from vadlab.apis.service.access import Access
from vadlab.apis.service.content_checker import ContentChecker
from vadlab.apis.service.dispatcher import Dispatcher
from vadlab.apis.service.job_store import JobStore
from vadlab.apis.service.server import bind, serve
from vadlab.apis.service.settings import ServiceSettings

if __name__ == '__main__':
    folder, port, max_bytes, max_waiting, log = sys.argv[1:]
    settings = ServiceSettings(Path(folder), max_bytes=int(max_bytes), max_waiting=int(max_waiting), free_bytes=0)
    store = JobStore(settings.data)
    store.recover()
    dispatcher = Dispatcher(store, fake_command(log), settings, lambda line: None)
    dispatcher.start()
    access = Access.of('127.0.0.1', None)
    serve(bind('127.0.0.1', int(port)), store, dispatcher, ContentChecker(settings), access, settings)
