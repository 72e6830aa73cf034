"""Windows of a video: which frames a question is about."""

from typing import NamedTuple

import numpy as np

from vadlab.registry import MODELS
from vadlab.utils.errors import ConfigError

_CHOICES = ('middles', 'starts', 'both_ends', 'change')
_CENTRES = ('middle', 'start')


class Window(NamedTuple):
    """One window.

    Attributes:
        start (int): First frame that gets the window's score.
        end (int): One past the last one.
        frame_inds (tuple[int, ...]): Frames that are shown, ascending, in 0..N-1. They may be outside ``start..end``,
            since a window that overlaps its neighbours shows more than the frames that it scores.
    """

    start: int
    end: int
    frame_inds: tuple[int, ...]


@MODELS.register_module()
class Windows:
    """Splits a video into blocks of ``stride`` frames, and chooses the frames that are shown for each.

    The frames come from a span around the block. It is cut at the ends of the video.

    Args:
        stride (int): Frames per block; each block gets one score.
        span (int | None): Frames of the span; None for the block itself.
        num_frames (int): Frames that are shown.
        choose (str): The span is divided into ``num_frames`` equal parts. ``middles``: the middle of each part;
            ``starts``: its first frame (VERA); ``change``: the frame of each part that differs most from the one
            before it.
            ``both_ends``: evenly from the first frame of the span to the last, without parts (LAVAD).
        centre (str): The span is centred on the ``middle`` or on the ``start`` (VERA, LAVAD) of the block.

    Raises:
        ConfigError: An option has an invalid value.
    """

    def __init__(
        self, stride: int = 16, span: int | None = None, num_frames: int = 1, choose: str = 'middles',
        centre: str = 'middle',
    ) -> None:  # fmt: skip
        if stride < 1 or num_frames < 1 or (span is not None and span < 1):
            raise ConfigError('Windows: stride, span and num_frames must be whole numbers >= 1')
        if choose not in _CHOICES:
            raise ConfigError(f'Windows: choose={choose!r}; choose one of {", ".join(_CHOICES)}')
        if centre not in _CENTRES:
            raise ConfigError(f'Windows: centre={centre!r}; choose one of {", ".join(_CENTRES)}')
        self.stride, self.span, self.num_frames, self.choose, self.centre = stride, span, num_frames, choose, centre

    @property
    def needs_change(self) -> bool:
        """Whether :meth:`__call__` needs the change of every frame."""
        return self.choose == 'change'

    def count(self, total_frames: int) -> int:
        """Number of windows of a video."""
        return -(-total_frames // self.stride)

    def __call__(self, total_frames: int, change: np.ndarray | None = None) -> list[Window]:
        """Windows of a video.

        Args:
            total_frames (int): N > 0.
            change (np.ndarray | None): How much each frame differs from the one before it, shape (N,), for
                ``choose='change'``.

        Returns:
            list[Window]: In the order of time; together their blocks are the whole video.
        """
        windows = []
        for start in range(0, total_frames, self.stride):
            end = min(start + self.stride, total_frames)
            first, last = start, end
            if self.span is not None:
                first = (start if self.centre == 'start' else (start + end) // 2) - self.span // 2
                first, last = max(first, 0), min(first + self.span, total_frames)
            windows.append(Window(start, end, self._frames(first, last, change)))
        return windows

    def whole(self, total_frames: int, change: np.ndarray | None = None) -> Window:
        """One window over the whole video."""
        return Window(0, total_frames, self._frames(0, total_frames, change))

    def _frames(self, first: int, last: int, change: np.ndarray | None) -> tuple[int, ...]:
        """Frames to show of ``first..last - 1``, distinct and ascending."""
        if self.choose == 'both_ends':
            inds = first + np.linspace(0, last - first - 1, min(self.num_frames, last - first), dtype=int)
            return tuple(dict.fromkeys(inds.tolist()))
        edges = np.linspace(first, last, self.num_frames + 1)
        if self.choose == 'starts':
            inds = edges[:-1].astype(int)
        elif self.choose == 'middles':
            inds = ((edges[:-1] + edges[1:]) / 2).astype(int)
        else:
            assert change is not None
            bounds = edges.astype(int)
            inds = np.array(
                [a + int(np.argmax(change[a : max(b, a + 1)])) for a, b in zip(bounds[:-1], bounds[1:], strict=True)]
            )
        return tuple(dict.fromkeys(np.clip(inds, first, last - 1).tolist()))
