"""Inputs of an inferencer: paths, folders of videos, folders of frames, patterns, arrays, and lists of them."""

import glob
import os
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from vadlab.apis.features.video_list import find_videos
from vadlab.utils.errors import ConfigError, DataError, MissingFileError
from vadlab.utils.natural_order import natural_sorted
from vadlab.utils.required_files import no_file_advice
from vadlab.utils.text_file import read_lines

_COMMENT = re.compile(r'^\s*#|\s#(?:\s|$)')


@dataclass(frozen=True)
class VideoSource:
    """A video to score.

    Attributes:
        path (str): The file or the folder of frames; empty for an array.
        name (str): Unique: path below the given folder, with the file's ending; ``array_0`` for an array.
        frames (np.ndarray | None): RGB, uint8, shape (N, H, W, 3), if the video is an array.
    """

    path: str
    name: str
    frames: np.ndarray | None = field(default=None, repr=False, compare=False)


#: One input: a path, a pattern, the frames of a video, or a video that was found before.
VideoInput: TypeAlias = str | os.PathLike | np.ndarray | VideoSource


def find_sources(inputs: VideoInput | Iterable[VideoInput]) -> list[VideoSource]:
    """Find the videos of inputs.

    A path may be a file, a folder (searched to any depth; without video files in it, each folder of images is a
    video), a ``.txt`` list of paths, or a pattern such as ``videos/*.mp4``.

    Args:
        inputs: One input or many. Arrays are RGB, uint8, shape (N, H, W, 3).

    Returns:
        list[VideoSource]: In the order of the inputs, in natural order of names inside a folder; each file once.

    Raises:
        MissingFileError: A path does not exist, or a pattern has no match.
        DataError: An input is neither a path nor a video as an array, or there is no input.
    """
    many: list[Any] = [inputs]
    if isinstance(inputs, Iterable) and not (
        isinstance(inputs, str | bytes | os.PathLike | np.ndarray | VideoSource) or hasattr(inputs, '__array__')
    ):
        many = list(inputs)
    found: dict[str, VideoSource] = {}
    for place, one in enumerate(many):
        if isinstance(one, np.ndarray):
            found[f'\0{place}'] = VideoSource('', f'array_{place}', _checked(one, place))
            continue
        if isinstance(one, VideoSource):
            found.setdefault(f'\0{place}' if one.frames is not None else os.path.realpath(one.path), one)
            continue
        if not isinstance(one, str | os.PathLike):
            raise DataError(
                f'Input {place} is {_in_words(one)}. Give a path as text, or the frames of a video as a NumPy array: '
                'RGB, uint8, shape (N, H, W, 3).'
            )
        if not os.fspath(one):
            raise ConfigError(f'Input {place} is an empty path. Is a variable of the shell not set?')
        for path in matching_paths(os.fspath(one)):
            if os.path.isdir(path) or Path(path).suffix == '.txt':
                items = [(item.path, item.name) for item in find_videos([path], keep_ending=True)]
            elif os.path.isfile(path):
                items = [(path, Path(path).name)]
            else:
                raise MissingFileError(f'There is no video, folder or list {path}{no_file_advice(path)}')
            for file, name in items:
                found.setdefault(os.path.realpath(file), VideoSource(file, name))
    if not found:
        raise DataError('There is no video to score: the list of inputs is empty.')
    if bad := next((source.name for source in found.values() if '\\' in source.name), None):
        raise DataError(
            f'The name of {bad} has a backslash. Results are files of the same name, and there it would be a folder on '
            'Windows. Rename it.'
        )
    return list(_unique(list(found.values())))


def read_prompts(path: str | os.PathLike) -> list[str]:
    """Read prompts or class names from a text file: one per line.

    A comment is a line that starts with ``#``, or follows a ``#`` between blanks: ``a #23 jersey`` has none.

    Raises:
        MissingFileError: There is no such file.
        DataError: It has no line, or a line is there twice.
    """
    lines = [_COMMENT.split(line)[0].strip() for line in read_lines(path)]
    prompts = [line for line in lines if line]
    if not prompts:
        raise DataError(f'{path} has no prompt: write one per line.')
    seen: dict[str, int] = {}
    for number, line in enumerate(lines, 1):
        if line and line.lower() in seen:
            raise DataError(f'{path}, line {number}: {line!r} is in line {seen[line.lower()]} already. Name it once.')
        seen[line.lower()] = number
    return prompts


def all_prompts(texts: Sequence[str] | None, path: str | os.PathLike | None) -> list[str] | None:
    """Texts of a command line, and those of a file; None without any.

    Raises:
        ConfigError: A text has bytes that Python could not decode.
        MissingFileError, DataError: See :func:`read_prompts`.
    """
    if texts is None and path is None:
        return None
    for text in texts or []:
        if any('\ud800' <= character <= '\udfff' for character in text):
            raise ConfigError(
                f'The prompt {text!a} has bytes that the locale cannot read, so it is not the text that you typed. '
                'Set LC_ALL=C.UTF-8, or write the prompts to a file in UTF-8.'
            )
    return [*(texts or []), *(read_prompts(path) if path is not None else [])]


def matching_paths(path: str) -> Iterator[str]:
    """The paths that a pattern matches; a path that exists or is not a pattern is returned unchanged.

    Raises:
        MissingFileError: Nothing matches the pattern.
    """
    if os.path.exists(path) or not glob.has_magic(path):
        yield path
        return
    matches = natural_sorted(glob.glob(path, recursive=True))
    if not matches:
        raise MissingFileError(f'Nothing matches the pattern {path}.')
    yield from matches


def _in_words(value: Any) -> str:
    """A value for a message: its type, and what it holds if that is short."""
    text = repr(value)
    return f'{text} ({type(value).__name__})' if len(text) <= 60 and '\n' not in text else f'a {type(value).__name__}'


def _checked(frames: np.ndarray, place: int) -> np.ndarray:
    if frames.ndim != 4 or frames.shape[3] != 3 or frames.dtype != np.uint8 or not frames.size:
        raise DataError(
            f'Input {place} is an array of {frames.dtype}, shape {frames.shape}; a video is RGB, uint8, shape '
            '(N, H, W, 3), with at least one frame.'
        )
    return frames


def _unique(sources: Sequence[VideoSource]) -> Iterator[VideoSource]:
    """Put the names of folders in front of equal names, as many as they need to differ."""
    groups = defaultdict(list)
    for source in sources:
        groups[source.name].append(source)
    for source in sources:
        group, name = groups[source.name], source.name
        if len(group) > 1:
            folders = Path(os.path.abspath(source.path)).parts[:-1]
            others = [Path(os.path.abspath(other.path)).parts[:-1] for other in group if other is not source]
            depth = len(Path(source.name).parts)
            while depth <= len(folders) and any(folders[-depth:] == other[-depth:] for other in others):
                depth += 1
            name = '/'.join((*(part for part in folders[-depth:] if part != '/'), Path(source.path).name))
        yield replace(source, name=name)
