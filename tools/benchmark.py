"""Measure VADLab against references on this machine.

Usage::

    python tools/benchmark.py                      # everything, about an hour
    python tools/benchmark.py --quick              # everything, small and less exact, about 4 minutes
    python tools/benchmark.py decode step --runs 7 --json figures.json

Each result has its spread, and a reference that was measured alternately with it in the same run. The exit status is 1
if VADLab's *results* are wrong (a loss that differs from the reference, a wrong frame). A missed speed target is only
reported, since times depend on the machine.
"""

import argparse
import importlib
import platform
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from importlib import metadata
from pathlib import Path
from typing import Any

sys.path[:0] = [str(Path(__file__).resolve().parent), str(Path(__file__).resolve().parents[1])]

import vadlab.openmp  # noqa: E402, F401

from benchmarks.harness import Report, Row, Target  # noqa: E402

from vadlab.utils.cli import run_cli  # noqa: E402
from vadlab.utils.errors import ConfigError  # noqa: E402
from vadlab.utils.json_file import write_json  # noqa: E402
from vadlab.utils.option_checks import require_file  # noqa: E402

PACKAGES = (
    'torch',
    'transformers',
    'onedl-mmcv',
    'onedl-mmengine',
    'av',
    'decord',
    'opencv-python',
    'opencv-python-headless',
    'simplejpeg',
    'numpy',
    'scikit-learn',
    'pycocoevalcap',
    'librosa',
)


@dataclass(frozen=True)
class Scale:
    """Amount of work: full, ``--quick``, or small enough for a test of the benchmark."""

    runs: int
    frames: tuple[int, ...]
    arch: str
    wanted: tuple[int, ...]
    video_frames: int
    files: tuple[str, ...] | None
    kinds: list[str] | None
    long_runs: int | None
    loader_videos: int
    metric_frames: int
    repeats: tuple[int, ...] = (1, 4)
    caption_images: int = 5000
    vadclip_size: str = 'published'
    vadclip_videos: int = 128
    recognizers: tuple[str | None, str] = ('VideoMAE-B', '3-D CNN')
    beam: tuple[str, tuple[int, ...]] = ('published', (10, 1))
    clips: tuple[int, int] = (4, 300)  # number of videos, and frames per video
    # Gradient cache: videos and frames for time, then videos and frames for memory.
    contrast: tuple[int, int, int, int] = (8, 8, 64, 32)
    # Frames of plain steps, and videos of steps with a gradient cache.
    growth: tuple[tuple[int, ...], tuple[int, ...]] = ((16, 32, 64, 128, 256, 512), (2, 4, 8, 16, 32, 64, 128))
    loads: tuple[int, ...] = (0, 2, 5)  # number of busy processes during the measurement
    live: tuple[tuple[int, ...], float] = ((1, 4, 8, 16, 32), 20.0)  # numbers of cameras, and seconds
    # Frames that scikit-learn ranks, too (a hundredth of them is the number of feature files), and frames that only
    # VADLab ranks.
    score_frames: tuple[int, int] = (20_000_000, 100_000_000)


FULL = Scale(5, (32, 128), 'ViT-B/32', (256, 64), 7000, None, None, 3, 4, 1_109_680)
_FEW_KINDS = ['edit list hides the beginning', 'open group of pictures', 'MPEG transport stream', 'cut in the middle']
QUICK = Scale(
    2, (8,), 'ViT-B/32', (64,), 1500, ('GOP 250',), _FEW_KINDS, None, 2, 1_109_680, (4,), 500, 'published', 4,
    (None, '3-D CNN'), ('published', (1,)), (2, 150), (4, 8, 8, 16), ((16, 32), (2, 4)), (0, 2),
    ((1, 8), 8.0), (2_000_000, 10_000_000),
)  # fmt: skip
TINY = Scale(
    1, (8,), 'tiny', (8,), 60, ('GOP 12',), [_FEW_KINDS[0], 'text'], None, 2, 5_000, (4,), 20, 'tiny', 6,
    ('tiny VideoMAE', 'tiny CNN'), ('tiny', (2,)), (1, 40), (4, 8, 6, 8), ((8, 16), (2, 4)), (0, 1),
    ((1, 2), 1.0), (20_000, 40_000),
)  # fmt: skip


def _run(section: str, *arguments: Any, **options: Any) -> Report:
    """Run a section; its module is loaded now, since most of them load torch."""
    return importlib.import_module(f'benchmarks.{section}').run(*arguments, **options)


SECTIONS: dict[str, Callable[[Scale, Path], Report]] = {
    'decode': lambda scale, cache: _run(
        'decode', cache, scale.runs, scale.wanted, scale.video_frames, scale.files, scale.kinds
    ),
    'step': lambda scale, cache: _run('step', scale.runs, scale.frames, scale.arch, long_runs=scale.long_runs),
    'contrast': lambda scale, cache: _run('contrast', scale.long_runs or scale.runs, *scale.contrast, scale.arch),
    'growth': lambda scale, cache: _run(
        'growth', cache, *scale.growth, 'tiny' if scale.arch == 'tiny' else 'small', scale.long_runs or scale.runs
    ),
    'text': lambda scale, cache: _run('text', scale.runs, scale.arch, repeats=scale.repeats),
    'loader': lambda scale, cache: _run(
        'loader', cache, scale.runs, scale.loader_videos, 2 * scale.frames[0], scale.video_frames, scale.arch
    ),
    'metrics': lambda scale, cache: _run('metrics', scale.runs, scale.metric_frames),
    'scores': lambda scale, cache: _run('scores', cache, scale.long_runs or scale.runs, *scale.score_frames),
    'starts': lambda scale, cache: _run(
        'features_start', cache, scale.long_runs or scale.runs, scale.score_frames[0] // 100
    ),
    'vadclip': lambda scale, cache: _run(
        'vadclip', min(scale.runs, scale.long_runs or scale.runs), scale.vadclip_size, scale.vadclip_videos
    ),
    'captions': lambda scale, cache: _run('captions', scale.runs, scale.caption_images, size=scale.beam[0]),
    'prepare': lambda scale, cache: _run('prepare', cache, scale.runs, *scale.clips),
    'beam': lambda scale, cache: _run('beam', scale.runs, *scale.beam),
    'patches': lambda scale, cache: _run('patches', scale.runs, scale.beam[0]),
    'audiovisual': lambda scale, cache: _run('audiovisual', scale.runs, *scale.recognizers, scale.long_runs),
    'infer': lambda scale, cache: _run('infer', cache, scale.runs, scale.video_frames, 2 if scale.runs == 1 else 100),
    'live': lambda scale, cache: _run('live', cache, 1 if scale.runs < 3 else 3, scale.video_frames, *scale.live),
    'export': lambda scale, cache: _run(
        'export', cache, scale.runs, ('demo',) if scale.arch == 'tiny' else ('demo', 'ViT-B/32')
    ),
    'oneclass': lambda scale, cache: _run(
        'oneclass', cache, scale.runs, 12 if scale.runs == 1 else 300, 200 if scale.runs == 1 else 5000
    ),
    'threads': lambda scale, cache: _run('threads', scale.runs, scale.beam[0], scale.loads),
    'attention': lambda scale, cache: _run('attention', scale.runs, scale.beam[0]),
    'roi_align': lambda scale, cache: _run('roi_align', scale.runs, scale.beam[0]),
}


def parse_args(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description='Measure VADLab against references on this machine.')
    parser.add_argument('sections', nargs='*', metavar='SECTION', help=f'{", ".join(SECTIONS)}, or all (default: all)')
    parser.add_argument('--runs', type=int, help='runs per comparison (default: 5)')
    parser.add_argument('--long-runs', type=int, help='runs of long steps (default: 3)')
    parser.add_argument(
        '--videos', type=int, help='batch size of VadCLIP training steps, in videos (default: 128, about 8 GiB)'
    )
    parser.add_argument(
        '--frames',
        type=int,
        nargs='+',
        help='frames per video in FG-CLIP training steps of two videos (default: 32 128)',
    )
    parser.add_argument(
        '--score-frames',
        type=int,
        nargs=2,
        metavar=('COMPARED', 'ALONE'),
        help='frames whose scores scikit-learn ranks, too, and frames that only VADLab ranks (default: 20 and 100 '
        'million)',
    )
    parser.add_argument('--json', type=Path, metavar='FILE', help='write all results to this file')
    parser.add_argument('--quick', action='store_true', help='small and less exact, about 4 minutes')
    parser.add_argument('--tiny', action='store_true', help=argparse.SUPPRESS)
    parser.add_argument(
        '--cache-dir',
        type=Path,
        default=Path('work_dirs/benchmark'),
        help='folder for test videos (default: %(default)s)',
    )
    args = parser.parse_args(arguments)
    unknown = [name for name in args.sections if name not in SECTIONS and name != 'all']
    if unknown:
        raise ConfigError(f'benchmark: there is no section {unknown[0]!r}. Known: {", ".join(SECTIONS)}, all.')
    for option in ('runs', 'long_runs', 'videos'):
        if getattr(args, option) is not None and getattr(args, option) < 1:
            raise ConfigError(f'benchmark: --{option.replace("_", "-")} must be at least 1.')
    if args.score_frames and min(args.score_frames) < 10_000:
        raise ConfigError('benchmark: --score-frames must be at least 10,000.')
    if args.frames and min(args.frames) < 8:
        raise ConfigError('benchmark: --frames must be at least 8, so that both regions have frames.')
    return args


def versions() -> dict[str, str]:
    """Versions of Python, the machine and the measured packages."""
    found = {'python': platform.python_version(), 'machine': f'{platform.machine()}, {platform.system()}'}
    for package in PACKAGES:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    if shutil.which('ffmpeg'):
        said = subprocess.run(['ffmpeg', '-version'], capture_output=True, text=True, check=False).stdout
        found['ffmpeg'] = said.split()[2] if len(said.split()) > 2 else 'unknown'
    return found


def _cell(value: object, spec: str) -> str:
    return '-' if value is None else format(value, spec)


def format_rows(rows: Sequence[Row]) -> str:
    """A table of rows, one block per case."""
    header = ('', 'runs', 'wall s', 'CPU s', 'x reference', 'CPU', 'rate', 'peak MiB', 'activations MiB', '')
    lines: list[tuple[str, ...]] = []
    titles: dict[int, str] = {}
    for row in rows:
        title = f'{row.section}: {row.case}'
        if title not in titles.values():
            titles[len(lines)] = title
        extra = ', '.join(f'{k} {v:g}' for k, v in row.details.items() if isinstance(v, float) and not row.note)
        lines.append(
            (
                row.name,
                str(row.runs or '-'),
                _cell(row.wall_s, '.3f'),
                _cell(row.cpu_s and row.cpu_s.median, '.3f'),
                _cell(row.ratio, '.2f'),
                _cell(row.cpu_ratio and row.cpu_ratio.median, '.2f'),
                f'{row.rate:.1f} {row.rate_unit}' if row.rate else '-',
                _cell(row.peak_mib, '.0f'),
                _cell(row.activation_mib, '.0f'),
                row.note or extra,
            )
        )
    widths = [max(map(len, column)) for column in zip(header, *lines, strict=True)]
    out = []
    for number, line in enumerate(lines):
        if number in titles:
            out += ['', titles[number], '  '.join(f'{c:{w}}' for c, w in zip(header, widths, strict=True)).rstrip()]
        out.append('  '.join(f'{c:{w}}' for c, w in zip(line, widths, strict=True)).rstrip())
    return '\n'.join(out)


def format_kinds(rows: Sequence[Row]) -> str:
    """A table with one row per kind of file and one column per reader."""
    readers = list(dict.fromkeys(row.name for row in rows))
    notes = {(row.case, row.name): row.note for row in rows}
    lines = [('right frames, by burnt-in numbers', *readers)]
    lines += [(case, *(notes[case, reader] for reader in readers)) for case in dict.fromkeys(r.case for r in rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return '\n'.join('  '.join(f'{c:{w}}' for c, w in zip(line, widths, strict=True)).rstrip() for line in lines)


def format_targets(targets: Sequence[Target]) -> str:
    """One line per target."""
    words = {True: 'met', False: 'MISSED', None: '-'}
    return '\n'.join(f'{words[t.met]:7} {t.name}: {t.found} (wanted {t.wanted})' for t in targets)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the chosen sections; return 1 if a result of VADLab is wrong."""
    args = parse_args(arguments)
    require_file(args.json, '--json')
    scale = TINY if args.tiny else QUICK if args.quick else FULL
    asked = dict(
        runs=args.runs,
        long_runs=args.long_runs,
        frames=args.frames and tuple(args.frames),
        vadclip_videos=args.videos,
        score_frames=args.score_frames and tuple(args.score_frames),
    )
    scale = replace(scale, **{name: value for name, value in asked.items() if value is not None})
    names = [name for name in SECTIONS if name in args.sections or not args.sections or 'all' in args.sections]
    report = Report()
    for name in names:
        start = time.perf_counter()
        print(f'measuring {name} ...', end=' ', flush=True)
        part = SECTIONS[name](scale, args.cache_dir.resolve())
        print(f'{time.perf_counter() - start:.0f} s')
        print(format_rows([row for row in part.rows if row.section != 'frames']))
        if kinds := [row for row in part.rows if row.section == 'frames']:
            print('\n' + format_kinds(kinds))
        print(flush=True)
        report.extend(part)
    known = versions()
    print('wall s, rate and x reference (by wall, then by CPU time): median (least-greatest)')
    print('peak MiB: of the process, without interpreter and libraries')
    print(', '.join(f'{name} {version}' for name, version in known.items()))
    if report.targets:
        print('\n' + format_targets(report.targets))
    for error in report.errors:
        print(f'WRONG   {error}')
    if args.json:
        write_json(args.json, dict(versions=known, **report.as_dict()))
        print(f'\nwrote {args.json}')
    return 1 if report.errors else 0


if __name__ == '__main__':
    run_cli(main)
