"""Names of video files: their extensions, and the ids of videos in annotations and features."""

#: Extensions of video files, in lower case.
VIDEO_ENDINGS = (
    '.mp4', '.avi', '.mkv', '.mov', '.webm', '.m4v', '.mpg', '.mpeg', '.ts', '.wmv', '.flv', '.3gp',
)  # fmt: skip


def video_id_of(name: str) -> str:
    r"""Id of a video: its name without folders and without a video file's extension; other dots are kept.

    >>> video_id_of('G:\\UCF\\Abuse\\Abuse001_x264.MPG')
    'Abuse001_x264'
    """
    stem = name.replace('\\', '/').rpartition('/')[2]
    if not stem.lower().endswith(VIDEO_ENDINGS):
        return stem
    return next(stem[: -len(ending)] for ending in VIDEO_ENDINGS if stem.lower().endswith(ending))


def path_parts(path: str) -> tuple[str, ...]:
    r"""Folders and file name of a path, split at slashes and backslashes, as ``PurePosixPath.parts`` but faster.

    >>> path_parts('/a/./b\\c//d.npy')
    ('/', 'a', 'b', 'c', 'd.npy')
    """
    path = path.replace('\\', '/')
    parts = tuple(part for part in path.split('/') if part and part != '.')
    if not path.startswith('/'):
        return parts
    return ('//' if path.startswith('//') and not path.startswith('///') else '/', *parts)
