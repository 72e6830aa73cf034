"""Score posted videos over HTTP: ``python tools/serve.py CONFIG CHECKPOINT``, then open http://127.0.0.1:8000."""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from vadlab.apis.service.access import TOKEN_VARIABLE, Access, read_token
from vadlab.apis.service.settings import ServiceSettings
from vadlab.utils.cli import run_cli
from vadlab.utils.errors import ConfigError, MissingFileError
from vadlab.utils.model_arguments import add_model_arguments, parse_model_arguments
from vadlab.utils.printable import say
from vadlab.utils.required_files import require_model, require_paths
from vadlab.utils.runtime import add_backend_argument
from vadlab.utils.scoring_arguments import add_prompt_arguments


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(
        description='Score posted videos: a page to drop videos on, an API (docs/service.md), and a wall of cameras. '
        'Only this machine can reach it, unless --host says otherwise; then a token is needed.'
    )
    add_model_arguments(parser, 'trained weights; "none" for zero-shot, and if the model loads its weights itself')
    where = parser.add_argument_group('address')
    where.add_argument(
        '--host', default='127.0.0.1', help='address to listen on (default: 127.0.0.1, this machine only)'
    )
    where.add_argument('--port', type=int, default=8000, help='default: 8000; 0 for any free one')
    where.add_argument(
        '--token-file', type=Path, metavar='FILE', help=f'file with the token (default: the variable {TOKEN_VARIABLE})'
    )
    where.add_argument(
        '--allow-host',
        action='append',
        default=[],
        metavar='NAME',
        help='also serve this host name, such as that of a proxy',
    )
    where.add_argument('--data', type=Path, default=Path('work_dirs/service'), metavar='DIR', help='jobs and results')
    where.add_argument('--watch', type=Path, metavar='DIR', help='folder of --out of tools/watch.py, for the wall page')
    limits = parser.add_argument_group('limits')
    limits.add_argument('--max-gb', type=float, default=2.0, help='largest video, in GiB (default: 2)')
    limits.add_argument('--max-hours', type=float, default=4.0, help='longest video (default: 4)')
    limits.add_argument('--max-waiting', type=int, default=100, help='most videos that wait (default: 100)')
    limits.add_argument('--job-minutes', type=float, default=60.0, help='longest time to score a video (default: 60)')
    limits.add_argument(
        '--job-memory-gb', type=float, default=4.0, help='most memory of a video in addition to the model (default: 4)'
    )
    limits.add_argument('--keep-days', type=float, help='delete jobs that ended so long ago (default: keep them)')
    model = parser.add_argument_group('model')
    model.add_argument('--device', help='such as cpu or cuda:1 (default: the GPU, if there is one)')
    model.add_argument('--batch-size', type=int, default=32, help='frames per forward pass (default: 32)')
    model.add_argument('--workers', type=int, default=2, help='threads that read a video (default: 2)')
    model.add_argument('--sampling', default='auto', metavar='N', help='frames to score, as for tools/infer.py')
    add_prompt_arguments(model)
    model.add_argument('--boxes', action='store_true', help='find boxes of the events')
    model.add_argument('--feature-config', metavar='FILE', help='extractor for a method on snippet features')
    add_backend_argument(model)
    model.add_argument('--cfg-options', nargs='+', metavar='KEY=VALUE', help='change the config')
    return parse_model_arguments(parser, argv)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; return the exit status."""
    args = parse_args(argv)
    args.checkpoint = require_model(args.config, args.checkpoint, args.backend)
    require_paths([path for path in (args.prompt_file, args.negative_file, args.token_file) if path], 'file')
    if args.watch is not None and not args.watch.is_dir():
        raise MissingFileError(f'--watch {args.watch}: there is no such folder. Name that of --out of tools/watch.py.')
    settings = settings_of(args)
    token = read_token(args.host, args.token_file, args.allow_host)

    from vadlab.apis.service.server import bind, require_packages, serve

    require_packages()
    from vadlab.apis.service.content_checker import ContentChecker
    from vadlab.apis.service.dispatcher import Dispatcher
    from vadlab.apis.service.job_store import JobStore
    from vadlab.apis.service.worker import ModelChoice

    with ExitStack() as stack:
        listening = stack.enter_context(bind(args.host, args.port))
        store = JobStore(settings.data)
        stack.callback(store.close)
        checker = ContentChecker(settings)
        stack.callback(checker.close)
        tell_recovered(store.recover())
        choice = ModelChoice(
            args.config,
            args.checkpoint,
            args.device,
            args.sampling,
            *prompts_of(args),
            args.feature_config,
            args.boxes,
            args.batch_size,
            args.workers,
            args.cfg_options,
            args.backend,
            str(store.folder),
        )
        dispatcher = Dispatcher(store, choice.command(), settings, tell)
        stack.callback(dispatcher.stop)
        say('loading the model ...', flush=True)
        dispatcher.start()
        host, port = listening.getsockname()[:2]
        address = f'http://{f"[{host}]" if ":" in host else host}:{port}'

        def announce(stop: object) -> None:
            model = dispatcher.model
            say(f'{model["model"]} ({model["checkpoint"] or "no checkpoint"}), {model["frames"]}')
            if not model['is_calibrated']:
                say('warning: the threshold is not calibrated (tools/calibrate.py)')
            say(f'jobs: {store.folder}; waiting: {store.pending()}')
            say(f'open {address}  (token needed: {"yes" if token else "no"}); Ctrl-C stops', flush=True)

        serve(listening, store, dispatcher, checker, Access.of(args.host, token, args.allow_host), settings, announce)
    say('stopped; videos that wait are scored when the service starts again')
    return 0


def tell_recovered(found: dict[str, int]) -> None:
    """Print what became of the jobs that were running when the service ended."""
    if any(found.values()):
        say(
            f'running when the service ended: {found["again"]} to score again, {found["completed"]} complete, '
            f'{found["given_up"]} given up'
        )


def settings_of(args: argparse.Namespace) -> ServiceSettings:
    """Limits from the command line."""
    for name in (
        'max_gb',
        'max_hours',
        'max_waiting',
        'job_minutes',
        'job_memory_gb',
        'keep_days',
        'batch_size',
        'workers',
    ):
        value = getattr(args, name)
        if value is not None and not 0 < value < 1e9:
            raise ConfigError(f'--{name.replace("_", "-")} must be > 0.')
    if not 0 <= args.port <= 65535:
        raise ConfigError(f'--port {args.port} is not in 0..65535.')
    return ServiceSettings(
        args.data,
        max_bytes=int(args.max_gb * 2**30),
        max_duration_s=args.max_hours * 3600,
        max_waiting=args.max_waiting,
        job_limit_s=args.job_minutes * 60,
        job_memory=int(args.job_memory_gb * 2**30),
        keep_s=None if args.keep_days is None else args.keep_days * 86_400,
        watch=args.watch,
    )


def prompts_of(args: argparse.Namespace) -> tuple[list[str] | None, list[str] | None]:
    """Prompts and negative prompts of the options and of their files."""
    if not any((args.prompt, args.prompt_file, args.negative, args.negative_file)):
        return None, None
    from vadlab.apis.inferencers.video_inputs import all_prompts

    return all_prompts(args.prompt, args.prompt_file), all_prompts(args.negative, args.negative_file)


def tell(line: str) -> None:
    """Write a line of the log of jobs."""
    say(f'{time.strftime("%Y-%m-%d %H:%M:%S")} {line}', flush=True)


if __name__ == '__main__':
    run_cli(main)
