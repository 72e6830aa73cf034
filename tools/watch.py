"""Watch live cameras: ``python tools/watch.py CONFIG CHECKPOINT --source rtsp://... --out DIR``.

It scores the newest frames of cameras, streams and files until it is stopped (Ctrl-C or SIGTERM), and writes events
with clips.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vadlab.utils.cli import run_cli
from vadlab.utils.errors import ConfigError
from vadlab.utils.model_arguments import add_model_arguments, calibrate_command, parse_model_arguments
from vadlab.utils.option_checks import require_folder
from vadlab.utils.printable import say
from vadlab.utils.required_files import no_file_advice, require_model, require_paths
from vadlab.utils.runtime import add_backend_argument, add_common_arguments, config_from_arguments
from vadlab.utils.scoring_arguments import add_prompt_arguments, add_threshold_arguments, given_thresholds

if TYPE_CHECKING:
    from vadlab.apis.inferencers.vad_inferencer import VADInferencer
    from vadlab.apis.live.watch import Watch
    from vadlab.structures.video_result import Thresholds


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(
        description='Score live cameras, and write their events with clips. Each camera is read in a thread of its own '
        'that keeps only the newest frame. Ctrl-C or SIGTERM ends it.'
    )
    add_model_arguments(parser, 'trained weights; "none" for zero-shot')
    parser.add_argument(
        '--source',
        action='append',
        default=[],
        metavar='[NAME=]ADDRESS',
        help='rtsp://..., http://..., tcp://..., /dev/video0, or a file, which is read at its own rate; may be '
        'repeated. ${NAME} stands for an environment variable, such as one with a password',
    )
    parser.add_argument('--cameras', type=Path, metavar='FILE', help='JSON with cameras, zones, hours (docs/live.md)')
    parser.add_argument('--out', type=Path, metavar='DIR', help='folder for states, curves, events and clips')
    parser.add_argument(
        '--rate', type=float, default=5.0, metavar='N', help='frames to score per second and camera (default: 5)'
    )
    add_threshold_arguments(parser)
    add_prompt_arguments(parser)
    parser.add_argument('--device', help='such as cpu or cuda:1 (default: the GPU, if there is one)')
    add_backend_argument(parser)
    _add_output_arguments(parser)
    add_common_arguments(parser)
    return parse_model_arguments(parser, argv)


def _add_output_arguments(parser: argparse.ArgumentParser) -> None:
    clips = parser.add_argument_group('clips, which need --out')
    clips.add_argument('--clip-before-s', type=float, default=10.0, metavar='S', help='before an event (default: 10)')
    clips.add_argument('--clip-after-s', type=float, default=5.0, metavar='S', help='after an event (default: 5)')
    clips.add_argument('--clip-most-s', type=float, default=120.0, metavar='S', help='longest clip (default: 120)')
    clips.add_argument(
        '--clip-budget-gb',
        type=float,
        default=10.0,
        metavar='GB',
        help='disk space of all clips; the oldest are deleted; 0 saves none (default: 10)',
    )
    alarms = parser.add_argument_group('alarms')
    alarms.add_argument(
        '--cooldown-s', type=float, default=60.0, metavar='S', help='time between alarms of a camera (default: 60)'
    )
    alarms.add_argument(
        '--webhook', metavar='URL', help='post events there; signed with the key in VADLAB_WEBHOOK_SECRET, if it is set'
    )
    alarms.add_argument(
        '--webhook-per-minute', type=float, default=30.0, metavar='N', help='most messages per minute (default: 30)'
    )
    alarms.add_argument(
        '--mqtt', metavar='URL', help='publish events and states, such as mqtt://broker.local/vadlab; needs paho-mqtt'
    )
    told = parser.add_argument_group('states')
    told.add_argument('--metrics-port', type=int, metavar='PORT', help='serve Prometheus metrics on 127.0.0.1:PORT')
    told.add_argument(
        '--log-every-s', type=float, default=60.0, metavar='S', help='a line per camera in the log (default: 60)'
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; return the exit status, 0 after it was stopped."""
    args = parse_args(argv)
    args.checkpoint = require_model(args.config, args.checkpoint, args.backend)
    require_paths([path for path in (args.prompt_file, args.negative_file, args.cameras) if path], 'file')
    require_paths(_files_of(args.source), 'video', no_file_advice)
    _check_numbers(args)
    given = given_thresholds(args)
    require_folder(args.out, '--out', needs_room=False)

    from vadlab.apis.live.camera_specs import read_specs

    specs = read_specs(args.source, args.cameras)
    config = config_from_arguments(args, check=False)

    from vadlab.apis.inferencers.vad_inferencer import VADInferencer
    from vadlab.apis.inferencers.video_inputs import all_prompts
    from vadlab.apis.live.camera import WatchSettings
    from vadlab.apis.live.mqtt import MQTTPublisher
    from vadlab.apis.live.watch import Watch
    from vadlab.apis.live.webhook import SECRET_VARIABLE, Webhook

    def tell(text: str) -> None:
        say(text, flush=True)

    settings = WatchSettings(
        rate=args.rate,
        cooldown_s=args.cooldown_s,
        clip_before_s=args.clip_before_s,
        clip_after_s=args.clip_after_s,
        clip_most_s=args.clip_most_s,
        clip_budget_bytes=int(args.clip_budget_gb * 10**9),
    )
    webhook = None
    if args.webhook:
        secret = os.environ.get(SECRET_VARIABLE, '')
        webhook = Webhook(args.webhook, secret, most_per_minute=args.webhook_per_minute, on_note=tell)
    mqtt = MQTTPublisher(args.mqtt, tell) if args.mqtt else None
    inferencer = VADInferencer(config, args.checkpoint, args.device, backend=args.backend)
    inferencer.use_prompts(all_prompts(args.prompt, args.prompt_file), all_prompts(args.negative, args.negative_file))
    watch = Watch(
        inferencer, specs, settings, args.out, _thresholds(inferencer, given), webhook, mqtt, args.metrics_port, tell
    )
    _tell_start(watch, args)
    return _run(watch, args.log_every_s)


def _files_of(sources: Sequence[str]) -> list[str]:
    """Sources that are files by their form, to find missing ones before slow packages are loaded."""
    found = []
    for source in sources:
        name, is_named, address = source.partition('=')
        path = address if is_named and '/' not in name and not os.path.exists(source) else source
        if path and '://' not in path and '${' not in path and not path.startswith('/dev/video'):
            found.append(path)
    return found


def _check_numbers(args: argparse.Namespace) -> None:
    positive = ('rate', 'clip_most_s', 'webhook_per_minute', 'log_every_s')
    not_negative = ('clip_before_s', 'clip_after_s', 'clip_budget_gb', 'cooldown_s')
    for name in (*positive, *not_negative):
        value, least = getattr(args, name), 'greater than' if name in positive else 'at least'
        if not (0 < value < 1e6 or (value == 0 and name in not_negative)):
            raise ConfigError(f'--{name.replace("_", "-")} {value:g} must be {least} 0, and below 1,000,000.')
    if args.metrics_port is not None and not 0 < args.metrics_port < 65536:
        raise ConfigError(f'--metrics-port {args.metrics_port} is not a port. Give one of 1 to 65535.')


def _thresholds(inferencer: VADInferencer, given: dict[str, float]) -> Thresholds:
    """The calibrated thresholds, or those of the command line."""
    from vadlab.apis.live.watch import live_thresholds
    from vadlab.evaluation.calibration import UNCALIBRATED

    found = UNCALIBRATED if 'high' in given else live_thresholds(inferencer)
    return found.changed(given)


def _tell_start(watch: Watch, args: argparse.Namespace) -> None:
    from vadlab.apis.inferencers.result_lines import thresholds_line

    chosen = watch.thresholds
    for camera in watch.cameras:
        zones = f', zones: {", ".join(zone.name for zone in camera.spec.zones)}' if camera.spec.zones else ''
        say(f'camera {camera.name}: {camera.spec.shown}{zones}{", at its hours" if camera.spec.hours else ""}')
    late = f', {watch.delay_s:.2g} s late, since the method needs later frames' if watch.delay_s else ''
    say(f'scores: {args.rate:g} per second and camera, each from its frame and those before it{late}')
    say(thresholds_line(chosen), flush=True)
    if chosen.source.startswith('not calibrated'):
        say(
            'warning: 0.5 is not a useful threshold without calibration. Calibrate on footage of your cameras without '
            f'anomalies: {calibrate_command(args)}',
            file=sys.stderr,
        )


def _run(watch: Watch, log_every_s: float) -> int:
    """Run until all sources are over, or a signal comes; a second one ends the process at once."""
    from vadlab.apis.live.display import StatusDisplay

    halt = threading.Event()
    before: dict[signal.Signals, Any] = {}

    def stop(signum: int, frame: Any) -> None:
        signal.signal(signum, before[signal.Signals(signum)])
        halt.set()

    for signum in (signal.SIGINT, signal.SIGTERM):
        before[signum] = signal.signal(signum, stop)
    display = StatusDisplay(watch.states, watch.note, log_every_s)
    display.start()
    try:
        watch.run(halt)
    finally:
        display.stop()
        for signum, handler in before.items():
            signal.signal(signum, handler)
    for line in watch.summary():
        say(line)
    return 0


if __name__ == '__main__':
    run_cli(main)
