"""Opening media with PyAV 18 to 19."""

import os
from typing import Any

import av
from av.error import FFmpegError
from av.stream import Disposition

#: A tag that is not UTF-8 is not a reason to refuse a file. PyAV 19 never refuses one, and has no such option.
_ANY_TAGS: dict[str, Any] = {'metadata_errors': 'replace'} if int(av.__version__.split('.')[0]) < 19 else {}
#: Comment in the header of the mp4 files that VADLab writes.
WRITTEN_BY = 'VADLab'


def open_input(path: str | os.PathLike[str], **options: Any) -> Any:
    """Open a file, stream or device for reading, whatever the encoding of its tags.

    Args:
        path (str | PathLike): The file, or the address.
        **options (Any): Further arguments of ``av.open``, such as ``options`` and ``timeout``.

    Returns:
        The InputContainer, to be closed.

    Raises:
        av.FFmpegError, OSError, ValueError: As ``av.open``.
    """
    return av.open(os.fspath(path), **_ANY_TAGS, **options)


def video_stream(container: Any) -> Any | None:
    """The best video stream of a container, which is no cover picture of a sound file; None without one."""
    moving = [stream for stream in container.streams.video if not stream.disposition & Disposition.attached_pic]
    best = container.streams.best('video')
    return best if best in moving else next(iter(moving), None)


def is_written_here(path: str | os.PathLike[str]) -> bool:
    """Whether VADLab wrote a video: a copy in a report, or an overlay video."""
    try:
        with open_input(path) as container:
            return container.metadata.get('comment') == WRITTEN_BY
    except (FFmpegError, OSError):
        return False
