import numpy as np

from vadlab.utils.errors import ConfigError

TAILS = ('drop', 'pad', 'shift')


class SnippetPlan:
    """Which frames of a video make which snippet.

    Snippet s covers the frames ``s * stride`` to ``s * stride + snippet_len - 1``. Public sets of 16 frames have
    floor(N / 16) of them: what is left at the end belongs to none.

    Args:
        snippet_len (int): Frames that a snippet covers, >= 1.
        stride (int | None): Frames from one snippet's start to the next one's; ``snippet_len`` by default.
        frames (str | int): Which of them the backbone sees: ``all``; ``middle`` (frame 8 of 0..15); ``first``; or a
            number of evenly spaced ones, each in the middle of its share.
        tail (str): The last snippet, where the video ends within it. ``drop``: none, unless it is the video's only one.
            ``pad``: the video's last frame is repeated. ``shift``: it is moved back to end with the video.

    Raises:
        ConfigError: A value out of range.

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
            raise ConfigError(f'SnippetPlan: tail={tail!r} is none of {", ".join(TAILS)}.')
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
        """Snippets of a video of so many frames, at least 1."""
        whole = max((total_frames - self.snippet_len) // self.stride + 1, 0)
        covered = (whole - 1) * self.stride + self.snippet_len if whole else 0
        return max(whole + (self.tail != 'drop' and covered < total_frames), 1)

    def frame_inds(self, total_frames: int) -> np.ndarray:
        """Frames that the backbone sees.

        Args:
            total_frames (int): Of the video, >= 1.

        Returns:
            np.ndarray: int64, shape (S, F), 0-based, ascending along both axes unless ``stride`` is smaller than
            ``snippet_len``.
        """
        starts = np.arange(self.count(total_frames)) * self.stride
        if self.tail == 'shift':
            starts = np.minimum(starts, max(total_frames - self.snippet_len, 0))
        return np.minimum(starts[:, None] + self.offsets, total_frames - 1)
