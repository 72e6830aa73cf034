"""The client: errors that it names, and that its file can be used alone."""

import ast
import sys
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from vadlab.apis.service import client as module
from vadlab.apis.service.client import ServiceClient, ServiceRefusedError

from .load import free_port


def test_the_file_needs_the_standard_library_only():
    with open(module.__file__, encoding='utf-8') as file:
        tree = ast.parse(file.read())
    used = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    used |= {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    assert {name.partition('.')[0] for name in used} <= sys.stdlib_module_names


@pytest.mark.parametrize('url', ['127.0.0.1:8000', 'ftp://host', 'http://', ''])
def test_what_is_no_address_is_named(url):
    with pytest.raises(ValueError, match='is not an address such as'):
        ServiceClient(url)


def test_a_missing_file_is_an_error_at_once(tmp_path):
    with pytest.raises(FileNotFoundError):
        ServiceClient('http://127.0.0.1:9', patience_s=600).post(tmp_path / 'missing.mp4')


def test_a_service_that_cannot_be_reached_is_given_up():
    with pytest.raises(OSError):
        ServiceClient(f'http://127.0.0.1:{free_port()}', patience_s=0).info()


def test_the_client_waits_as_long_as_a_full_service_says_and_keeps_its_key(tmp_path):
    """The oracle is a server that notes what it gets: it is full twice, then breaks the connection, then accepts."""
    seen, answers = [], [(429, b'{"error": {"code": "full", "message": "m"}}')] * 2 + [None, (202, b'{"id": "a"}')]

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers['Content-Length']))
            seen.append((self.path, self.headers['Idempotency-Key'], self.headers['Authorization'], body))
            answer = answers[len(seen) - 1]
            if answer is None:
                self.connection.close()
                return
            self.send_response(answer[0])
            self.send_header('Retry-After', '0')
            self.send_header('Content-Length', str(len(answer[1])))
            self.end_headers()
            self.wfile.write(answer[1])

        def log_message(self, *args):
            pass

    (tmp_path / 'a b.mp4').write_bytes(b'video')
    server = HTTPServer(('127.0.0.1', 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        client = ServiceClient(f'http://127.0.0.1:{server.server_port}/proxied/', 'secret')
        assert client.post(tmp_path / 'a b.mp4') == {'id': 'a'}
        answers.append((413, b'not JSON'))
        with pytest.raises(ServiceRefusedError, match='413') as caught:
            client.post(tmp_path / 'a b.mp4', name='other')
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
    assert (caught.value.status, caught.value.code) == (413, 'unknown')
    assert len(seen) == 5
    assert {(path, body) for path, _, _, body in seen[:4]} == {('/proxied/api/videos?name=a+b.mp4', b'video')}
    assert len({key for _, key, _, _ in seen[:4]}) == 1
    assert seen[4][1] != seen[0][1]
    assert {token for _, _, token, _ in seen} == {'Bearer secret'}
