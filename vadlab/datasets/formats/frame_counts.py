"""Frame counts of videos, and the numbers of snippets that they give."""

from pathlib import Path

from vadlab.utils.errors import DataError
from vadlab.utils.json_file import read_json

from ..video_names import video_id_of

_MOST_FRAMES = 10**8  # 46 days at 25 frames per second


def read_frame_counts(path: str | Path) -> dict[str, int]:
    """Read a JSON file ``{name: number of frames}``.

    Args:
        path (str | Path): The file; names may have folders and a video file's extension.

    Returns:
        dict[str, int]: Frame counts by video id.

    Raises:
        MissingFileError: There is no such file.
        DataError: It is not such JSON, a count is not a whole number from 1 to 100,000,000, or a video is named twice.
    """
    counts = read_json(path, unique_keys=True)
    if not isinstance(counts, dict):
        raise DataError(f'{path}: wanted {{"Abuse028_x264": 1408, ...}}, got a {type(counts).__name__}')
    wrong = [
        name
        for name, n in counts.items()
        if not isinstance(n, int) or isinstance(n, bool) or not 1 <= n <= _MOST_FRAMES
    ]
    if wrong:
        raise DataError(
            f'{path}: {len(wrong)} of {len(counts)} frame counts are not whole numbers from 1 to {_MOST_FRAMES:,} '
            f'(first: {wrong[0]}: {counts[wrong[0]]!r})'
        )
    by_id = {video_id_of(name): n for name, n in counts.items()}
    if len(by_id) != len(counts):
        raise DataError(f'{path} names {len(counts) - len(by_id)} videos twice')
    return by_id


def possible_snippets(num_frames: int, snippet_len: int = 16, is_rounded: bool = False) -> range:
    """Possible numbers of snippets in public feature sets: floor(N/L), ceil(N/L) or floor((N-1)/L), at least one.

    >>> list(possible_snippets(100))
    [6, 7]
    >>> list(possible_snippets(96))
    [5, 6]
    >>> list(possible_snippets(96, is_rounded=True))
    [5, 6, 7]

    Args:
        num_frames (int): N, > 0.
        snippet_len (int): L, frames per snippet, > 0.
        is_rounded (bool): Whether N was rounded down to a multiple of L, so the video may be longer by up to L - 1.
    """
    most = num_frames + (snippet_len - 1 if is_rounded else 0)
    return range(max((num_frames - 1) // snippet_len, 1), max(-(-most // snippet_len), 1) + 1)
