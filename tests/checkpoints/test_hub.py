import hashlib
import http.server
import json
import socket
import threading
import time

import pytest

from vadlab.checkpoints.hub import hub_folder, shard_names
from vadlab.utils import hub_session
from vadlab.utils.errors import CheckpointError

hub = pytest.importorskip('huggingface_hub')
SETS = [('config.json', 'model.safetensors'), ('config.json', 'model.safetensors.index.json'), ('config.json', 'x.bin')]


@pytest.fixture
def cache(monkeypatch, tmp_path):
    """An empty cache; returns how to name the hub."""
    monkeypatch.setattr(hub.constants, 'HF_HUB_CACHE', str(tmp_path / 'cache'))
    monkeypatch.setattr(hub.constants, 'HF_HUB_OFFLINE', False)

    def use(port):
        endpoint = f'http://127.0.0.1:{port}'
        monkeypatch.setattr(hub.constants, 'ENDPOINT', endpoint)
        template = endpoint + '/{repo_id}/resolve/{revision}/{filename}'
        monkeypatch.setattr(hub.constants, 'HUGGINGFACE_CO_URL_TEMPLATE', template)

    yield use
    hub.close_session()


@pytest.fixture
def serve(cache):
    """A hub on this machine with some files."""
    servers = []

    def start(files):
        class Handler(http.server.BaseHTTPRequestHandler):
            def do_HEAD(self, body=False):
                name = self.path.rsplit('/', 1)[-1]
                asked.append((self.command, name))
                content = files.get(name)
                self.send_response(404 if content is None else 200)
                self.send_header('X-Repo-Commit', 'a' * 40)
                if content is None:
                    self.send_header('X-Error-Code', 'EntryNotFound')
                else:
                    self.send_header('ETag', f'"{hashlib.sha256(content).hexdigest()}"')
                self.send_header('Content-Length', str(len(content or b'')))
                self.end_headers()
                if body and content:
                    self.wfile.write(content)

            def do_GET(self):
                self.do_HEAD(body=True)

            def log_message(self, *_):
                pass

        asked = []
        servers.append(http.server.ThreadingHTTPServer(('127.0.0.1', 0), Handler))
        threading.Thread(target=servers[-1].serve_forever, daemon=True).start()
        cache(servers[-1].server_address[1])
        return asked

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


def test_a_hub_that_accepts_and_never_answers_ends_within_the_time_out(cache, monkeypatch):
    monkeypatch.setattr(hub_session, 'HUB_TIMEOUT_S', 1)
    with socket.create_server(('127.0.0.1', 0)) as silent:
        cache(silent.getsockname()[1])
        start = time.monotonic()
        with pytest.raises(
            CheckpointError, match=r"'some/clip'.*timed out.*1 s to answer.*HF_HUB_OFFLINE=1.*config\.json"
        ):
            hub_folder('some/clip', SETS)
        assert time.monotonic() - start < 10


def test_a_hub_that_refuses_is_one_message(cache):
    with socket.create_server(('127.0.0.1', 0)) as server:
        port = server.getsockname()[1]
    cache(port)  # nobody listens there any more
    with pytest.raises(CheckpointError, match=r"'some/clip' is|'some/clip', and .*HF_HUB_OFFLINE=1"):
        hub_folder('some/clip', SETS)


def test_the_first_whole_set_is_taken_and_then_found_in_the_cache(serve):
    asked = serve({'config.json': b'{}', 'x.bin': b'weights'})
    folder = hub_folder('some/clip', SETS)
    assert (folder / 'x.bin').read_bytes() == b'weights'
    before = len(asked)
    assert hub_folder('some/clip', SETS) == folder
    assert len(asked) == before


def test_shards_belong_to_their_index(serve):
    index = json.dumps({'weight_map': {'a': 'one.bin', 'b': 'two.bin', 'c': 'one.bin'}}).encode()
    serve({'config.json': b'{}', 'model.safetensors.index.json': index, 'one.bin': b'1', 'two.bin': b'2'})
    folder = hub_folder('some/clip', SETS)
    assert [(folder / name).read_bytes() for name in shard_names(folder / 'model.safetensors.index.json')] == [
        b'1',
        b'2',
    ]


def test_a_model_without_these_files_names_them(serve):
    serve({'README.md': b'x'})
    with pytest.raises(CheckpointError, match=r'it needs one of these: config\.json \+ model\.safetensors / .* x\.bin'):
        hub_folder('some/clip', SETS)


@pytest.mark.parametrize(
    'content', ['{', '[]', '{}', '{"weight_map": []}', '{"weight_map": {"a": "../x"}}', '[' * 9999]
)
def test_an_index_that_names_no_files_here_is_refused(tmp_path, content):
    (tmp_path / 'index.json').write_text(content)
    with pytest.raises(CheckpointError, match=r'index\.json has no weight_map of plain file names'):
        shard_names(tmp_path / 'index.json')
