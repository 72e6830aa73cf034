"""Read images and frames of videos to caption, from files and folders."""

import math
import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

from vadlab.apis.features.video_list import listed_paths
from vadlab.datasets.video import index_video, read_frames
from vadlab.datasets.video.image_reader import IMAGE_ENDINGS, read_image
from vadlab.datasets.video.video_index import open_video
from vadlab.datasets.video_names import VIDEO_ENDINGS
from vadlab.utils.errors import DataError, MissingFileError, VADLabError
from vadlab.utils.folder_content import walk
from vadlab.utils.natural_order import natural_sorted
from vadlab.utils.scoring_arguments import check_caption_frames

from .video_inputs import matching_paths

#: Frames of a video that are decoded at once.
AT_ONCE = 32
_MOST_COUNTED = 1_000_000  # captioned frames of a video, since a header may say anything


@dataclass(frozen=True)
class CaptionInput:
    """An image to caption, or the reason why it cannot be read.

    Attributes:
        path (str): The file.
        name (str): Path below the given folder, with the time for a frame of a video.
        image (np.ndarray | None): RGB, uint8, shape (H, W, 3).
        frame (int | None): Number of the frame in its video.
        time_s (float | None): Time of the frame in seconds.
        error (str | None): The reason why it cannot be read.
    """

    path: str
    name: str
    image: np.ndarray | None = None
    frame: int | None = None
    time_s: float | None = None
    error: str | None = None


class CaptionFile(NamedTuple):
    """An image, or a part of a video.

    Attributes:
        path (str): The file.
        name (str): Path below the given folder.
        first (int): Of the captioned frames of a video, the first one of the part.
        stop (int | None): One past the last one; None: to the end of the video.
    """

    path: str
    name: str
    first: int = 0
    stop: int | None = None


def find_inputs(sources: str | os.PathLike | Sequence[str | os.PathLike]) -> list[tuple[str, str]]:
    """Find images and videos in files, folders (at any depth), ``.txt`` lists (one path per line) and patterns.

    Args:
        sources (str | PathLike | Sequence): Files, folders, lists, patterns such as ``pictures/*.jpg``; one or many. A
            given file may have any extension but ``.txt``.

    Returns:
        list[tuple[str, str]]: Path and name of each, in the order of ``sources``, each file once.

    Raises:
        MissingFileError: A given path does not exist, or a pattern has no match.
        DataError: The paths contain no image and no video.
    """
    sources = [sources] if isinstance(sources, str | os.PathLike) else sources
    if not isinstance(sources, Iterable) or not all(isinstance(one, str | os.PathLike) for one in sources):
        raise DataError(f'Images and videos to caption are a list of paths, not {sources!r:.60}.')
    found: dict[str, str] = {}
    for source in (Path(path) for given in sources for path in matching_paths(os.fspath(given))):
        if source.is_dir():
            for folder, subfolders, files in walk(source):
                subfolders[:] = natural_sorted(name for name in subfolders if not name.startswith('.'))
                for path in (Path(folder) / name for name in natural_sorted(files) if not name.startswith('.')):
                    if path.suffix.lower() in IMAGE_ENDINGS.union(VIDEO_ENDINGS):
                        found.setdefault(str(path), path.relative_to(source).as_posix())
        elif source.suffix == '.txt' and source.is_file():
            for path in listed_paths(source, source.parent):
                if not path.is_file():
                    raise MissingFileError(f'There is no image or video {path} (named in {source}).')
                found.setdefault(str(path), os.path.relpath(path, source.parent))
        elif source.is_file():
            found.setdefault(str(source), source.name)
        else:
            raise MissingFileError(f'There is no image, video or folder {source}.')
    if not found:
        known = ' '.join(sorted(IMAGE_ENDINGS.union(VIDEO_ENDINGS)))
        raise DataError(f'No images or videos under {", ".join(map(str, sources))}. Known endings: {known}')
    return list(found.items())


def read_inputs(
    sources: Sequence[str | os.PathLike], every_s: float = 2.0, num_frames: int | None = None
) -> Iterator[CaptionInput]:
    """Read what :func:`find_inputs` finds, one after the other. A file that cannot be read is an input with an error.

    Args:
        sources (Sequence): Files and folders.
        every_s (float): Seconds between the sampled frames of a video, >= 0.001, starting with its first frame.
        num_frames (int | None): Sample this number of frames per video instead, in the middle of equal parts.

    Raises:
        ConfigError: ``every_s`` or ``num_frames`` is out of its range.
        MissingFileError, DataError: See :func:`find_inputs`.
    """
    check_caption_frames(every_s, num_frames)
    yield from read_files((CaptionFile(*found) for found in find_inputs(sources)), every_s, num_frames)


def is_video(file: CaptionFile) -> bool:
    """Whether the name of a file is that of a video."""
    return file.path.lower().endswith(VIDEO_ENDINGS)


def read_files(
    files: Iterable[CaptionFile], every_s: float = 2.0, num_frames: int | None = None
) -> Iterator[CaptionInput]:
    """As :func:`read_inputs`, for given files."""
    for file in files:
        try:
            if is_video(file):
                yield from _frames(file, every_s, num_frames)
            else:
                yield CaptionInput(file.path, file.name, read_image(file.path))
        except VADLabError as error:
            yield CaptionInput(file.path, file.name, error=str(error))


def parts_of(file: CaptionFile, every_s: float, num_frames: int | None, length: int) -> Iterator[CaptionFile]:
    """Parts of a video, of ``length`` captioned frames if its header is right; the last one goes to the end."""
    count: float = num_frames or 0
    if num_frames is None:
        with suppress(VADLabError), open_video(file.path) as (container, stream):  # errors are told with its frames
            duration_s = container.duration / 1e6 if container.duration else index_video(file.path).duration_s
            count = duration_s / max(every_s, 1 / (stream.average_rate or 1000))
    starts = range(0, math.ceil(min(max(count, 1), _MOST_COUNTED)), length)
    for first in starts:
        yield file._replace(first=first, stop=None if first == starts[-1] else first + length)


def _frames(file: CaptionFile, every_s: float, num_frames: int | None) -> Iterator[CaptionInput]:
    index = index_video(file.path)
    times, total = index.frame_times, index.total_frames
    if num_frames is None:
        halfway = (times[1:] + times[:-1]) / 2
        inds = np.searchsorted(halfway, np.arange(0, index.duration_s, every_s), side='right')  # the nearest frames
    else:
        count = min(num_frames, total)
        inds = ((np.arange(count) + 0.5) * total / count).astype(np.int64)
    inds = np.unique(inds)[file.first : file.stop]
    for first in range(0, len(inds), AT_ONCE):
        part = inds[first : first + AT_ONCE]
        for frame, image in zip(part.tolist(), read_frames(index, part), strict=True):
            time_s = float(times[frame])
            yield CaptionInput(file.path, f'{file.name} at {time_s:.2f} s', image, frame, round(time_s, 3))
