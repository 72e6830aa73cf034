"""MQTT against a broker of a few lines, which reads MQTT 3.1.1 by hand."""

import json
import socket
import threading

import pytest

from tests.apis.live.camera_server import until
from vadlab.apis.live.mqtt import MQTTPublisher
from vadlab.utils.errors import ConfigError, MissingDependencyError


class Broker:
    """Accepts a login and keeps what is published."""

    def __init__(self, answer=0):
        self.logins, self.published, self.answer = [], [], answer
        self.listener = socket.create_server(('127.0.0.1', 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self):
        while True:
            try:
                sock, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self._talk, args=(sock.makefile('rwb', buffering=0),), daemon=True).start()

    def _talk(self, file):
        while head := file.read(1):
            length, shift = 0, 0
            while True:
                (byte,) = file.read(1)
                length |= (byte & 127) << shift
                shift += 7
                if byte < 128:
                    break
            body = b''
            while len(body) < length:
                body += file.read(length - len(body))
            kind, flags = head[0] >> 4, head[0] & 15
            if kind == 1:
                self.logins.append(body)
                file.write(bytes([0x20, 2, 0, self.answer]))
            elif kind == 3:
                size = int.from_bytes(body[:2], 'big')
                topic, rest = body[2 : 2 + size].decode(), body[2 + size :]
                if flags >> 1 & 3:
                    file.write(b'\x40\x02' + rest[:2])
                    rest = rest[2:]
                self.published.append((topic, json.loads(rest), flags & 1))


def test_events_and_states_are_published(monkeypatch):
    monkeypatch.setenv('VADLAB_MQTT_PASSWORD', 'hunter22')
    broker = Broker()
    notes = []
    publisher = MQTTPublisher(f'mqtt://anna@127.0.0.1:{broker.port}/house/vad', notes.append)
    publisher.start()
    publisher.send({'camera': 'door', 'kind': 'event began', 'score': 0.5})
    publisher.send_state('door', 'live', '')
    until(lambda: len(broker.published) == 2)
    publisher.stop(5)
    assert broker.published == [
        ('house/vad/door/event', {'camera': 'door', 'kind': 'event began', 'score': 0.5}, 0),
        ('house/vad/door/state', {'state': 'live', 'message': ''}, 1),
    ]
    assert b'anna' in broker.logins[0]
    assert b'hunter22' in broker.logins[0]
    assert notes == []


def test_a_refused_login_is_told_without_the_password():
    broker = Broker(answer=5)  # not authorised
    notes = []
    publisher = MQTTPublisher(f'mqtt://anna:hunter22@127.0.0.1:{broker.port}', notes.append)
    publisher.start()
    until(lambda: notes)
    publisher.stop(1)
    assert 'the broker refused the connection: Not authorized' in notes[0]
    assert 'mqtt://anna:***@127.0.0.1' in notes[0]
    assert 'hunter22' not in ''.join(notes)


def test_without_a_broker_sending_returns_at_once():
    notes = []
    publisher = MQTTPublisher('mqtt://127.0.0.1:9', notes.append)
    for number in range(1100):
        publisher.send({'camera': 'door', 'number': number})
    assert publisher.dropped >= 100
    publisher.start()
    until(lambda: any('does not answer; it is tried again' in note for note in notes))
    publisher.stop(1)
    assert notes[0].endswith('1,000 messages wait, further ones are dropped')
    assert notes[-1].endswith('1000 messages were not delivered')


@pytest.mark.parametrize('url', ['http://h', 'broker', 'mqtt://', 'mqtt://h:99999'])
def test_other_addresses_are_refused(url):
    with pytest.raises(ConfigError, match='--mqtt'):
        MQTTPublisher(url)


def test_a_missing_package_is_named_with_its_command(monkeypatch):
    monkeypatch.setitem(__import__('sys').modules, 'paho.mqtt.client', None)
    with pytest.raises(MissingDependencyError, match=r"pip install 'vadlab\[live\]'"):
        MQTTPublisher('mqtt://h')
