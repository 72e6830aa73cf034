"""Publishes events and states of cameras to an MQTT broker; needs the extra ``live``."""

import json
import os
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import unquote, urlsplit

from vadlab.utils.errors import ConfigError, MissingDependencyError

from .camera_specs import shown_address

#: Environment variable of the password.
PASSWORD_VARIABLE = 'VADLAB_MQTT_PASSWORD'
_MOST_WAITING = 1000
_PORTS = {'mqtt': 1883, 'mqtts': 8883}


class MQTTPublisher:
    """Publishes to ``PREFIX/CAMERA/event`` and, retained, to ``PREFIX/CAMERA/state``, each at least once (QoS 1).

    paho's thread connects, connects again, and sends what waits; at most 1,000 messages wait.

    Args:
        url (str): ``mqtt://[USER[:PASSWORD]@]HOST[:PORT][/PREFIX]``, or ``mqtts://`` for TLS. The password may be in
            the environment variable ``VADLAB_MQTT_PASSWORD`` instead. The prefix is ``vadlab`` by default.
        on_note (Callable | None): Gets texts about the connection.

    Raises:
        ConfigError: The address is not one of MQTT.
        MissingDependencyError: paho-mqtt is not installed.
    """

    def __init__(self, url: str, on_note: Callable[[str], None] | None = None) -> None:
        self.shown = shown_address(url)
        try:
            parts = urlsplit(url)
            host, port = parts.hostname, parts.port
        except ValueError as error:
            raise ConfigError(f'--mqtt {self.shown}: {error}.') from error
        if parts.scheme not in _PORTS or not host:
            raise ConfigError(f'--mqtt {self.shown}: give an address such as mqtt://broker.local/vadlab.')
        try:
            from paho.mqtt.client import Client
            from paho.mqtt.enums import CallbackAPIVersion
        except ImportError as error:
            raise MissingDependencyError("--mqtt needs paho-mqtt. Install it: pip install 'vadlab[live]'") from error
        self.on_note = on_note or (lambda text: None)
        self.prefix = parts.path.strip('/') or 'vadlab'
        self.dropped = self.delivered = self._accepted = 0
        self._was_connected = False
        self._client = Client(CallbackAPIVersion.VERSION2)
        self._client.max_queued_messages_set(_MOST_WAITING)
        self._client.reconnect_delay_set(1, 60)
        password = os.environ.get(PASSWORD_VARIABLE) or unquote(parts.password or '')
        if parts.username:
            self._client.username_pw_set(unquote(parts.username), password or None)
        if parts.scheme == 'mqtts':
            self._client.tls_set()
        self._client.on_connect = self._connected
        self._client.on_disconnect = self._disconnected
        self._client.on_connect_fail = self._not_connected
        self._was_told = False
        self._client.on_publish = self._published
        self._client.connect_async(host, port or _PORTS[parts.scheme])

    def start(self) -> None:
        """Connect, in paho's thread."""
        self._client.loop_start()

    def send(self, message: Mapping[str, Any]) -> None:
        """Publish an event of a camera; returns at once."""
        self._publish(f'{self.prefix}/{message["camera"]}/event', message, retain=False)

    def send_state(self, camera: str, state: str, message: str) -> None:
        """Publish the state of a camera; the broker keeps the last one."""
        self._publish(f'{self.prefix}/{camera}/state', {'state': state, 'message': message}, retain=True)

    def stop(self, timeout_s: float) -> None:
        """Send what waits, as far as the time allows, and disconnect."""
        import time

        end = time.monotonic() + timeout_s
        while self._client.is_connected() and self.waiting and time.monotonic() < end:
            time.sleep(0.05)
        if self.waiting:
            self.on_note(f'mqtt {self.shown}: {self.waiting} messages were not delivered')
        self._client.disconnect()
        self._client.loop_stop()

    @property
    def waiting(self) -> int:
        """Number of messages that the broker has not acknowledged."""
        return self._accepted - self.delivered

    def _publish(self, topic: str, content: Mapping[str, Any], retain: bool) -> None:
        from paho.mqtt.enums import MQTTErrorCode

        result = self._client.publish(topic, json.dumps(dict(content), ensure_ascii=False), qos=1, retain=retain)
        if result.rc == MQTTErrorCode.MQTT_ERR_QUEUE_SIZE:
            self.dropped += 1
            if self.dropped == 1:
                self.on_note(f'mqtt {self.shown}: {_MOST_WAITING:,} messages wait, further ones are dropped')
            return
        self._accepted += 1

    def _published(self, client: Any, userdata: Any, mid: Any, reason: Any, properties: Any) -> None:
        self.delivered += 1

    def _not_connected(self, client: Any, userdata: Any) -> None:
        if not self._was_told:
            self.on_note(f'mqtt {self.shown}: the broker does not answer; it is tried again')
        self._was_told = True

    def _connected(self, client: Any, userdata: Any, flags: Any, reason: Any, properties: Any) -> None:
        if reason.is_failure:
            self.on_note(f'mqtt {self.shown}: the broker refused the connection: {reason}')
        elif self._was_connected:
            self.on_note(f'mqtt {self.shown}: connected again')
        self._was_connected = self._was_connected or not reason.is_failure
        self._was_told = reason.is_failure

    def _disconnected(self, client: Any, userdata: Any, flags: Any, reason: Any, properties: Any) -> None:
        if reason.is_failure:
            self.on_note(f'mqtt {self.shown}: the connection is lost ({reason}); it is tried again')
