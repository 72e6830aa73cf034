"""A webhook against a server that answers, refuses, hangs, or drips; the signature is computed by hand."""

import hashlib
import hmac
import http.server
import json
import threading
import time

import pytest

from tests.apis.live.camera_server import until
from vadlab.apis.live.webhook import Webhook
from vadlab.utils.errors import ConfigError


class Receiver:
    """Answers with the next status; ``hang`` reads nothing and answers never, ``drip`` sends a byte now and then."""

    def __init__(self, *answers):
        self.got, self.answers, self.release = [], list(answers), threading.Event()
        receiver = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def log_message(self, *args):
                pass

            def do_POST(self):
                body = self.rfile.read(int(self.headers['Content-Length']))
                receiver.got.append((dict(self.headers), body, time.monotonic(), self.path))
                answer = receiver.answers.pop(0) if receiver.answers else 200
                if answer == 'hang':
                    receiver.release.wait(20)
                elif answer == 'drip':
                    try:
                        for byte in b'HTTP/1.1 200 OK\r\n' * 100:
                            self.wfile.write(bytes([byte]))
                            self.wfile.flush()
                            time.sleep(0.05)
                    except OSError:
                        pass
                else:
                    self.send_response(answer)
                    self.end_headers()

        self.server = http.server.ThreadingHTTPServer(('127.0.0.1', 0), Handler)
        self.server.daemon_threads = True
        self.url = f'http://127.0.0.1:{self.server.server_port}/alarms?x=1'
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.release.set()
        self.server.shutdown()
        self.server.server_close()


def started(receiver, **options):
    notes = []
    options = {'most_per_minute': 6000, 'pauses_s': (0.01, 0.01), 'timeout_s': 5.0, **options}
    hook = Webhook(receiver.url, on_note=notes.append, **options)
    hook.start()
    return hook, notes


def test_messages_are_signed_and_in_order():
    with Receiver() as receiver:
        hook, _ = started(receiver, secret='key')
        for number in range(3):
            hook.send({'camera': 'door', 'number': number, 'label': 'Kämpfen'})
        hook.stop(20)
        assert [json.loads(body)['number'] for _, body, _, _ in receiver.got] == [0, 1, 2]
        headers, body, _, path = receiver.got[0]
        assert path == '/alarms?x=1'
        wanted = hmac.new(b'key', headers['X-VADLab-Timestamp'].encode() + b'.' + body, hashlib.sha256).hexdigest()
        assert headers['X-VADLab-Signature'] == f'sha256={wanted}'
        assert json.loads(body) == {'camera': 'door', 'number': 0, 'label': 'Kämpfen'}
        assert (hook.delivered, hook.failed, hook.dropped, hook.waiting) == (3, 0, 0, 0)


def test_without_a_key_there_is_no_signature():
    with Receiver() as receiver:
        hook, _ = started(receiver)
        hook.send({'a': 1})
        hook.stop(20)
        assert 'X-VADLab-Signature' not in receiver.got[0][0]


def test_a_fault_of_the_server_is_tried_again_with_the_same_delivery():
    with Receiver(500, 429, 200) as receiver:
        hook, notes = started(receiver)
        hook.send({'a': 1})
        hook.stop(20)
        assert len({headers['X-VADLab-Delivery'] for headers, *_ in receiver.got}) == 1
        assert (len(receiver.got), hook.delivered, hook.failed, notes) == (3, 1, 0, [])


def test_a_refusal_is_not_tried_again():
    with Receiver(403, 200) as receiver:
        hook, notes = started(receiver)
        hook.send({'a': 1})
        hook.send({'a': 2})
        hook.stop(20)
        assert (len(receiver.got), hook.delivered, hook.failed) == (2, 1, 1)
        assert 'the server answered 403' in notes[0]


@pytest.mark.parametrize('kind', ['hang', 'drip'])
def test_a_server_that_hangs_delays_nobody(kind):
    with Receiver(kind, kind, kind) as receiver:
        hook, notes = started(receiver, timeout_s=0.3)
        for number in range(1200):
            hook.send({'number': number})
        assert hook.delivered + hook.failed < 5  # sending did not wait for them
        until(lambda: len(receiver.got) >= 4)
        receiver.release.set()
        hook.stop(20)
        assert hook.dropped >= 1200 - 1000 - 2
        assert 'no answer within 0.3 s' in notes[0]
        assert hook.delivered + hook.failed + hook.dropped + hook.waiting == 1200


def test_messages_beyond_the_rate_wait():
    with Receiver() as receiver:
        hook, _ = started(receiver, most_per_minute=300)  # bursts of 50, then one each 0.2 s
        for number in range(53):
            hook.send({'number': number})
        until(lambda: hook.delivered == 53)
        times = [moment for _, _, moment, _ in receiver.got]
        assert times[52] - times[0] > 0.5
        hook.stop(20)


def test_nothing_listens():
    hook = Webhook('http://anna:hunter22@127.0.0.1:9/x', on_note=(notes := []).append, pauses_s=())
    hook.start()
    hook.send({'a': 1})
    hook.stop(20)
    assert hook.failed == 1
    assert 'http://anna:***@127.0.0.1:9/x' in notes[0]
    assert 'hunter22' not in notes[0]


@pytest.mark.parametrize('url', ['ftp://h/x', 'example.org', 'http://', 'http://h:99999/x', 'file:///etc/passwd'])
def test_other_addresses_are_refused(url):
    with pytest.raises(ConfigError, match='--webhook'):
        Webhook(url)
