import numpy as np
from mmcv.transforms import BaseTransform

from ...registry import TRANSFORMS
from ...utils.errors import ConfigError
from ..formats.keyframes import shown_spans
from ..video.sampled_frames import in_slots, last_start, window_from
from .random_generator import new_generator

MODES = ('uniform', 'jitter', 'dense')


@TRANSFORMS.register_module()
class SampleFrames(BaseTransform):
    """Choose ``num_frames`` frames of a video, with a minimum number inside each region.

    ``uniform`` takes the middle frames of equal slots, ``jitter`` a random frame of each slot, and ``dense`` a window
    of frames at a fixed distance, placed at random (over a region, if there is one) or, with ``random_start=False``, in
    the middle. A video with fewer frames than slots repeats some.

    In the first two modes each region gets at least ``min_region_frames`` of the frames in which it is shown (all of
    them if it has fewer). Missing frames are added at even distances inside the region, and the same number of other
    frames is removed where frames are closest. If regions need more frames than there are, they share them evenly.

    Required keys: total_frames, regions

    Added keys: frame_inds (int64, shape (T,), ascending), candidate_inds (int64, shape (S,), ascending, distinct: all
    frames that can be chosen for this video; absent if that is every frame)

    Args:
        num_frames: T, >= 1.
        mode: ``uniform``, ``jitter`` or ``dense``.
        min_region_frames: See above; 0 turns it off.
        frame_interval: Distance of frames in a dense window, >= 1.
        random_start: Whether a dense window is placed at random.
        candidates: In ``jitter``, draw from this number of fixed frames per slot (such as 4), so that a frame cache can
            hold all of them; None draws from all frames.

    Raises:
        ConfigError: An option has an invalid value.
    """

    def __init__(
        self,
        num_frames: int,
        mode: str = 'uniform',
        min_region_frames: int = 4,
        frame_interval: int = 1,
        random_start: bool = True,
        candidates: int | None = None,
    ) -> None:
        if mode not in MODES:
            raise ConfigError(f'SampleFrames: there is no mode {mode!r}. Known: {", ".join(MODES)}')
        least = dict(num_frames=(num_frames, 1), frame_interval=(frame_interval, 1))
        least |= dict(min_region_frames=(min_region_frames, 0), candidates=(1 if candidates is None else candidates, 1))
        for name, (value, minimum) in least.items():
            if not isinstance(value, int) or value < minimum:
                raise ConfigError(f'SampleFrames: {name} must be a whole number >= {minimum}, not {value!r}')
        self.num_frames = num_frames
        self.mode = mode
        self.min_region_frames = min_region_frames
        self.frame_interval = frame_interval
        self.random_start = random_start
        self.candidates = candidates

    def transform(self, results: dict) -> dict:
        total = results['total_frames']
        spans = [np.minimum(shown_spans(region), total) for region in results['regions']]
        shown = [np.concatenate([np.arange(s, e) for s, e in region]) for region in spans if len(region)]
        shown = [frames for frames in shown if len(frames)]
        if self.mode == 'dense':
            results['frame_inds'] = self._window(total, shown)
            return results

        def draw(n_slots: int, n_frames: int) -> np.ndarray:
            return in_slots(n_slots, n_frames, self._draw(n_slots))

        base = draw(self.num_frames, total)
        additions = [
            frames[draw(min(self.min_region_frames, len(frames)), len(frames))]
            if self.min_region_frames
            else frames[:0]
            for frames in shown
        ]
        results['frame_inds'] = ensure_region_frames(base, shown, additions)
        if self.mode == 'uniform':
            results['candidate_inds'] = np.unique(results['frame_inds'])
        elif self.candidates is not None:
            results['candidate_inds'] = self._all_candidates(total, shown)
        return results

    def _draw(self, n_slots: int) -> np.ndarray:
        """A position 0..1 within each slot."""
        if self.mode == 'uniform':
            return np.full(n_slots, 0.5)
        generator = new_generator()
        if self.candidates is None:
            return generator.random(n_slots)
        return (generator.integers(self.candidates, size=n_slots) + 0.5) / self.candidates

    def _all_candidates(self, total: int, shown: list[np.ndarray]) -> np.ndarray:
        assert self.candidates is not None
        places = (np.arange(self.candidates) + 0.5) / self.candidates
        inds = [in_slots(self.num_frames, total, np.full(self.num_frames, u)) for u in places]
        for frames in shown:
            n_slots = min(self.min_region_frames, len(frames))
            inds += [frames[in_slots(n_slots, len(frames), np.full(n_slots, u))] for u in places]
        return np.unique(np.concatenate(inds))

    def _window(self, total: int, shown: list[np.ndarray]) -> np.ndarray:
        length = (self.num_frames - 1) * self.frame_interval + 1
        last = last_start(self.num_frames, self.frame_interval, total)
        start = last // 2
        if self.random_start:
            generator = new_generator()
            low, high = 0, last
            if shown and self.min_region_frames:
                frames = shown[generator.integers(len(shown))]
                reach = min(self.min_region_frames, self.num_frames) * self.frame_interval
                low = int(np.clip(frames[0] + reach - length, 0, last))
                high = int(np.clip(frames[-1] + 1 - reach, low, last))
            start = int(generator.integers(low, high + 1))
        return window_from(start, self.num_frames, self.frame_interval, total)

    def __repr__(self) -> str:
        return (
            f'{type(self).__name__}(num_frames={self.num_frames}, mode={self.mode!r}, '
            f'min_region_frames={self.min_region_frames})'
        )


def ensure_region_frames(base: np.ndarray, shown: list[np.ndarray], additions: list[np.ndarray]) -> np.ndarray:
    """Replace sampled frames by frames inside regions, without changing their number.

    Args:
        base: Sampled frames, ascending, shape (T,).
        shown: Per region, the frames in which it is shown, ascending.
        additions: Per region, the frames that it gets if sampling gave it none; their number is its minimum.

    Returns:
        int64, ascending, shape (T,).
    """
    picks = []
    for frames, wanted in zip(shown, additions, strict=True):
        have = np.unique(base[np.isin(base, frames)])
        n_needed = len(wanted)
        if len(have) >= n_needed:
            picks.append(have[in_slots(n_needed, len(have), np.full(n_needed, 0.5))].tolist())
            continue
        picked = have.tolist()
        missing = [frame for frame in wanted.tolist() if frame not in picked]
        while missing and len(picked) < n_needed:
            far = max(missing, key=lambda frame: min((abs(frame - other) for other in picked), default=0))
            missing.remove(far)
            picked.append(far)
        picks.append(picked)
    # Regions take turns, so that they share the frames if there are too few for all.
    turns = [pick[i] for i in range(max(map(len, picks), default=0)) for pick in picks if i < len(pick)]
    kept = set(list(dict.fromkeys(turns))[: len(base)])
    chosen = np.sort(np.concatenate([base, np.array(sorted(kept - set(base.tolist())), np.int64)]))
    while len(chosen) > len(base):
        room = np.full(len(chosen), 1e18)  # the first and the last are removed only if no other frame can be
        room[1:-1] = chosen[2:] - chosen[:-2]
        repeated = np.concatenate(([False], chosen[1:] == chosen[:-1]))
        room[np.isin(chosen, list(kept))] = np.inf
        chosen = np.delete(chosen, np.argmin(np.where(repeated, -1, room)))
    return chosen
