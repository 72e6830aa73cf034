"""Index of the shapes of many feature files, beside them: a start opens only files that are new or changed.

A file counts as unchanged if its size, its times of modification and of status change (in nanoseconds) and its inode
are those in the index. The system sets the time of status change at every write, rename and change of times, and
programs cannot set it back. Files that changed less than :data:`YOUNG_NS` before they were read are not put into the
index, since another change could have the same time. A modification time in the future, as copies from a machine have
whose clock is ahead, does no harm. So a change is missed only where the file system has no time of status change (FAT,
some network mounts) and a program restores size and time of modification, or where the system's clock is set back.
"""

import hashlib
import logging
import os
from collections.abc import Callable, Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import NamedTuple, TypeVar

import numpy as np

from vadlab.utils.atomic import atomic_path
from vadlab.utils.errors import DataError, MissingFileError
from vadlab.utils.npy_file import open_npz
from vadlab.utils.run_log import log

from .feature_files import FeatureShape, read_feature_shape

INDEX_FILE = '.feature_shapes.npz'
FEWEST_FILES = 2000  # below it, all headers are read in a fraction of a second
YOUNG_NS = 2_500_000_000  # times of files are multiples of 2 s on the coarsest file systems

_VERSION = 1
_ARRAYS = ('version', 'digest', 'names', 'stats', 'shapes')
_THREADS = 8  # on a network file system each read waits
_BATCH = 256
_LIMIT = (1 << 64) - 1

_T = TypeVar('_T')
Look = tuple[FeatureShape | None, str]
"""Shape of a file, or None and its problem."""


class _Table(NamedTuple):
    """Rows of the index.

    Attributes:
        names (list[bytes]): Paths below the folder.
        stats (np.ndarray): Signatures, uint64, shape (N, 4).
        shapes (np.ndarray): Snippets, crops (0 for a file of one crop) and channels, int64, shape (N, 3).
    """

    names: list[bytes]
    stats: np.ndarray
    shapes: np.ndarray


_EMPTY = _Table([], np.zeros((0, 4), np.uint64), np.zeros((0, 3), np.int64))


def look_at_files(
    root: str, paths: Sequence[str], everything: Sequence[str] = (), may_write: bool = True
) -> list[Look]:
    """Shape of each feature file, or its problem, from the index of a folder as far as it is up to date.

    The index is renewed if files are new or have changed. If it cannot be written, a message says so.

    Args:
        root (str): Absolute path of the folder.
        paths (Sequence[str]): Absolute paths of the files; those outside the folder are always read.
        everything (Sequence[str]): All files of the folder: rows of others leave the index.
        may_write (bool): Whether this process renews the index; one of several ranks is enough.

    Returns:
        list[Look]: In the order of the paths. Files with a problem are read each time.
    """
    if len(paths) < FEWEST_FILES:
        return [look for look, _ in _in_threads(_read, paths)]
    table = load_index(root)
    names = [_name_below(root, path) for path in paths]
    rows = _rows(table, names)
    stats = np.array([_LIMIT, 0, 0, 0], np.uint64) * np.ones((len(paths), 1), np.uint64)
    candidates = np.flatnonzero(rows >= 0)
    if candidates.size:
        stats[candidates] = _in_threads(_signature, [paths[i] for i in candidates])
    fresh = np.zeros(len(paths), bool)
    fresh[candidates] = (stats[candidates] == table.stats[rows[candidates]]).all(axis=1)

    looks: list[Look | None] = [None] * len(paths)
    for i, shape in zip(np.flatnonzero(fresh).tolist(), table.shapes[rows[fresh]].tolist(), strict=True):
        looks[i] = FeatureShape(shape[0], shape[1] or None, shape[2]), ''
    changed = np.flatnonzero(~fresh).tolist()
    if changed:
        now = _time_of_folder(root) if may_write else None
        read = _in_threads(_read, [paths[i] for i in changed])
        new: list[tuple[bytes, tuple[int, ...], FeatureShape]] = []
        for i, (look, signature) in zip(changed, read, strict=True):
            looks[i] = look
            name = names[i]
            if now is not None and look[0] is not None and name is not None and _is_old(signature, now):
                new.append((name, signature, look[0]))
        if new:
            renew(root, new, [_name_below(root, path) for path in everything or paths])
    return [look for look in looks if look is not None]


def load_index(root: str, is_told: bool = True) -> _Table:
    """The index of a folder, empty if there is none or if it is damaged; ``is_told``: whether damage is logged."""
    path = os.path.join(root, INDEX_FILE)
    try:
        arrays = {name: read() for name, read in open_npz(path).items()}
        version, digest, names, stats, shapes = (arrays[key] for key in _ARRAYS)
        if version.tolist() != _VERSION:
            return _EMPTY  # another version of VADLab wrote it
        if digest.tobytes() != _digest(names, stats, shapes):
            raise DataError('its checksum differs')
        split = names.tobytes().split(b'\0') if names.size else []
        if stats.dtype != np.uint64 or shapes.dtype != np.int64 or names.dtype != np.uint8:
            raise DataError('its arrays have other types')
        if stats.shape != (len(split), 4) or shapes.shape != (len(split), 3):
            raise DataError('its arrays have other shapes')
    except MissingFileError:
        return _EMPTY
    except (DataError, KeyError) as error:
        if is_told:
            log(f'The index of feature files {path} cannot be used and is made again: {error}', logging.INFO)
        return _EMPTY
    return _Table(split, stats, shapes)


def _rows(table: _Table, names: list[bytes | None]) -> np.ndarray:
    """Row of each name, -1 without one."""
    if names == table.names:
        return np.arange(len(names))
    at = {name: i for i, name in enumerate(table.names)}
    return np.array([-1 if name is None else at.get(name, -1) for name in names], np.int64)


def renew(
    root: str, new: Sequence[tuple[bytes, tuple[int, ...], FeatureShape]], existing: Collection[bytes | None]
) -> None:
    """Write the index of a folder with new rows, or say that it cannot be written.

    Args:
        root (str): The folder.
        new (Sequence): Path below the folder, signature and shape of each new or changed file.
        existing (Collection[bytes | None]): Paths of all files: rows of others are left out.
    """
    table = load_index(root, is_told=False)  # again: another process may have renewed it
    replaced, there = {name for name, _, _ in new}, set(existing)
    kept = [i for i, name in enumerate(table.names) if name in there and name not in replaced]
    path = os.path.join(root, INDEX_FILE)
    joined = b'\0'.join([*(table.names[i] for i in kept), *(name for name, _, _ in new)])
    names = np.frombuffer(joined, np.uint8)
    stats = np.concatenate([table.stats[kept], np.array([row for _, row, _ in new], np.uint64)])
    rows = np.array([(shape[0], shape[1] or 0, shape[2]) for *_, shape in new], np.int64)
    shapes = np.concatenate([table.shapes[kept], rows])
    digest = np.frombuffer(_digest(names, stats, shapes), np.uint8)
    arrays = dict(zip(_ARRAYS, (np.array(_VERSION), digest, names, stats, shapes), strict=True))
    try:
        with atomic_path(path) as part, open(part, 'wb') as file:
            np.savez(file, allow_pickle=False, **arrays)
    except OSError as error:
        _say_it_cannot_be_written(path, error)


def _digest(*arrays: np.ndarray) -> bytes:
    found = hashlib.blake2b(digest_size=16)
    for array in arrays:
        found.update(f'{array.dtype.str}{array.shape}'.encode())
        found.update(array.tobytes())
    return found.digest()


def _time_of_folder(root: str) -> int | None:
    """The file system's time in nanoseconds, by a file that is written for it; None if the folder is read-only."""
    path = os.path.join(root, INDEX_FILE)
    probe = f'{path}.{os.getpid()}.time'
    try:
        with open(probe, 'wb') as file:
            return os.fstat(file.fileno()).st_mtime_ns
    except OSError as error:
        _say_it_cannot_be_written(path, error)
        return None
    finally:
        with suppress(OSError):
            os.unlink(probe)


def _say_it_cannot_be_written(path: str, error: OSError) -> None:
    log(
        f'The index of feature files {path} cannot be written ({error.strerror}): every start opens all files',
        logging.INFO,
    )


def _name_below(root: str, path: str) -> bytes | None:
    start = root.rstrip(os.sep) + os.sep
    return os.fsencode(path[len(start) :]) if path.startswith(start) else None


def _signature_of(stat: os.stat_result) -> tuple[int, int, int, int]:
    return stat.st_size, stat.st_mtime_ns & _LIMIT, stat.st_ctime_ns & _LIMIT, stat.st_ino & _LIMIT


def _is_old(signature: tuple[int, int, int, int], now: int) -> bool:
    _, modified, changed, _ = signature
    return changed < now - YOUNG_NS and abs(modified - now) > YOUNG_NS


def _signature(path: str) -> tuple[int, int, int, int]:
    try:
        return _signature_of(os.stat(path))
    except OSError:
        return _LIMIT, 0, 0, 0


def _read(path: str) -> tuple[Look, tuple[int, int, int, int]]:
    """Look into a file; the signature is taken before, so that a change in between is noticed at the next start."""
    signature = _signature(path)
    try:
        return (read_feature_shape(path), ''), signature
    except DataError as error:
        return (None, str(error)), signature


def _in_threads(function: Callable[[str], _T], paths: Sequence[str]) -> list[_T]:
    def batch(start: int) -> list[_T]:
        return [function(path) for path in paths[start : start + _BATCH]]

    with ThreadPoolExecutor(_THREADS) as pool:
        return [result for part in pool.map(batch, range(0, len(paths), _BATCH)) for result in part]
