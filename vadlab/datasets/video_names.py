"""Names of video files: their extensions, and the ids of videos in annotations and features."""

import re

#: Extensions of video files, in lower case.
VIDEO_ENDINGS = (
    '.mp4', '.avi', '.mkv', '.mov', '.webm', '.m4v', '.mpg', '.mpeg', '.ts', '.wmv', '.flv', '.3gp',
)  # fmt: skip


def video_id_of(name: str) -> str:
    r"""Id of a video: its name without folders and without a video file's extension; other dots are kept.

    >>> video_id_of('G:\\UCF\\Abuse\\Abuse001_x264.MPG')
    'Abuse001_x264'
    """
    stem = re.split(r'[/\\]', name)[-1]
    for ending in VIDEO_ENDINGS:
        if stem.lower().endswith(ending):
            return stem[: -len(ending)]
    return stem
