import numpy as np
from mmcv.transforms import BaseTransform

from ...registry import TRANSFORMS
from ...utils.errors import ConfigError
from ..video.sampled_frames import in_slots
from .random_generator import new_generator

MODES = ('uniform', 'jitter', 'dense')


@TRANSFORMS.register_module()
class SampleClip(BaseTransform):
    """Choose ``num_frames`` of a clip's frames.

    ``uniform`` takes the middle frames of equal slots, ``jitter`` a random frame of each slot, and ``dense`` a window
    of frames at a fixed distance, placed at random or, with ``random_start=False``, in the middle. A clip with fewer
    frames than slots repeats some.

    Required keys: frames, frame_inds, times, duration

    Added keys: clip_window (tuple of floats: start and end of the chosen frames, in seconds from the clip's start)

    Modified keys: frames (shape (T, H, W, 3)), frame_inds, times

    Args:
        num_frames: T, >= 1.
        mode: See above.
        frame_interval: Distance of frames in a dense window, counted in the clip's frames (a prepared clip may have
            fewer than the video), >= 1.
        random_start: Whether a dense window is placed at random.

    Raises:
        ConfigError: An option has an invalid value.
    """

    def __init__(
        self, num_frames: int, mode: str = 'uniform', frame_interval: int = 1, random_start: bool = True
    ) -> None:
        if mode not in MODES:
            raise ConfigError(f'SampleClip: there is no mode {mode!r}. Known: {", ".join(MODES)}')
        for name, value in dict(num_frames=num_frames, frame_interval=frame_interval).items():
            if not isinstance(value, int) or value < 1:
                raise ConfigError(f'SampleClip: {name} must be a whole number >= 1, not {value!r}')
        self.num_frames = num_frames
        self.mode = mode
        self.frame_interval = frame_interval
        self.random_start = random_start

    def transform(self, results: dict) -> dict:
        total, times, duration = len(results['frames']), results['times'], results['duration']
        places = self._positions(total)
        step = duration / total
        results['clip_window'] = (0.0, duration)
        if self.mode == 'dense':
            results['clip_window'] = (
                max(float(times[places[0]]) - step / 2, 0.0),
                min(float(times[places[-1]]) + step / 2, duration),
            )
        results['frames'] = results['frames'][places]
        results['frame_inds'] = results['frame_inds'][places]
        results['times'] = times[places]
        return results

    def _positions(self, total: int) -> np.ndarray:
        if self.mode == 'dense':
            last = max(total - (self.num_frames - 1) * self.frame_interval - 1, 0)
            start = int(new_generator().integers(last + 1)) if self.random_start else last // 2
            return np.minimum(start + np.arange(self.num_frames) * self.frame_interval, total - 1)
        middle = np.full(self.num_frames, 0.5)
        places = middle if self.mode == 'uniform' else new_generator().random(self.num_frames)
        return in_slots(self.num_frames, total, places)

    def __repr__(self) -> str:
        return f'{type(self).__name__}(num_frames={self.num_frames}, mode={self.mode!r})'
