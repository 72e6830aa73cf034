"""Write feature files atomically, and mark finished videos."""

import math
import os
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from vadlab.utils.atomic import part_of
from vadlab.utils.errors import DataError, MissingFileError
from vadlab.utils.json_file import read_json
from vadlab.utils.natural_order import natural_sorted
from vadlab.utils.npy_file import read_npy_header

_MARKERS = '.videos'
_HEADER_BYTES = 128  # a multiple of 64, as the format requires
_UNUSED_S = 86_400  # no process works on a file that has not changed for so long


def crop_path(out: Path, name: str, crop: int) -> Path:
    """Path of the features of one crop: ``Abuse/Abuse001_x264__0.npy``."""
    return out / f'{name}__{crop}.npy'


class FeatureWriter:
    """Writes the ``.npy`` files of a video's crops row by row. They appear together when all rows are written.

    Memory does not grow with the length of the video. A killed run leaves only temporary files, whose names begin with
    a dot.

    Args:
        out (Path): Folder of the features.
        name (str): Name of the video.
        dim (int): Channels D.
        crops (int): Number of files.
        dtype (str): Data type of the files.
        run (str): Marks the temporary files of a run; other runs may write the same features at the same time.
    """

    def __init__(self, out: Path, name: str, dim: int, crops: int, dtype: str = 'float16', run: str = '') -> None:
        self.written = 0
        self.overflowed = 0
        self._dtype = np.dtype(dtype)
        self._paths = [crop_path(out, name, k) for k in range(crops)]
        self._parts = [part_of(path, run) for path in self._paths]
        self._paths[0].parent.mkdir(parents=True, exist_ok=True)
        self._dim = dim
        self._buffers: list[list[bytes]] = [[self._header()] for _ in range(crops)]
        for part in self._parts:
            part.unlink(missing_ok=True)

    def add(self, feats: np.ndarray) -> None:
        """Append the next snippet.

        Args:
            feats (np.ndarray): float32, shape (crops, D).
        """
        with np.errstate(over='ignore'):
            rows = feats.astype(self._dtype)
        self.overflowed += int(np.isinf(rows).sum())
        for buffer, row in zip(self._buffers, rows, strict=True):
            buffer.append(row.tobytes())
        self.written += 1
        if len(self._buffers[0]) >= 512:
            self._flush()

    def _flush(self) -> None:
        for part, buffer in zip(self._parts, self._buffers, strict=True):
            # Opened for each flush: with ten crops of many videos, the limit of open files would be reached.
            with open(part, 'ab') as file:
                file.write(b''.join(buffer))
            buffer.clear()

    def _header(self) -> bytes:
        """The header of format 1.0 for the rows written so far; its length does not depend on their number."""
        descr = np.lib.format.dtype_to_descr(self._dtype)
        text = f"{{'descr': '{descr}', 'fortran_order': False, 'shape': ({self.written}, {self._dim}), }}"
        magic = np.lib.format.magic(1, 0)
        length = _HEADER_BYTES - len(magic) - 2
        return magic + length.to_bytes(2, 'little') + text.ljust(length - 1).encode('latin1') + b'\n'

    def finish(self) -> None:
        """Move the files to their final names."""
        self._flush()
        for part in self._parts:
            with open(part, 'r+b') as file:
                file.write(self._header())
        for part, path in zip(self._parts, self._paths, strict=True):
            os.replace(part, path)

    def discard(self) -> None:
        """Remove the temporary files."""
        for part in self._parts:
            part.unlink(missing_ok=True)


def is_whole(path: Path, dim: int | None = None, dtype: str | None = None, rows: int | None = None) -> bool:
    """Whether a ``.npy`` has the size that its header gives, and the expected type."""
    try:
        with open(path, 'rb') as file:
            size = os.fstat(file.fileno()).st_size
            shape, _, found, start = read_npy_header(file, size)
    except (OSError, DataError):
        return False
    fits = size == start + math.prod(shape) * found.itemsize and len(shape) == 2
    return (
        fits
        and (dim is None or shape[1] == dim)
        and (rows is None or shape[0] == rows)
        and (dtype is None or found == dtype)
    )


def marker_path(out: Path, name: str) -> Path:
    """Path of the note of a finished video, which is written after all of its crops."""
    return out / _MARKERS / f'{name}.json'


def read_marker(out: Path, name: str) -> dict[str, Any] | None:
    """Contents of the note of a video; None if there is no readable note."""
    try:
        content = read_json(marker_path(out, name))
    except (DataError, MissingFileError):
        return None
    return content if isinstance(content, dict) else None


def is_done(out: Path, name: str, size: int, crops: int, dim: int, dtype: str) -> bool:
    """Whether a video's features are complete, and of this version of the video."""
    note = read_marker(out, name)
    if note is None or note.get('video_bytes') != size or note.get('crops') != crops:
        return False
    return all(is_whole(crop_path(out, name, k), dim, dtype, note.get('snippets')) for k in range(crops))


def all_markers(out: Path) -> dict[str, dict[str, Any]]:
    """The notes of all finished videos, by name."""
    return {name: note for name in finished_names(out) if (note := read_marker(out, name)) is not None}


def finished_names(out: Path) -> list[str]:
    """Names of all videos with a note."""
    folder = out / _MARKERS
    return natural_sorted(path.relative_to(folder).with_suffix('').as_posix() for path in folder.rglob('[!.]*.json'))


def remove_parts(out: Path, names: Iterable[str], crops: int, run: str) -> None:
    """Remove temporary files of these videos that killed processes left: those of this run, and very old ones.

    Another run may be writing the others.
    """
    wanted: dict[Path, set[str]] = {}
    for name in names:
        for path in (crop_path(out, name, k) for k in range(crops)):
            wanted.setdefault(path.parent, set()).add(path.name)
    for folder, files in wanted.items():
        for part in folder.glob('.*.part'):
            name, of_run = part.name[1:].rsplit('.', 2)[:2]
            if name in files and (of_run.startswith(f'{run}-') or _is_unused(part)):
                part.unlink(missing_ok=True)


def _is_unused(part: Path) -> bool:
    try:
        return time.time() - part.stat().st_mtime > _UNUSED_S
    except OSError:
        return False


def remove_features(out: Path) -> None:
    """Remove the features listed in the notes, the notes and the recipe; nothing else.

    Raises:
        DataError: A file of a folder with a recipe cannot be removed.
    """
    try:
        for name, note in all_markers(out).items():
            for k in range(int(note.get('crops', 0))):
                crop_path(out, name, k).unlink(missing_ok=True)
            marker_path(out, name).unlink()
        for file in ('recipe.json', 'frames.json'):
            (out / file).unlink(missing_ok=True)
    except OSError as error:
        raise DataError(f'{out} cannot be emptied: {error}') from error
