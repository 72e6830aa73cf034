"""Metrics of a run as Prometheus reads them; needs the extra ``live``."""

from collections.abc import Callable, Iterator
from typing import Any

from vadlab.structures.camera_state import STATES, CameraState
from vadlab.utils.errors import ConfigError, MissingDependencyError

#: Counters and gauges of a camera: field of :class:`CameraState`, name, help.
_COUNTERS = (
    ('read', 'frames_read', 'Frames that arrived.'),
    ('scored', 'frames_scored', 'Frames that were scored.'),
    ('skipped', 'frames_skipped', 'Frames that were not due for scoring.'),
    ('dropped', 'frames_dropped', 'Frames that were due, but not decoded or scored in time.'),
    ('reconnects', 'reconnects', 'Times that the source was opened again.'),
    ('events', 'events', 'Events that are over.'),
    ('clips_deleted', 'clips_deleted', 'Clips that were deleted to keep the disk budget.'),
)
_GAUGES = (
    ('source_fps', 'source_fps', 'Frames that arrive per second.'),
    ('scored_fps', 'scored_fps', 'Frames that are scored per second.'),
    ('lag_s', 'lag_seconds', 'Age of the newest scored frame.'),
    ('score', 'score', 'Score of the newest scored frame.'),
)


class MetricsServer:
    """Serves ``/metrics`` on loopback.

    Args:
        port (int): The port.
        states (Callable): Returns the states of all cameras.

    Raises:
        ConfigError: The port is in use, or not allowed.
        MissingDependencyError: prometheus_client is not installed.
    """

    def __init__(self, port: int, states: Callable[[], list[CameraState]]) -> None:
        try:
            from prometheus_client import CollectorRegistry, start_http_server
            from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
        except ImportError as error:
            raise MissingDependencyError(
                "--metrics-port needs prometheus_client. Install it: pip install 'vadlab[live]'"
            ) from error

        class Collector:
            def collect(self) -> Iterator[Any]:
                found = states()
                for field, name, text in _COUNTERS:
                    family: Any = CounterMetricFamily(f'vadlab_{name}', text, labels=['camera'])
                    for state in found:
                        family.add_metric([state.name], getattr(state, field))
                    yield family
                for field, name, text in _GAUGES:
                    family = GaugeMetricFamily(f'vadlab_{name}', text, labels=['camera'])
                    for state in found:
                        if getattr(state, field) is not None:
                            family.add_metric([state.name], getattr(state, field))
                    yield family
                text = 'Time from the arrival of a frame to its score, over the last 1,000 frames.'
                family = GaugeMetricFamily('vadlab_latency_seconds', text, labels=['camera', 'quantile'])
                for state in found:
                    for quantile, value in (('0.5', state.latency_median_s), ('0.99', state.latency_p99_s)):
                        if value is not None:
                            family.add_metric([state.name, quantile], value)
                yield family
                family = GaugeMetricFamily('vadlab_camera_state', 'State of a camera.', labels=['camera', 'state'])
                for state in found:
                    for name in STATES:
                        family.add_metric([state.name, name], float(state.state == name))
                yield family

        registry = CollectorRegistry()
        registry.register(Collector())
        try:
            self._server, self._thread = start_http_server(port, addr='127.0.0.1', registry=registry)
        except (OSError, OverflowError) as error:
            why = getattr(error, 'strerror', None) or str(error)
            raise ConfigError(f'--metrics-port {port} cannot be used: {why}. Choose another port.') from error

    def stop(self) -> None:
        """Close the port."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(2)
