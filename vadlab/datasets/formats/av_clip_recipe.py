"""Which frames of a clip are kept, and at which size."""

from dataclasses import dataclass

import numpy as np

from vadlab.utils.errors import ConfigError, DataError

from ..video import VideoIndex
from ..video.read_frames import INTERPOLATIONS


@dataclass(frozen=True)
class FrameRecipe:
    """How a clip becomes frames.

    Attributes:
        num_frames (int): Frames kept of each clip: the middle ones of as many equal parts; a shorter clip repeats
            some. With ``fps`` set, the most that are kept.
        fps (float | None): Keep frames at this rate instead, so that motion has one speed in short and in long clips.
        height (int): In pixels.
        width (int): In pixels. The aspect ratio is not kept: an animal at the edge stays in the picture.
        interpolation (str): ``bilinear``, ``bicubic`` or ``area``.

    Raises:
        ConfigError: An option that cannot be.
    """

    num_frames: int = 32
    fps: float | None = None
    height: int = 224
    width: int = 224
    interpolation: str = 'bilinear'

    def __post_init__(self) -> None:
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
    """What is known of a clip once its video is indexed.

    Attributes:
        frame_inds (np.ndarray): Frames to keep, of the video, int64, shape (S,), ascending, possibly with repeats.
        times (np.ndarray): When they are shown, in seconds from the start of the clip, float64, shape (S,).
        num_frames (int): Frames of the clip in the video.
        duration (float): In seconds, > 0.
        fps (float): Of the video.
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
        index (VideoIndex): Of the video.
        recipe (FrameRecipe): See there.
        start (float | None): In seconds from the first frame; None for the beginning.
        end (float | None): In seconds, not included; None, or beyond the video, for its end.

    Raises:
        DataError: The clip begins after the video's end, or lies between two frames.
    """
    begin, stop = start or 0.0, min(index.duration_s if end is None else end, index.duration_s)
    if begin >= index.duration_s:
        raise DataError(f'{index.path}: the clip begins at {begin:g} s, but the video ends at {index.duration_s:.2f} s')
    shown = index.frame_times
    # Half a millisecond of grace: times in metadata are rounded.
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
