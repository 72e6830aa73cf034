"""Sparse decoding: its speed compared with a full decode, and whether the right frames are returned."""

import importlib
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from . import videos
from .harness import Contestant, ContestantError, Entry, Report, Row, compete, limit, resident_bytes
from .readers import LIBRARIES, READERS

SIZE = 224


class DecodeJob:
    """Read sampled frames of one file with one reader.

    Args:
        reader: A key of :data:`READERS`.
        path: The file.
        total: Number of displayed frames of the file.
        wanted: Number of evenly spaced frames to read.
        size: Height and width of the frames in pixels.
        numbers: Also report the numbers seen in the frames, as ``numbers``.
    """

    def __init__(self, reader: str, path: str, total: int, wanted: int, size: int = SIZE, numbers: bool = False):
        self.read, self.path, self.size, self.numbers = READERS[reader], path, size, numbers
        self.frame_inds = spread_evenly(total, wanted)
        if module := LIBRARIES.get(reader):
            importlib.import_module(module)
        self.baseline_bytes = resident_bytes()
        self.works_in_child = reader == 'ffmpeg_all'

    def run(self) -> dict[str, Any]:
        """Open the file, read, close."""
        frames = self.read(self.path, self.frame_inds, self.size)
        if not self.numbers:
            return {}
        return dict(numbers=[videos.read_number(frame) for frame in frames])


def spread_evenly(total: int, wanted: int) -> np.ndarray:
    """The middle frames of ``wanted`` equal parts of ``total`` frames, int64, shape (wanted,)."""
    return ((np.arange(wanted) + 0.5) * total / wanted).astype(np.int64)


def _make(path: Path, build: Callable[[Path], object]) -> Path:
    """Make a file once. Changes after encoding are made in a temporary file, so a killed run leaves no wrong file."""
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_name(f'.new-{path.name}')
        build(partial)
        partial.replace(path)
    return path


# UCF-Crime's 128 hours take 95 GB, 1.65 Mbit/s; the first two files come near that.
SPEED_FILES: dict[str, dict[str, Any]] = {
    'GOP 250': dict(gop=250, noise=6.0, options={'crf': '17', 'preset': 'medium'}),
    'GOP 12': dict(gop=12, noise=6.0, options={'crf': '18', 'preset': 'medium'}),
    'high bit rate': dict(gop=250, noise=8.0, options={'crf': '14', 'preset': 'medium'}),
}


def speed_file(cache_dir: Path, kind: str, frames: int) -> Path:
    """A file for speed measurements, made at first use."""
    path = cache_dir / f'{kind.replace(" ", "_").lower()}_{frames}.mp4'
    return _make(path, lambda partial: videos.write_video(partial, frames, **SPEED_FILES[kind]))


@dataclass
class Kind:
    """A kind of file that some readers decode wrongly.

    Attributes:
        build: Writes the file to a path.
        name: File name.
        total: Number of displayed frames; None for a damaged file, which a reader must refuse.
        first: Number in the first displayed frame.
    """

    build: Callable[[Path], object]
    name: str
    total: int | None
    first: int = 0


def file_kinds(frames: int = 600) -> dict[str, Kind]:
    """Files of ``frames`` frames that some readers decode wrongly, by their special property."""
    irregular = [2 * i + (i * 7 % 3 == 0) for i in range(frames)]
    hidden = frames * 11 // 40  # not on a keyframe

    def video(then: Callable[[Path], None] | None = None, **how: Any) -> Callable[[Path], None]:
        def build(path: Path) -> None:
            videos.write_video(path, frames, **how)
            if then is not None:
                then(path)

        return build

    # With its index at the start, a truncated mp4 can still be opened.
    index_first = dict(gop=50, noise=6, container_options={'movflags': 'faststart'})

    return {
        'H.264, GOP 250': Kind(video(), 'plain.mp4', frames),
        'H.264, GOP 12': Kind(video(gop=12), 'gop12.mp4', frames),
        'edit list hides the beginning': Kind(
            video(lambda path: videos.hide_beginning(path, hidden, frames), b_frames=3),
            'edit_list.mp4',
            frames - hidden,
            first=hidden,
        ),
        'open group of pictures': Kind(video(gop=48, options={'x264-params': 'open-gop=1'}), 'open_gop.mp4', frames),
        'H.264 with B-frames in AVI': Kind(video(b_frames=3), 'h264_b.avi', frames),
        'MPEG-4 with B-frames in AVI': Kind(video(codec='mpeg4', b_frames=2, gop=30), 'mpeg4_b.avi', frames),
        'MPEG-4 in mp4': Kind(video(codec='mpeg4', gop=30), 'mpeg4.mp4', frames),
        'MPEG transport stream': Kind(video(gop=50), 'stream.ts', frames),
        'HEVC': Kind(video(codec='libx265', options={'x265-params': 'log-level=none'}), 'hevc.mp4', frames),
        'VP9 in WebM': Kind(
            video(codec='libvpx-vp9', options={'deadline': 'realtime', 'cpu-used': '8', 'b': '1000k'}),
            'vp9.webm',
            frames,
        ),
        'interlaced': Kind(video(options={'x264-params': 'tff=1'}), 'interlaced.mp4', frames),
        'variable frame rate, Matroska': Kind(video(times=irregular), 'variable.mkv', frames),
        'cut in the middle': Kind(video(lambda path: videos.cut(path, 0.5), **index_first), 'cut.mp4', None),
        'corrupted in the middle': Kind(
            video(lambda path: videos.corrupt(path, 0.5), **index_first), 'corrupt.mp4', None
        ),
        'zero bytes': Kind(lambda path: path.write_bytes(b''), 'zero.mp4', None),
        'text': Kind(lambda path: path.write_bytes(b'not a video\n' * 99), 'text.mp4', None),
        'sound only': Kind(videos.write_sound, 'sound.mp4', None),
    }


def check_frames(
    cache_dir: Path,
    readers: tuple[str, ...] = ('planned', 'decord'),
    kinds: list[str] | None = None,
    wanted: int = 64,
    frames: int = 600,
) -> Report:
    """Read frames of every kind of file with every reader, and compare the numbers drawn into them.

    For a damaged file, a refusal is the right result. A wrong frame from our own reader is an error of the report.
    """
    report = Report()
    for case, kind in file_kinds(frames).items():
        if kinds is not None and case not in kinds:
            continue
        path = _make(cache_dir / f'kinds_{frames}' / kind.name, kind.build)
        for reader in readers:
            row = Row('frames', case, reader)
            row.note, right = _ask(reader, path, kind, wanted, frames)
            row.details = dict(right=right)
            report.rows.append(row)
            if reader == 'planned' and not right:
                report.errors.append(f'{case}: VADLab reads it wrongly: {row.note}')
    return report


def _ask(reader: str, path: Path, kind: Kind, wanted: int, frames: int) -> tuple[str, bool]:
    damaged = kind.total is None
    total = frames if kind.total is None else kind.total
    options = dict(reader=reader, path=str(path), total=total, wanted=wanted, numbers=True)
    contestant = None
    try:
        contestant = Contestant(reader, 'decode:DecodeJob', options, threads=1, timeout_s=120)
        numbers = np.array(contestant.run()['details']['numbers'])
    except ContestantError as error:
        text = str(error)
        if text.startswith('no answer'):
            return 'hangs', False
        return ('refused' if damaged else f'exception: {text[:100]}'), damaged
    finally:
        if contestant is not None:
            contestant.close()
    return judge(numbers, kind.first + spread_evenly(total, wanted), damaged)


def judge(numbers: np.ndarray, truth: np.ndarray, damaged: bool) -> tuple[str, bool]:
    """A note on the numbers read from a file, and whether the result is right; a damaged file should be refused."""
    right = int((numbers == truth).sum())
    if damaged:
        return f'says nothing, {len(truth) - right} of {len(truth)} frames wrong', False
    return f'{right} of {len(truth)} right', right == len(truth)


def run(
    cache_dir: Path,
    runs: int = 5,
    wanted: tuple[int, ...] = (256, 64),
    frames: int = 7000,
    files: tuple[str, ...] | None = None,
    kinds: list[str] | None = None,
) -> Report:
    """Measure sparse decoding.

    Args:
        cache_dir: Folder of the files.
        runs: Runs per comparison.
        wanted: Numbers of frames to sample.
        frames: Length of the files.
        files: Keys of :data:`SPEED_FILES`; None for all.
        kinds: Kinds of files to check; None for all.
    """
    report = Report()
    reference = 'ffmpeg_all' if shutil.which('ffmpeg') else 'pyav_all'
    for file in files or SPEED_FILES:
        path = speed_file(cache_dir, file, frames)
        rate = path.stat().st_size * 8 * videos.FPS / frames / 1e6
        # At a high bit rate a turn of five readers takes a minute, so only two readers and one number of frames are
        # measured.
        costly = file == 'high bit rate'
        for count in wanted[:1] if costly else wanted:
            readers = (
                (reference, 'planned') if costly else (reference, 'planned', 'decord', 'opencv', 'pyav_sequential')
            )
            entries = [
                Entry(
                    reader,
                    'decode:DecodeJob',
                    dict(reader=reader, path=str(path), total=frames, wanted=count),
                    units=frames if reader == reference else count,
                    threads=1,
                    pin=True,
                    timeout_s=300,
                )
                for reader in readers
            ]
            case = f'{file}, {count} of {frames} frames, {rate:.1f} Mbit/s'
            report.rows += compete('decode', case, entries, runs, reference, 'frames/s')
            if file == 'GOP 250' and count == 256:
                ratio = _row(report, case, 'planned').ratio
                report.targets.append(
                    limit(
                        'planned decoding, 256 frames at GOP 250, against a full decode',
                        0.70,
                        None if ratio is None else ratio.median,
                    )
                )
    checked = check_frames(cache_dir, kinds=kinds)
    report.extend(checked)
    ours = [row for row in checked.rows if row.name == 'planned']
    right = sum(bool(row.details['right']) for row in ours)
    report.targets.append(limit('kinds of files read rightly', len(ours), right, at_least=True))
    return report


def _row(report: Report, case: str, name: str) -> Row:
    return next(row for row in report.rows if (row.case, row.name) == (case, name))
