"""A data set of synthetic videos in UCF-Crime's file layout and formats."""

import functools
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from vadlab.utils.errors import ConfigError

from ..common.person import Box
from ..common.scene import Scene, scene_seed
from ..common.video_writer import VideoWriter
from .episode import CLASSES, Episode, scene_kinds
from .events import EVENTS

FPS = 30.0
_KEYFRAME_STEP = 10  # frames; readers interpolate the boxes in between
_NORMAL_SHARE = 0.4
_CHINESE_EVERY = 10  # one video in 10 has Chinese captions
_LONG_EVERY = 40  # one video in 40 is long
_VIDEOS_PER_CAMERA = 4
_MAX_NORMAL_REGIONS = 3
_NORMAL_FOLDERS = {'train': 'Training_Normal_Videos_Anomaly', 'test': 'Testing_Normal_Videos_Anomaly'}


@dataclass(frozen=True)
class VideoPlan:
    """Plan of one video, which determines it completely.

    Attributes:
        split: 'train' or 'test'.
        kind: Class.
        number: Running number within the class, over both splits, as in UCF-Crime.
        scene: Seed of the scene.
        seed: Seed of the episode.
        num_frames: Length.
        chinese: Whether its captions are Chinese.
    """

    split: str
    kind: str
    number: int
    scene: int
    seed: int
    num_frames: int
    chinese: bool

    @property
    def name(self) -> str:
        """File name without its extension."""
        return f'{"Normal_Videos_" if self.kind == "Normal" else self.kind}{self.number:03d}_x264'

    @property
    def path(self) -> Path:
        """Path of the video below the data root."""
        folder = _NORMAL_FOLDERS[self.split] if self.kind == 'Normal' else self.kind
        return Path('Videos') / folder / f'{self.name}.mp4'

    def episode(self) -> Episode:
        """The episode that renders the video."""
        return Episode(_scene(self.scene, scene_kinds(self.kind)), self.kind, self.seed, self.num_frames, FPS)

    def temporal_line(self) -> str:
        """Its line in UCF-Crime's temporal annotation: half-open intervals, -1 for none."""
        numbers = [v for interval in self.episode().intervals() for v in interval]
        numbers += [-1] * (4 - len(numbers))
        return '  '.join([self.name, self.kind, *map(str, numbers)]) + '  '

    def record(self) -> dict:
        """Its record in the region annotation: caption, and keyframed boxes with captions."""
        episode = self.episode()
        rng = np.random.default_rng((self.seed, 17))
        caption = episode.video_caption(rng, self.chinese)
        captions = episode.region_captions(rng, self.chinese)
        spans = episode.intervals() or _uncut(episode)
        if episode.event is None:
            captions = dict(list(captions.items())[:_MAX_NORMAL_REGIONS])
        else:
            captions = {role: text for role, text in captions.items() if role not in episode.bystanders}
        regions = []
        tracks = _tracks(episode, spans)
        for role, text in captions.items():
            keyframes = _keyframes(tracks.get(role, []))
            if keyframes:
                start, end = keyframes[0]['frame'], keyframes[-1]['frame']
                regions.append({'caption': text, 'start_frame': start, 'end_frame': end, 'keyframes': keyframes})
        return {'f_path': self.path.as_posix(), 'global_caption': caption, 'bbox_info': regions}

    def write(self, root: Path) -> bool:
        """Render and encode the video below ``root`` unless the file exists; returns whether it was written."""
        path = root / self.path
        if path.exists():
            return False
        episode = self.episode()
        with VideoWriter(path, FPS) as writer:
            for frame in range(self.num_frames):
                writer.add(episode.render(frame)[0])
        return True


def plan_demo_set(train: int, test: int, seed: int, min_frames: int = 240, max_frames: int = 360) -> list[VideoPlan]:
    """Plan the videos of a data set.

    The splits share no scene, camera or person. Lengths, and the share of normal videos, are the same in both.

    Args:
        train: Number of training videos.
        test: Number of test videos.
        seed: Seed of the data set.
        min_frames: Minimum length of a video.
        max_frames: Maximum length, except for one video in forty, which has over 1000 frames.

    Raises:
        ConfigError: A number is negative, there are no videos, or the lengths are impossible.
    """
    if train < 0 or test < 0 or train + test == 0:
        raise ConfigError(f'A data set needs videos: train={train}, test={test}.')
    if not 60 <= min_frames <= max_frames:
        raise ConfigError(f'Video lengths must be 60 <= min_frames <= max_frames, not {min_frames}, {max_frames}.')
    plans: list[VideoPlan] = []
    counts = dict.fromkeys(CLASSES, 0)
    for split, total in (('train', train), ('test', test)):
        rng = np.random.default_rng((seed, 19, ('train', 'test').index(split)))
        cameras = rng.integers(2**29, size=max(total // _VIDEOS_PER_CAMERA, 1)).tolist()
        normal = round(_NORMAL_SHARE * total)
        kinds = ['Normal'] * normal + [list(EVENTS)[i % len(EVENTS)] for i in range(total - normal)]
        for i, kind in enumerate(kinds):
            counts[kind] += 1
            long = i % _LONG_EVERY == _LONG_EVERY // 2
            plans.append(
                VideoPlan(
                    split=split,
                    kind=kind,
                    number=counts[kind],
                    scene=scene_seed(split, cameras[int(rng.integers(len(cameras)))]),
                    seed=int(rng.integers(2**62)),
                    num_frames=int(rng.integers(1001, 1500) if long else rng.integers(min_frames, max_frames + 1)),
                    chinese=i % _CHINESE_EVERY == _CHINESE_EVERY - 1,
                )
            )
    return plans


@functools.lru_cache(maxsize=32)
def _scene(seed: int, kinds: tuple[str, ...]) -> Scene:
    return Scene.make(seed, kinds)


def _uncut(episode: Episode) -> list[tuple[int, int]]:
    """Intervals of a normal video between its cuts."""
    cuts = sorted({0, episode.cut or 0, episode.num_frames})
    return [(a, b) for a, b in zip(cuts, cuts[1:], strict=False)]


def _tracks(episode: Episode, spans: list[tuple[int, int]]) -> dict[str, list[list[tuple[int, Box]]]]:
    """Per role, runs of (frame, box) in which it is visible, sampled every few frames."""
    tracks: dict[str, list[list[tuple[int, Box]]]] = {}
    for start, end in spans:
        open_runs: dict[str, list[tuple[int, Box]]] = {}
        for frame in sorted({*range(start, end, _KEYFRAME_STEP), end - 1}):
            boxes = episode.render(frame)[1]
            for role in list(open_runs):
                if role not in boxes:
                    del open_runs[role]
            for role, box in boxes.items():
                if role not in open_runs:
                    open_runs[role] = []
                    tracks.setdefault(role, []).append(open_runs[role])
                open_runs[role].append((frame, box))
    return tracks


def _keyframes(runs: list[list[tuple[int, Box]]]) -> list[dict]:
    """Keyframes of a region; the last one of each run is not enabled."""
    keyframes = []
    for run in runs:
        if len(run) < 2:
            continue
        for i, (frame, box) in enumerate(run):
            rounded = [round(v, 4) for v in box]
            keyframes.append({'frame': frame, 'bbox': rounded, 'enabled': i < len(run) - 1})
    return keyframes
