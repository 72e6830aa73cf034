import numpy as np

from vadlab.utils.errors import ConfigError

TAILS = ('drop', 'pad', 'shift')


class SnippetPlan:
    """The frames of each snippet of a video.

    Snippet s covers the frames ``s * stride`` to ``s * stride + snippet_len - 1``. Public sets of 16 frames have
    floor(N / 16) snippets: the remaining frames at the end are not used.

    Args:
        snippet_len (int): Frames that a snippet covers, >= 1.
        stride (int | None): Frames between the starts of two snippets; ``snippet_len`` by default.
        frames (str | int): Frames of a snippet that are encoded: ``all``; ``middle`` (frame 8 of 0..15); ``first``; or
            a number of evenly spaced frames, each in the middle of its part.
        tail (str): An incomplete last snippet. ``drop``: it is dropped, unless it is the only one. ``pad``: the last
            frame of the video is repeated. ``shift``: it is moved back to end with the video.

    Raises:
        ConfigError: A value is out of range.

    Example:
        >>> SnippetPlan(16, frames='middle').frame_inds(40)
        array([[ 8],
               [24]])
    """

    def __init__(
        self, snippet_len: int = 16, stride: int | None = None, frames: str | int = 'middle', tail: str = 'drop'
    ) -> None:
        stride = snippet_len if stride is None else stride
        if snippet_len < 1 or stride < 1:
            raise ConfigError(f'SnippetPlan: snippet_len={snippet_len} and stride={stride} must be at least 1.')
        if tail not in TAILS:
            raise ConfigError(f'SnippetPlan: tail={tail!r} is not one of {", ".join(TAILS)}.')
        self.snippet_len = snippet_len
        self.stride = stride
        self.tail = tail
        self.offsets = self._offsets(frames)

    def _offsets(self, frames: str | int) -> np.ndarray:
        if frames == 'all':
            return np.arange(self.snippet_len)
        if frames == 'first':
            return np.array([0])
        count = 1 if frames == 'middle' else frames
        if not isinstance(count, int) or isinstance(count, bool) or not 1 <= count <= self.snippet_len:
            raise ConfigError(
                f'SnippetPlan: frames={frames!r}; give all, middle, first, or a number from 1 to {self.snippet_len}.'
            )
        return ((np.arange(count) + 0.5) * self.snippet_len / count).astype(np.int64)

    def count(self, total_frames: int) -> int:
        """Number of snippets of a video with the given number of frames, at least 1."""
        whole = max((total_frames - self.snippet_len) // self.stride + 1, 0)
        covered = (whole - 1) * self.stride + self.snippet_len if whole else 0
        return max(whole + (self.tail != 'drop' and covered < total_frames), 1)

    def frame_inds(self, total_frames: int) -> np.ndarray:
        """Indices of the frames to encode.

        Args:
            total_frames (int): Frames of the video, >= 1.

        Returns:
            np.ndarray: int64, shape (S, F), 0-based, ascending along both axes unless ``stride`` is smaller than
            ``snippet_len``.
        """
        starts = np.arange(self.count(total_frames)) * self.stride
        if self.tail == 'shift':
            starts = np.minimum(starts, max(total_frames - self.snippet_len, 0))
        return np.minimum(starts[:, None] + self.offsets, total_frames - 1)
