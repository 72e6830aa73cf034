"""Limits and folders of the service."""

from dataclasses import dataclass
from pathlib import Path

#: Containers that are taken, by FFmpeg's names, and the ending of their files. Not in the list: playlists and lists of
#: files (they name other files, also of this machine), pictures, streams without a container.
ENDINGS = {
    'mov': '.mp4', 'mp4': '.mp4', 'matroska': '.mkv', 'webm': '.mkv', 'avi': '.avi', 'mpegts': '.ts', 'mpeg': '.mpg',
    'asf': '.wmv', 'flv': '.flv', 'ogg': '.ogv',
}  # fmt: skip
KINDS = 'MP4, MOV, MKV, WebM, AVI, MPEG-TS, MPEG-PS, WMV, FLV or OGV'


@dataclass(frozen=True)
class ServiceSettings:
    """Limits and folders of the service.

    Attributes:
        data (Path): Folder of jobs and results.
        max_bytes (int): Largest video, in bytes.
        max_duration_s (float): Longest video, in seconds.
        max_waiting (int): Most jobs that wait, are scored or are being uploaded.
        job_limit_s (float): Longest time in which one video is scored, in seconds.
        job_memory (int): Most memory that one video takes in addition to the model, in bytes.
        upload_limit_s (float): Longest upload, in seconds.
        idle_limit_s (float): Longest pause in an upload, in seconds.
        check_limit_s (float): Longest check of an upload's content, in seconds.
        start_limit_s (float): Longest time in which the model loads, in seconds.
        keep_s (float | None): Time after which an ended job is deleted, in seconds; None keeps it.
        free_bytes (int): Free disk space below which uploads are refused, in bytes.
        watch (Path | None): Folder of a run of ``tools/watch.py``, for the wall page.
    """

    data: Path
    max_bytes: int = 2 * 2**30
    max_duration_s: float = 4 * 3600.0
    max_waiting: int = 100
    job_limit_s: float = 3600.0
    job_memory: int = 4 * 2**30
    upload_limit_s: float = 1800.0
    idle_limit_s: float = 30.0
    check_limit_s: float = 30.0
    start_limit_s: float = 600.0
    keep_s: float | None = None
    free_bytes: int = 2**30
    watch: Path | None = None
