"""Names of video files: their endings, and the ids that annotations and features know videos by."""

import re

#: What ends the name of a video file, in lower case.
VIDEO_ENDINGS = (
    '.mp4', '.avi', '.mkv', '.mov', '.webm', '.m4v', '.mpg', '.mpeg', '.ts', '.wmv', '.flv', '.3gp',
)  # fmt: skip


def video_id_of(name: str) -> str:
    r"""The name of a video without its folders and without a video file's ending; other dots are kept.

    >>> video_id_of('G:\\UCF\\Abuse\\Abuse001_x264.MPG')
    'Abuse001_x264'
    """
    stem = re.split(r'[/\\]', name)[-1]
    for ending in VIDEO_ENDINGS:
        if stem.lower().endswith(ending):
            return stem[: -len(ending)]
    return stem
