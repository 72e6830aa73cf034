"""Disk cache for sampled frames at the model's size."""

import contextlib
import hashlib
import json
import os
import time
import zlib
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import BinaryIO

import numpy as np

from ...utils.errors import ConfigError, MissingFileError
from ...utils.loader_workers import is_first_worker
from ...utils.run_log import log

FORMATS = ('jpeg', 'raw')
_SUFFIXES = {'jpeg': '.jpegs', 'raw': '.raw'}
_MAGIC = b'VADLABF1'
_STALE_S = 3600  # an incomplete file of this age was left by a killed writer


class FrameCache:
    """Disk cache with one file per video and decoding recipe.

    Several processes may share a folder and may be killed at any time: files are written atomically. Each frame has a
    checksum; a truncated or changed file is written again. If the disk is full or the folder cannot be used, caching
    stops with one warning, and training continues.

    Args:
        dir: The folder, made on first use.
        format: ``jpeg``: quality 95, a ninth of the size, mean error about 1.5 of 255. ``raw``: exact.
        max_gb: Maximum size of the folder in 1e9 bytes; beyond it, the oldest files are removed first.
    """

    def __init__(self, dir: str, format: str = 'jpeg', max_gb: float = 50.0) -> None:
        if format not in FORMATS:
            raise ConfigError(f'Frame cache: there is no format {format!r}. Known: {", ".join(FORMATS)}')
        if not max_gb > 0:
            raise ConfigError(f'Frame cache: max_gb must be > 0, not {max_gb}')
        self.dir = Path(dir)
        self.format = format
        self.max_bytes = int(max_gb * 1e9)
        self._off = False

    def path_for(self, video_path: str, frame_inds: np.ndarray, recipe: dict[str, object]) -> Path:
        """Cache file for these frames of the current version of the video, decoded by this recipe."""
        try:
            stat = os.stat(video_path)
        except FileNotFoundError as error:
            raise MissingFileError(f'There is no video {video_path}') from error
        key = [os.path.abspath(video_path), stat.st_size, stat.st_mtime_ns, self.format, sorted(recipe.items())]
        digest = hashlib.sha256(json.dumps(key, default=str).encode())
        digest.update(np.ascontiguousarray(frame_inds, np.int64).tobytes())
        return self.dir / f'{Path(video_path).stem}-{digest.hexdigest()[:20]}{_SUFFIXES[self.format]}'

    def get(
        self,
        video_path: str,
        frame_inds: np.ndarray,
        recipe: dict[str, object],
        decode: Callable[[], np.ndarray],
        select: np.ndarray | None = None,
    ) -> np.ndarray:
        """Frames from the cache, decoded and stored on the first call.

        Args:
            video_path: The video.
            frame_inds: All frames in the entry, int64, shape (S,).
            recipe: The other settings that the pixels depend on: backend, size, interpolation.
            decode: Returns the frames, uint8, shape (S, H, W, 3).
            select: Positions within ``frame_inds`` to return, shape (T,); None for all.

        Returns:
            uint8, shape (T, H, W, 3), T = S without ``select``; the same with or without a cached entry.
        """
        select = np.arange(len(frame_inds)) if select is None else np.asarray(select)
        path = self.path_for(video_path, frame_inds, recipe)
        if (found := self._read(path, len(frame_inds), select)) is not None:
            return found
        frames = decode()
        if self._off:
            return frames[select]
        stored = self._write(path, frames)
        # The first epoch must get the same pixels as later epochs, so it reads them back.
        found = self._read(path, len(frame_inds), select) if stored else None
        return frames[select] if found is None else found

    def _read(self, path: Path, n_frames: int, select: np.ndarray) -> np.ndarray | None:
        try:
            blobs = _read_blobs(path, n_frames, np.unique(select))
            picture = _from_raw if self.format == 'raw' else _from_jpeg
            pictures = {slot: picture(blob) for slot, blob in blobs.items()}
            return np.stack([pictures[slot] for slot in select.tolist()])
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            self._switch_off(error)
            return None
        except ValueError as error:
            log(f'Frame cache: {path} is damaged and is made again ({error})')
            return None

    def _write(self, path: Path, frames: np.ndarray) -> bool:
        temporary = path.with_name(f'.{path.name}.{os.getpid()}.tmp')
        try:
            self.dir.mkdir(parents=True, exist_ok=True)
            with open(temporary, 'wb') as file:
                _write_blobs(file, map(_as_raw if self.format == 'raw' else _as_jpeg, frames))
                size = file.tell()
            if size > self.max_bytes:
                temporary.unlink()
                return False
            self._make_room(size)
            os.replace(temporary, path)
            return True
        except OSError as error:
            with contextlib.suppress(OSError):
                temporary.unlink()
            self._switch_off(error)
            return False

    def _switch_off(self, error: OSError) -> None:
        was_off, self._off = self._off, True
        if not was_off and is_first_worker():
            log(
                f'Frame cache: switched off, {self.dir} cannot be used ({error.strerror or error}). Videos are decoded '
                'each time. Free some space, or set max_gb or another dir'
            )

    def _make_room(self, size: int) -> None:
        entries = []
        for entry in os.scandir(self.dir):
            try:
                stat = entry.stat()
                if entry.name.endswith('.tmp'):
                    if time.time() - stat.st_mtime > _STALE_S:
                        os.unlink(entry.path)
                elif entry.name.endswith(('.jpegs', '.raw', '.npy')):  # .npy: raw frames of older versions
                    entries.append((stat.st_mtime, stat.st_size, entry.path))
            except FileNotFoundError:  # another worker made room
                continue
        total = size + sum(entry[1] for entry in entries)
        for _, entry_size, entry_path in sorted(entries):
            if total <= self.max_bytes:
                break
            Path(entry_path).unlink(missing_ok=True)
            total -= entry_size


def _as_jpeg(frame: np.ndarray) -> bytes:
    import simplejpeg

    return simplejpeg.encode_jpeg(np.ascontiguousarray(frame), 95, 'RGB', '444')


def _from_jpeg(blob: bytes) -> np.ndarray:
    import simplejpeg

    return simplejpeg.decode_jpeg(blob, 'RGB')


def _as_raw(frame: np.ndarray) -> bytes:
    return np.array(frame.shape[:2], '<u4').tobytes() + frame.tobytes()


def _from_raw(blob: bytes) -> np.ndarray:
    height, width = np.frombuffer(blob, '<u4', 2)
    return np.frombuffer(blob, np.uint8, offset=8).reshape(height, width, 3)


def _write_blobs(file: BinaryIO, blobs: Iterable[bytes]) -> None:
    """Write magic bytes, a table of (length, CRC) per frame, the table's own CRC, and the frames."""
    blobs = list(blobs)
    table = np.array([[len(blob), zlib.crc32(blob)] for blob in blobs], '<u4').tobytes()
    file.write(_MAGIC + np.array([len(blobs), zlib.crc32(table)], '<u4').tobytes() + table)
    file.writelines(blobs)


def _read_blobs(path: Path, n_frames: int, slots: np.ndarray) -> dict[int, bytes]:
    """Read some frames, by position in the file.

    Raises:
        ValueError: The file holds something else, or is truncated or changed.
    """
    with open(path, 'rb') as file:
        head = file.read(len(_MAGIC) + 8)
        if len(head) < 16 or head[:8] != _MAGIC:
            raise ValueError('not a frame cache file')
        stored_frames, table_crc = np.frombuffer(head[8:], '<u4')
        raw_table = file.read(8 * n_frames)
        if stored_frames != n_frames or zlib.crc32(raw_table) != table_crc:
            raise ValueError('not the frames expected')
        table = np.frombuffer(raw_table, '<u4').reshape(-1, 2).astype(np.int64)
        offsets = 16 + len(raw_table) + np.concatenate(([0], np.cumsum(table[:-1, 0])))
        blobs = {}
        for slot in slots.tolist():
            file.seek(int(offsets[slot]))
            blobs[slot] = file.read(int(table[slot, 0]))
            if zlib.crc32(blobs[slot]) != table[slot, 1]:
                raise ValueError(f'frame {slot} is cut or changed')
    return blobs
