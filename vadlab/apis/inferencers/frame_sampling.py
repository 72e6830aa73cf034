"""Which frames of a video a model sees, and at which size: rules of the test pipeline that need no MMEngine."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from vadlab.datasets.video.frame_changes import PIXEL_STEPS
from vadlab.datasets.video.patch_grid import patch_grid
from vadlab.datasets.video.sampled_frames import last_start, middle_of_slots, window_from
from vadlab.utils.errors import ConfigError

#: Frames from one sampled frame to the next, unless the test samples more densely: as of snippet methods.
USUAL_DISTANCE = 16
# Steps that only prepare annotations.
_ANNOTATION_STEPS = ('RegionsToBoxes', 'TokenizeCaptions', 'PackVADInputs')
#: Steps of a test pipeline of a method that embeds frame by frame.
STREAMED_STEPS = frozenset(['ProbeVideo', 'SampleFrames', 'DecodeFrames', *PIXEL_STEPS, *_ANNOTATION_STEPS])


def steps_of_test(config: Mapping[str, Any]) -> list[dict]:
    """Configs of the transforms of the test, in their order."""
    dataset = (config.get('test_dataloader') or {}).get('dataset') or {}
    return [dict(step) for step in dataset.get('pipeline') or []]


class FrameSampling:
    """Chooses the frames of a video that the model sees.

    Args:
        config (Mapping): The experiment.
        distance (int | str): Frames from one sampled frame to the next; ``test``: the frames of the config's test;
            ``auto``: those, or every 16th frame if that is more.

    Raises:
        ConfigError: ``distance`` is not one of these.
    """

    def __init__(self, config: Mapping[str, Any], distance: int | str = 'auto') -> None:
        is_number = isinstance(distance, int) and not isinstance(distance, bool)
        if (is_number and int(distance) < 1) or (not is_number and distance not in ('auto', 'test')):
            raise ConfigError(f'sampling={distance!r}: give auto, test, or N for every Nth frame.')
        self.distance = distance
        self._of_test: Callable[[int], np.ndarray] | None = None
        step = next((step for step in steps_of_test(config) if step['type'] == 'SampleFrames'), None)
        if step is not None:
            self._of_test, self._count = _sampler(step), step['num_frames']
        elif distance == 'test':
            raise ConfigError('sampling=test: the test of this config has no SampleFrames.')

    def __str__(self) -> str:
        count = f'{self._count} frames' if self._of_test else ''
        if self.distance == 'test':
            return f'{count} as in the test'
        usual = USUAL_DISTANCE if self.distance == 'auto' else self.distance
        return f'every {usual}th frame' + (f', at least {count}' if self.distance == 'auto' and count else '')

    def __call__(self, total: int) -> np.ndarray:
        """Sampled frames of a video with ``total`` frames, ascending, repeats possible, int64, shape (T,)."""
        tested = None
        if self._of_test is not None and self.distance in ('auto', 'test'):
            tested = self._of_test(total)
            if self.distance == 'test':
                return tested
        distance = USUAL_DISTANCE if self.distance == 'auto' else int(self.distance)
        count = max(-(-total // distance), 1)
        if tested is not None and len(tested) > count:
            return tested
        return np.minimum(np.arange(count) * distance + distance // 2, total - 1)


def is_random(step: Mapping[str, Any]) -> bool:
    """Whether SampleFrames draws random frames."""
    mode = step.get('mode', 'uniform')
    return mode == 'jitter' or (mode == 'dense' and step.get('random_start', True))


def _sampler(step: dict) -> Callable[[int], np.ndarray]:
    """SampleFrames as a function of the number of frames of a video without regions."""
    count, interval = step['num_frames'], step.get('frame_interval', 1)
    if is_random(step):
        from vadlab.datasets.transforms.sample_frames import SampleFrames

        drawn = SampleFrames(**{k: v for k, v in step.items() if k != 'type'})
        return lambda total: drawn.transform({'total_frames': total, 'regions': []})['frame_inds']
    if step.get('mode', 'uniform') == 'dense':
        return lambda total: window_from(last_start(count, interval, total) // 2, count, interval, total)
    return lambda total: middle_of_slots(count, total)


def frame_size(decode: Mapping[str, Any]) -> tuple[int, int] | Callable[[int, int], tuple[int, int]]:
    """Size of the frames of DecodeFrames, or a function that computes it for a video."""
    size = decode.get('size')
    if size is not None:
        return (size, size) if isinstance(size, int) else (size[0], size[1])
    most, side = decode['max_patches'], decode.get('patch_size', 16)

    def whole_patches(height: int, width: int) -> tuple[int, int]:
        rows, columns = patch_grid(height, width, most)
        return rows * side, columns * side

    return whole_patches
