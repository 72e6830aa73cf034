"""Options of commands that score or caption videos: prompts, thresholds of events, sampled frames."""

import argparse
import math
from numbers import Integral, Real

from .errors import ConfigError


def add_prompt_arguments(parser: argparse._ActionsContainer, with_files: bool = True) -> None:
    """Add ``--prompt`` and ``--negative`` and, ``with_files``, ``--prompt-file`` and ``--negative-file``."""
    repeated = 'may be repeated'
    parser.add_argument('--prompt', action='append', metavar='TEXT', help=f'prompt instead of the classes; {repeated}')
    parser.add_argument('--negative', action='append', metavar='TEXT', help=f'prompt of normal content; {repeated}')
    if with_files:
        parser.add_argument('--prompt-file', metavar='FILE', help='prompts or class names, one per line')
        parser.add_argument('--negative-file', metavar='FILE', help='prompts of normal content, one per line')


def add_threshold_arguments(parser: argparse._ActionsContainer) -> None:
    """Add ``--threshold``, ``--min-s`` and ``--gap-s``; :func:`given_thresholds` reads them."""
    parser.add_argument(
        '--threshold',
        type=float,
        nargs='+',
        metavar='HIGH [LOW]',
        help='an event reaches HIGH and stays above LOW (default: from tools/calibrate.py)',
    )
    parser.add_argument('--min-s', type=float, metavar='S', help='shortest event in seconds')
    parser.add_argument('--gap-s', type=float, metavar='S', help='longest gap inside an event in seconds')


def given_thresholds(args: argparse.Namespace) -> dict[str, float]:
    """Values of the thresholds on a command line, for :meth:`Thresholds.changed`; empty without any.

    Args:
        args (Namespace): From a parser with :func:`add_threshold_arguments`.

    Raises:
        ConfigError: They are no thresholds of probabilities.
    """
    given = {name: getattr(args, name) for name in ('min_s', 'gap_s') if getattr(args, name) is not None}
    if any(not 0 <= value < 1e6 for value in given.values()):
        raise ConfigError('--min-s and --gap-s must be at least 0, and below 1,000,000.')
    if args.threshold is None:
        return given
    if len(args.threshold) > 2:
        raise ConfigError('--threshold: give one or two numbers, HIGH and LOW.')
    high, low = args.threshold[0], args.threshold[-1]
    if low > high:
        raise ConfigError(f'--threshold: HIGH={high:g}, the first number, is below LOW={low:g}.')
    if not 0 <= low <= high <= 1:
        raise ConfigError('--threshold: scores are probabilities. Give numbers in 0..1.')
    return {**given, 'high': high, 'low': low}


def check_caption_frames(every_s: float, num_frames: int | None) -> None:
    """Check which frames of a video are captioned.

    Args:
        every_s (float): Seconds between two of them.
        num_frames (int | None): Number of frames per video instead; None was not given.

    Raises:
        ConfigError: A number is out of its range.
    """
    for name, value, kind in (('every_s', every_s, Real), ('num_frames', num_frames, Integral)):
        if value is not None and not isinstance(value, kind):
            what = 'a number' if kind is Real else 'a whole number'
            raise ConfigError(f'Frames to caption: {name} must be {what}, not {value!r}.')
    if not 0.001 <= every_s < math.inf:
        raise ConfigError(f'Frames to caption: --every (every_s) must be at least 0.001 seconds, not {every_s:g}.')
    if num_frames is not None and num_frames < 1:
        raise ConfigError(f'Frames to caption: --frames (num_frames) must be at least 1, not {num_frames}.')
