"""A data set of synthetic videos in UCF-Crime's file layout and formats."""

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from vadlab.utils.errors import ConfigError

from ..common.person import Box
from ..common.scene import Scene, scene_seed
from ..common.video_writer import VideoWriter
from .captions import EMPTY, PLACES
from .empty_box import empty_box
from .episode import Episode, scene_kinds
from .negatives import hard_negatives
from .story import STORIES
from .wording import Namer

FPS = 15.0
# Minimum and maximum length of the videos of a story, frames. Snippets of 16 frames need longer ones.
FRAMES = {'events': (72, 108), 'motion': (144, 208)}
_KEYFRAME_STEP = 5  # frames; readers interpolate the boxes in between
_NORMAL_SHARE = 0.4
_CHINESE_EVERY = 20  # one video in 20 has Chinese captions
_LONG_EVERY = 40  # one video in 40 is long
_VIDEOS_PER_CAMERA = 4
_LONG_FRAMES = (301, 400)
_MAX_BYSTANDERS = 2  # with a region
_NEGATIVES = 3  # hard negatives per region
_EMPTY_PLACES = 2  # with a region
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
        story: Key of :data:`STORIES`.
    """

    split: str
    kind: str
    number: int
    scene: int
    seed: int
    num_frames: int
    chinese: bool
    story: str = 'events'

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
        return Episode(
            _scene(self.scene, scene_kinds(self.kind)), self.kind, self.seed, self.num_frames, FPS, self.story
        )

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
        phrases = episode.phrases(rng, self.chinese)
        spans = episode.intervals() or _uncut(episode)
        tracks = _tracks(episode, spans)
        event = [role for role in phrases if role not in episode.bystanders]
        others = [role for role in phrases if role in episode.bystanders] if self.split == 'train' else []
        rng.shuffle(event)
        rng.shuffle(others)
        regions: list[dict] = []
        for role in event + others:
            phrase, keyframes = phrases[role], _keyframes(tracks.get(role, []))
            if keyframes and len(regions) < len(event) + _MAX_BYSTANDERS:
                region = {'caption': phrase.clause(), **_span_of(keyframes), 'keyframes': keyframes}
                if not self.chinese:
                    negatives = hard_negatives(phrase, rng, _NEGATIVES)
                    region |= {'short_expr_negs': {str(i): text for i, text in enumerate(negatives)}}
                regions.append({**region, 'flag_short_neg': 0 if self.chinese else 1})
        if self.split == 'train' and not self.chinese:
            regions += self._empty_places(episode, spans, tracks, rng)
        return {'f_path': self.path.as_posix(), 'global_caption': caption, 'bbox_info': regions}

    def _empty_places(
        self,
        episode: Episode,
        spans: list[tuple[int, int]],
        tracks: dict[str, list[list[tuple[int, Box]]]],
        rng: np.random.Generator,
    ) -> list[dict]:
        """Regions in which nothing is and nobody comes; their captions name the place only."""
        start, end = max(spans, key=lambda span: span[1] - span[0])
        taken = [box for runs in tracks.values() for run in runs for frame, box in run if start <= frame < end]
        found = []
        for _ in range(_EMPTY_PLACES):
            box = empty_box(taken, rng, attempts=40)
            if box is not None:
                caption = f'{EMPTY} {Namer(rng).pick(*PLACES[episode.scene.kind][0])}'
                keyframes = _keyframes([[(start, box), (end - 1, box)]])
                found.append({'caption': caption, **_span_of(keyframes), 'keyframes': keyframes, 'flag_short_neg': 0})
        return found

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


def plan_demo_set(
    train: int,
    test: int,
    seed: int,
    min_frames: int | None = None,
    max_frames: int | None = None,
    story: str = 'events',
    classes: Sequence[str] | None = None,
) -> list[VideoPlan]:
    """Plan the videos of a data set.

    The splits share no scene, camera or person. Lengths, and the share of normal videos, are the same in both.

    Args:
        train: Number of training videos.
        test: Number of test videos.
        seed: Seed of the data set.
        min_frames: Minimum length of a video; by default that of :data:`FRAMES`.
        max_frames: Maximum length, except for one video in forty, which has over 300 frames.
        story: Key of :data:`STORIES`.
        classes: Classes of the videos, by default all of the story; normal videos always have their share.

    Raises:
        ConfigError: A number is negative, there are no videos, the lengths are impossible, or the story or a class is
            unknown.
    """
    if train < 0 or test < 0 or train + test == 0:
        raise ConfigError(f'A data set needs videos: train={train}, test={test}.')
    if story not in STORIES:
        raise ConfigError(f'The simulator has no story {story!r}; known: {", ".join(STORIES)}.')
    if unknown := set(classes or ()) - set(STORIES[story].classes):
        raise ConfigError(
            f'The story {story!r} has no class {min(unknown)!r}; known: {", ".join(STORIES[story].classes)}.'
        )
    min_frames, max_frames = (
        b if a is None else a for a, b in zip((min_frames, max_frames), FRAMES[story], strict=True)
    )
    if not 60 <= min_frames <= max_frames:
        raise ConfigError(f'Video lengths must be 60 <= min_frames <= max_frames, not {min_frames}, {max_frames}.')
    plans: list[VideoPlan] = []
    events = [name for name in STORIES[story].events if classes is None or name in classes]
    if not events:
        raise ConfigError(f'A data set needs an anomalous class; known: {", ".join(STORIES[story].events)}.')
    counts = dict.fromkeys(STORIES[story].classes, 0)
    for split, total in (('train', train), ('test', test)):
        rng = np.random.default_rng((seed, 19, ('train', 'test').index(split)))
        cameras = rng.integers(2**29, size=max(total // _VIDEOS_PER_CAMERA, 1)).tolist()
        normal = round(_NORMAL_SHARE * total)
        kinds = ['Normal'] * normal + [events[i % len(events)] for i in range(total - normal)]
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
                    num_frames=int(rng.integers(*_LONG_FRAMES) if long else rng.integers(min_frames, max_frames + 1)),
                    chinese=i % _CHINESE_EVERY == _CHINESE_EVERY - 1,
                    story=story,
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


def _span_of(keyframes: list[dict]) -> dict[str, int]:
    return {'start_frame': keyframes[0]['frame'], 'end_frame': keyframes[-1]['frame']}


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
