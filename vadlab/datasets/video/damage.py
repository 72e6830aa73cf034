"""Damage inside a file that FFmpeg skips without an error, so that the video would seem shorter."""

import os
from typing import Any

import numpy as np

from .errors import DamagedVideoError

_SYNC_BYTE = 0x47
_TS_PACKETS = (188, 192, 204)  # bytes of a packet of a transport stream, without and with a time code or a checksum
_TS_PACKETS_OF_GRID = 5
_TS_PACKETS_AT_ONCE = 10_000


# What may follow the packets of a file, by format: the allowed bytes of headers, and the names of the next parts.
# Undamaged AVI files have at most 9 such bytes between packets, Matroska files about 30.
_AFTER_PACKETS = {
    'avi': (32, (b'idx1', b'ix', b'JUNK', b'LIST', b'RIFF')),
    'matroska': (
        128,
        (
            b'\x1c\x53\xbb\x6b',  # cues
            b'\x12\x54\xc3\x67',  # tags
            b'\x16\x54\xae\x6b',  # tracks, a second time
            b'\x15\x49\xa9\x66',  # title and length, a second time
            b'\x10\x43\xa7\x70',  # chapters
            b'\x19\x41\xa4\x69',  # attachments
            b'\x11\x4d\x9b\x74',  # list of parts
            b'\x1f\x43\xb6\x75',  # cluster
            b'\x18\x53\x80\x67',  # segment
            b'\x1a\x45\xdf\xa3',  # file
        ),
    ),
}


class SkippedBytes:
    """Bytes between the packets of a file that belong to no packet; call it with each packet, of all streams.

    Args:
        path (str): The file.
        format_name (str): FFmpeg's name of its container: ``avi``, or one with ``matroska``.
    """

    def __init__(self, path: str, format_name: str) -> None:
        self._path = path
        self._allowed, self._parts = _AFTER_PACKETS['avi' if format_name == 'avi' else 'matroska']
        self._stretches: list[tuple[int, int]] = []
        self._previous: Any = None
        self._end = 0

    def __call__(self, packet: Any) -> None:
        """Compare a packet's place with the end of the packet before."""
        if packet.pos is None or not packet.size:
            return
        previous, place = self._previous, packet.pos
        if previous is not None and place == previous.pos:  # frames of sound that share a block
            self._end += packet.size
            return
        has_gap = previous is not None and place > self._end + self._allowed
        if has_gap and not previous.has_sidedata('matroska_block_additional'):
            self._stretches.append((self._end, place))
        self._previous, self._end = packet, place + packet.size

    def place(self) -> int | None:
        """Where damage starts, in bytes from the start of the file; None without any."""
        with open(self._path, 'rb') as file:
            for start, stop in self._stretches:
                file.seek(start)
                if not _are_empty_chunks(file.read(stop - start)):
                    return start
            file.seek(self._end)
            rest = file.read(self._allowed + 8)
        is_known = len(rest) <= self._allowed or any(part in rest for part in self._parts)
        return None if is_known else self._end


def _are_empty_chunks(content: bytes) -> bool:
    """Whether bytes are chunks of an AVI file without content, and the header of the next packet.

    FFmpeg and others write an empty chunk for a picture that is shown for longer.
    """
    chunks = content[len(content) % 8 :]  # a byte to make places even may be in front
    return all(chunks[i : i + 4].isalnum() and not any(chunks[i + 4 : i + 8]) for i in range(0, len(chunks) - 8, 8))


def check_transport_stream(path: str) -> None:
    """Check that each packet of a transport stream starts with its sync byte, and that the last one is whole.

    Raises:
        DamagedVideoError: A packet does not; FFmpeg skips to the next one that does.
    """
    size = os.path.getsize(path)
    with open(path, 'rb') as file:
        head = np.frombuffer(file.read(4096), np.uint8)
        grids = [(step, start) for step in _TS_PACKETS for start in range(step) if _fits(head, step, start)]
        if not grids:
            return
        step, start = grids[0]
        file.seek(start)
        place = start
        while block := file.read(step * _TS_PACKETS_AT_ONCE):
            wrong = np.flatnonzero(np.frombuffer(block, np.uint8)[::step] != _SYNC_BYTE)
            if len(wrong):
                raise DamagedVideoError(f'{path}: damaged at byte {place + int(wrong[0]) * step} of {size}')
            place += len(block)
    rest = (size - start) % step
    if rest not in (0, _TS_PACKETS[0]):  # a time code is in front of its packet
        raise DamagedVideoError(f'{path}: cut short (its last packet has {rest} bytes of {step})')


def _fits(head: np.ndarray, step: int, start: int) -> bool:
    if start == 0 and len(head) > step and head[0] == head[step] == _SYNC_BYTE:
        return True  # damage may follow
    marks = head[start::step][:_TS_PACKETS_OF_GRID]
    return len(marks) == _TS_PACKETS_OF_GRID and bool((marks == _SYNC_BYTE).all())
