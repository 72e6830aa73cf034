"""Check what an upload is, by its content, in a process of its own with little memory.

Run as ``python -m vadlab.apis.service.content_check``; see :mod:`vadlab.apis.service.child_process`.
"""

import os
import re
import resource
from typing import Any

import av

from vadlab.datasets.video.video_index import index_video
from vadlab.utils.av_input import open_input
from vadlab.utils.errors import DataError, MissingFileError

from .child_process import ParentChannel
from .settings import ENDINGS, KINDS

_MOST_PIXELS = 36_000_000  # 8K UHD has 33 million
_LONGEST_SIDE = 8192
_MOST_FPS = 240.0  # mean of the whole video
_MEMORY = 2**30  # in addition to the process itself
_MAGIC = [
    (b'GIF8', 'a GIF picture'), (b'\x89PNG', 'a PNG picture'), (b'\xff\xd8\xff', 'a JPEG picture'),
    (b'BM', 'a BMP picture'), (b'II*\0', 'a TIFF picture'), (b'MM\0*', 'a TIFF picture'),
    (b'PK\x03\x04', 'a ZIP archive'), (b'\x1f\x8b', 'a gzip archive'), (b'%PDF', 'a PDF document'),
    (b'#EXTM3U', 'a playlist'), (b'ffconcat', 'a list of files'), (b'\x7fELF', 'a program'), (b'MZ', 'a program'),
    (b'ID3', 'sound'), (b'fLaC', 'sound'), (b'<', 'a web page or XML'), (b'{', 'JSON'),
]  # fmt: skip


class UnfitUploadError(DataError):
    """The upload is not taken. ``code`` is a short word."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


def check_content(path: str, max_duration_s: float) -> dict[str, Any]:
    """Look at a file of unknown origin. Its name does not count.

    The length is that of the packets, not the one in the header, which may be anything.

    Args:
        path (str): The file.
        max_duration_s (float): Longest video, in seconds.

    Returns:
        dict[str, Any]: ``ending`` (str), ``duration_s`` (float), ``frames`` (int), ``width`` and ``height`` (int).

    Raises:
        UnfitUploadError: It is not a video of a known kind, it is damaged, too long, or its pictures are too large.
    """
    with open(path, 'rb') as file:
        head = file.read(64)
    if not head:
        raise UnfitUploadError('empty', 'The file is empty.')
    kind = _kind_by_magic(head)
    if kind is not None:
        raise UnfitUploadError('not_a_video', f'The file is {kind}, not a video. Send {KINDS}.')
    name = _container(path)
    ending = next((ENDINGS[part] for part in name.split(',') if part in ENDINGS), None)
    if ending is None:
        raise UnfitUploadError('not_a_video', f'The file is of the kind {name}, which is not taken. Send {KINDS}.')
    try:
        index = index_video(path, remember=False, count=False)
    except (DataError, MissingFileError) as error:
        raise UnfitUploadError('damaged', _without_path(str(error), path)) from error
    except (MemoryError, OSError) as error:
        raise UnfitUploadError('damaged', f'The file cannot be read: {type(error).__name__}, {error}') from error
    if index.width * index.height > _MOST_PIXELS or max(index.width, index.height) > _LONGEST_SIDE:
        raise UnfitUploadError(
            'too_large_pictures',
            f'The pictures have {index.width} x {index.height} pixels. At most {_LONGEST_SIDE} per side and '
            f'{_MOST_PIXELS / 1e6:.0f} million are taken.',
        )
    # Time stamps may be far apart, and frames may be many in a short time: both bound what scoring costs.
    duration_s = max(index.duration_s, index.total_frames / _MOST_FPS)
    if duration_s > max_duration_s:
        raise UnfitUploadError(
            'too_long',
            f'The video lasts {clock(duration_s)}. At most {clock(max_duration_s)} are taken. Cut it into parts.',
        )
    return {
        'ending': ending,
        'duration_s': index.duration_s,
        'frames': index.total_frames,
        'width': index.width,
        'height': index.height,
    }


def clock(seconds: float) -> str:
    """A duration as ``h:mm:ss``.

    >>> clock(3725.2)
    '1:02:05'
    """
    whole = round(seconds)
    return f'{whole // 3600}:{whole // 60 % 60:02}:{whole % 60:02}'


def _kind_by_magic(head: bytes) -> str | None:
    text = head.lstrip(b'\xef\xbb\xbf \t\r\n')
    found = next((kind for magic, kind in _MAGIC if head.startswith(magic) or text.startswith(magic)), None)
    if found is None and head[4:12] in (b'ftypheic', b'ftypheix', b'ftypmif1', b'ftypavif'):
        return 'a HEIF or AVIF picture'
    if found is None and head[:4] == b'RIFF' and head[8:12] != b'AVI ':
        return 'sound or a WebP picture'
    return found


def _container(path: str) -> str:
    """FFmpeg's name of the container. Others than :data:`ENDINGS` are not opened."""
    options = {'protocol_whitelist': 'file', 'format_whitelist': ','.join(sorted({*ENDINGS, *_WHOLE_NAMES}))}
    try:
        with open_input(path, options=options) as container:
            return container.format.name
    except (av.error.FFmpegError, OSError, MemoryError, ValueError) as error:
        raise UnfitUploadError('not_a_video', f'The file is damaged, or not a video. Send {KINDS}.') from error


# FFmpeg compares the names of the list with each name of a container.
_WHOLE_NAMES = ('mov,mp4,m4a,3gp,3g2,mj2', 'matroska,webm')


def _without_path(message: str, path: str) -> str:
    message = message.replace(path, 'The file')
    message = message.replace('The file: contains', 'The file contains')
    return re.sub(r'The file: (damaged|cut short)', r'The file is \1', message)


def main() -> None:
    """Answer requests ``{"path": ..., "max_duration_s": ...}``."""
    channel = ParentChannel()
    if os.path.exists('/proc/self/statm'):  # Linux
        with open('/proc/self/statm', encoding='ascii') as file:
            own = int(file.read().split()[0]) * os.sysconf('SC_PAGE_SIZE')
        resource.setrlimit(resource.RLIMIT_AS, (own + _MEMORY, own + _MEMORY))

    def answer(request: dict[str, Any]) -> dict[str, Any]:
        try:
            return check_content(request['path'], request['max_duration_s'])
        except UnfitUploadError as error:
            return {'error': {'code': error.code, 'message': str(error)}}

    channel.tell(ready={})
    channel.serve(answer)


if __name__ == '__main__':
    main()
