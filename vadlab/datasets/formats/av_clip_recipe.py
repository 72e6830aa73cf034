"""Selection and size of the frames that are kept of a clip."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from vadlab.utils.errors import ConfigError, DataError

if TYPE_CHECKING:
    from ..video import VideoIndex


@dataclass(frozen=True)
class FrameRecipe:
    """Parameters of the frames of a clip.

    Attributes:
        num_frames (int): Number of frames kept per clip: the middle frames of as many equal parts; a shorter clip
            repeats some. With ``fps`` set, the maximum.
        fps (float | None): Keep frames at this rate instead, so that motion has the same speed in short and long clips.
        height (int): In pixels.
        width (int): In pixels. The aspect ratio is not kept, so an animal at the edge stays in the picture.
        interpolation (str): ``bilinear``, ``bicubic`` or ``area``.

    Raises:
        ConfigError: An option has an invalid value.
    """

    num_frames: int = 32
    fps: float | None = None
    height: int = 224
    width: int = 224
    interpolation: str = 'bilinear'

    def __post_init__(self) -> None:
        from ..video.read_frames import INTERPOLATIONS  # here, since it loads PyAV: the defaults are read without it

        for name in ('num_frames', 'height', 'width'):
            if not isinstance(getattr(self, name), int) or getattr(self, name) < 1:
                raise ConfigError(f'FrameRecipe: {name} must be a whole number >= 1, not {getattr(self, name)!r}')
        if self.fps is not None and not self.fps > 0:
            raise ConfigError(f'FrameRecipe: fps must be > 0, not {self.fps!r}')
        if self.interpolation not in INTERPOLATIONS:
            raise ConfigError(
                f'FrameRecipe: there is no interpolation {self.interpolation!r}. Known: {", ".join(INTERPOLATIONS)}'
            )


@dataclass(frozen=True, eq=False)
class AVClipPlan:
    """Frames, times and length of a clip, computed from the index of its video.

    Attributes:
        frame_inds (np.ndarray): Frames of the video to keep, int64, shape (S,), ascending, possibly with repeats.
        times (np.ndarray): Their presentation times, in seconds from the start of the clip, float64, shape (S,).
        num_frames (int): Frames of the clip in the video.
        duration (float): In seconds, > 0.
        fps (float): Frames per second of the video.
    """

    frame_inds: np.ndarray
    times: np.ndarray
    num_frames: int
    duration: float
    fps: float


def plan_av_clip(
    index: VideoIndex, recipe: FrameRecipe, start: float | None = None, end: float | None = None
) -> AVClipPlan:
    """Choose a clip's frames.

    Args:
        index (VideoIndex): Index of the video.
        recipe (FrameRecipe): Number and rate of frames.
        start (float | None): In seconds from the first frame; None for the video's start.
        end (float | None): In seconds, excluded; None, or a time beyond the video, for its end.

    Raises:
        DataError: The clip begins after the video's end, or contains no frame.
    """
    begin, stop = start or 0.0, min(index.duration_s if end is None else end, index.duration_s)
    if begin >= index.duration_s:
        raise DataError(f'{index.path}: the clip begins at {begin:g} s, but the video ends at {index.duration_s:.2f} s')
    shown = index.frame_times
    # Tolerance of half a millisecond: times in metadata are rounded.
    first, last = np.searchsorted(shown, [begin - 5e-4, stop - 5e-4])
    total = int(last - first)
    if total < 1:
        raise DataError(f'{index.path}: no frame is shown from {begin:g} to {stop:g} s')
    wanted = recipe.num_frames
    if recipe.fps is not None:
        wanted = int(np.clip(round((stop - begin) * recipe.fps), 1, recipe.num_frames))
        places = begin + (np.arange(wanted) + 0.5) / recipe.fps
        inds = np.clip(np.searchsorted(shown, places, side='right') - 1, first, last - 1)
    else:
        inds = first + ((np.arange(wanted) + 0.5) * total / wanted).astype(np.int64)
    return AVClipPlan(inds.astype(np.int64), shown[inds] - begin, total, stop - begin, index.fps)
