"""A server that speaks OpenAI's chat completions, for tests: real HTTP, answers from a function, faults on demand."""

import base64
import contextlib
import hashlib
import json
import socket
import threading
import time
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import simplejpeg

MODEL = 'tiny-vlm'


class VLMServer:
    """Serves on a free port of this machine while a ``with`` block runs.

    Attributes:
        answer: Takes the text of a question and its frames (RGB arrays); returns the text of the answer.
        faults: Takes the number of a request, from 1, and its handler; returns True if it answered in its own way.
        asked: Number of requests by digest of the question.
        answered: The same for those that got a complete answer.
        keys: ``Authorization`` headers.
    """

    def __init__(self, answer, faults=None, models=(MODEL,), port=0):
        self.answer, self.faults, self.models = answer, faults or (lambda number, handler: False), models
        self.asked, self.answered, self.keys, self.bodies = Counter(), Counter(), [], []
        self.connections = []
        self.number, self.lock = 0, threading.Lock()
        server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = 'HTTP/1.1'

            def setup(self):
                super().setup()
                server.connections.append(self.connection)

            def log_message(self, *args):
                pass

            def do_GET(self):
                if server.models is None:
                    return self.send(404, {'error': {'message': 'no such path'}})
                return self.send(200, {'object': 'list', 'data': [{'id': n, 'object': 'model'} for n in server.models]})

            def do_POST(self):
                raw = self.rfile.read(int(self.headers['Content-Length']))
                self.body = json.loads(raw)
                with server.lock:
                    server.number += 1
                    number = server.number
                    server.keys.append(self.headers.get('Authorization'))
                self.digest = hashlib.sha256(raw).hexdigest()
                server.asked[self.digest] += 1
                server.bodies.append(self.body)
                if not server.faults(number, self):
                    text, images = read(self.body)
                    self.complete(server.answer(text, images))

            def complete(self, text, reason='stop', refusal=None):
                message = {'role': 'assistant', 'content': text, 'refusal': refusal}
                content = {
                    'id': 'x', 'object': 'chat.completion', 'created': 0, 'model': MODEL,
                    'choices': [{'index': 0, 'message': message, 'finish_reason': reason}],
                    'usage': {'prompt_tokens': 100, 'completion_tokens': 10, 'total_tokens': 110},
                }  # fmt: skip
                server.answered[self.digest] += 1
                self.send(200, content)

            def fail(self, status, message, **headers):
                self.send(status, {'error': {'message': message, 'type': 'error'}}, headers)

            def send(self, status, content, headers=None, cut=None):
                raw = json.dumps(content).encode()
                self.send_response(status)
                self.send_header('Content-Type', 'application/json')
                self.send_header('Content-Length', str(len(raw)))
                for name, value in (headers or {}).items():
                    self.send_header(name.replace('_', '-'), str(value))
                self.end_headers()
                self.wfile.write(raw[:cut])

            def drop(self):
                """Close the connection without an answer."""
                self.close_connection = True
                self.connection.close()

        class Server(ThreadingHTTPServer):
            daemon_threads = True
            allow_reuse_address = True

            def handle_error(self, request, address):
                pass  # dropped connections

        self._handler, self._server = Handler, Server
        self.httpd = None
        self.port = port

    @property
    def url(self):
        return f'http://127.0.0.1:{self.port}/v1'

    def start(self):
        self.httpd = self._server(('127.0.0.1', self.port), self._handler)
        self.port = self.httpd.server_address[1]
        threading.Thread(target=self.httpd.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def stop(self):
        self.httpd.shutdown()
        for connection in self.connections:  # clients keep them open
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        self.httpd.server_close()

    def __enter__(self):
        return self.start()

    def __exit__(self, *error):
        self.stop()


def read(body):
    """Text and frames of a request."""
    content = body['messages'][-1]['content']
    if isinstance(content, str):
        return content, []
    images = [
        simplejpeg.decode_jpeg(base64.b64decode(part['image_url']['url'].split(',', 1)[1]))
        for part in content
        if part['type'] == 'image_url'
    ]
    return ' '.join(part['text'] for part in content if part['type'] == 'text'), images


def brightness(text, images):
    """An answer of the right form: the brighter the frames, the more abnormal."""
    score = sum(image.mean() for image in images) / len(images) / 255
    return json.dumps({'reason': 'it is bright', 'class': 'Other', 'score': round(float(score), 6)})


def wait(seconds):
    """A fault: answer late."""

    def fault(number, handler):
        time.sleep(seconds)
        return False

    return fault
