"""Decode once: sampled frames at the model's size, kept on disk."""

import hashlib
import json
import os
import time
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
from mmengine.logging import MMLogger

from ...utils.errors import ConfigError

FORMATS = ('jpeg', 'raw')
_JPEG_MAGIC = b'VADLABF1'
_STALE_S = 3600  # a half-written file of this age has lost its writer


class FrameCache:
    """Frames of one video under one recipe are one file.

    Several processes may share a folder, and may be killed at any time: a file appears whole or not at all. A file
    that cannot be read is made anew. When the disk is full, or the folder cannot be written, caching stops with one
    warning and training goes on.

    Args:
        dir: Folder, made when first needed.
        format: ``jpeg``: quality 95, a ninth of the size, mean error about 1.5 of 255. ``raw``: a ``.npy``, exact.
        max_gb: The folder's budget in 1e9 bytes; beyond it the oldest files go first.
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
        """The file that holds these frames of this version of the video, decoded by this recipe."""
        stat = os.stat(video_path)
        key = [os.path.abspath(video_path), stat.st_size, stat.st_mtime_ns, self.format, sorted(recipe.items())]
        digest = hashlib.sha256(json.dumps(key, default=str).encode())
        digest.update(np.ascontiguousarray(frame_inds, np.int64).tobytes())
        suffix = '.npy' if self.format == 'raw' else '.jpegs'
        return self.dir / f'{Path(video_path).stem}-{digest.hexdigest()[:20]}{suffix}'

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
            frame_inds: All frames that the entry holds, int64, shape (S,).
            recipe: What else the pixels depend on: backend, size, interpolation.
            decode: Makes the frames, uint8, shape (S, H, W, 3).
            select: Positions within ``frame_inds`` to return, shape (T,); None for all.

        Returns:
            uint8, shape (T, H, W, 3), T = S without ``select``. The same whether it was cached or not.
        """
        select = np.arange(len(frame_inds)) if select is None else np.asarray(select)
        path = self.path_for(video_path, frame_inds, recipe)
        if (found := self._read(path, len(frame_inds), select)) is not None:
            return found
        frames = decode()
        if self._off:
            return frames[select]
        stored = self._write(path, frames)
        # What the first epoch sees must be what later ones see.
        found = self._read(path, len(frame_inds), select) if stored else None
        return frames[select] if found is None else found

    def _read(self, path: Path, n_frames: int, select: np.ndarray) -> np.ndarray | None:
        try:
            if self.format == 'raw':
                frames = np.load(path, mmap_mode='r', allow_pickle=False)
                if frames.dtype != np.uint8 or frames.ndim != 4 or len(frames) != n_frames:
                    raise ValueError('not the frames expected')
                return np.ascontiguousarray(frames[select])
            return _read_jpegs(path, n_frames, select)
        except FileNotFoundError:
            return None
        except (OSError, ValueError, EOFError) as error:
            MMLogger.get_current_instance().warning(f'Frame cache: {path} is damaged and is made anew ({error})')
            return None

    def _write(self, path: Path, frames: np.ndarray) -> bool:
        temporary = path.with_name(f'.{path.name}.{os.getpid()}.tmp')
        try:
            self.dir.mkdir(parents=True, exist_ok=True)
            with open(temporary, 'wb') as file:
                if self.format == 'raw':
                    np.save(file, frames)
                else:
                    _write_jpegs(file, frames)
                size = file.tell()
            if size > self.max_bytes:
                temporary.unlink()
                return False
            self._make_room(size)
            os.replace(temporary, path)
            return True
        except OSError as error:
            self._off = True
            temporary.unlink(missing_ok=True)
            MMLogger.get_current_instance().warning(
                f'Frame cache: switched off, {self.dir} cannot be written ({error.strerror}). Videos are decoded anew '
                'each time. Free some space, or set max_gb or another dir'
            )
            return False

    def _make_room(self, size: int) -> None:
        entries = []
        for entry in os.scandir(self.dir):
            try:
                stat = entry.stat()
                if entry.name.endswith('.tmp'):
                    if time.time() - stat.st_mtime > _STALE_S:
                        os.unlink(entry.path)
                elif entry.name.endswith(('.jpegs', '.npy')):
                    entries.append((stat.st_mtime, stat.st_size, entry.path))
            except FileNotFoundError:  # another worker made room
                continue
        total = size + sum(entry[1] for entry in entries)
        for _, entry_size, entry_path in sorted(entries):
            if total <= self.max_bytes:
                break
            Path(entry_path).unlink(missing_ok=True)
            total -= entry_size


def _write_jpegs(file, frames: np.ndarray) -> None:
    """Magic, then a table of (length, CRC) per frame, the table's own CRC, then the JPEGs."""
    import simplejpeg

    blobs = [simplejpeg.encode_jpeg(np.ascontiguousarray(frame), 95, 'RGB', '444') for frame in frames]
    table = np.array([[len(blob), zlib.crc32(blob)] for blob in blobs], '<u4').tobytes()
    file.write(_JPEG_MAGIC + np.array([len(blobs), zlib.crc32(table)], '<u4').tobytes() + table)
    for blob in blobs:
        file.write(blob)


def _read_jpegs(path: Path, n_frames: int, select: np.ndarray) -> np.ndarray:
    import simplejpeg

    with open(path, 'rb') as file:
        head = file.read(len(_JPEG_MAGIC) + 8)
        if len(head) < 16 or head[:8] != _JPEG_MAGIC:
            raise ValueError('not a frame cache file')
        stored_frames, table_crc = np.frombuffer(head[8:], '<u4')
        raw_table = file.read(8 * n_frames)
        if stored_frames != n_frames or zlib.crc32(raw_table) != table_crc:
            raise ValueError('not the frames expected')
        table = np.frombuffer(raw_table, '<u4').reshape(-1, 2).astype(np.int64)
        offsets = 16 + len(raw_table) + np.concatenate(([0], np.cumsum(table[:-1, 0])))
        decoded: dict[int, np.ndarray] = {}
        for slot in np.unique(select):
            file.seek(int(offsets[slot]))
            blob = file.read(int(table[slot, 0]))
            if zlib.crc32(blob) != table[slot, 1]:
                raise ValueError(f'frame {slot} is cut or changed')
            decoded[int(slot)] = simplejpeg.decode_jpeg(blob, 'RGB')
    return np.stack([decoded[int(slot)] for slot in select])
