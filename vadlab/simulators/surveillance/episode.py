"""One synthetic surveillance video: a scene, ordinary people and perhaps an event, drawn frame by frame on demand."""

import numpy as np

from vadlab.utils.errors import ConfigError

from ..common.person import Box
from ..common.scene import HEIGHT, OUTDOOR, PAINTERS, WIDTH, Scene
from .captions import EMPTY, calm_clause, describe, event_clause, people_clause
from .conditions import Conditions
from .everyday.actor import Actor
from .stage import Stage
from .story import STORIES, event_class
from .wording import Namer, Phrase

_APPROACH_FRAMES = 20
_LATER = 997  # frames between the two sides of a cut


def scene_kinds(kind: str) -> tuple[str, ...]:
    """Kinds of scene in which a class can happen."""
    event = event_class(kind)
    if event is None:
        return tuple(PAINTERS)
    return {'cars': OUTDOOR, 'open air': (*OUTDOOR, 'park'), 'anywhere': tuple(PAINTERS)}[event.where]


class Episode:
    """A synthetic video as a pure function of its seed; frames can be drawn in any order.

    The event covers ``duration`` frames from ``onset``. If it reaches the end of the video, it continues at the start,
    so every position is equally likely to be anomalous and time gives no hint. Outside the event, the same people are
    in the same place. After the event there is a cut to a later, calm time.

    Args:
        scene: Place and camera.
        kind: 'Normal' or a class of the story.
        seed: Seed for everything else.
        num_frames: Length, at least 60.
        fps: Frames per second.
        story: A key of :data:`STORIES`: which events, and for normal videos which ordinary counterparts, can occur.
    """

    def __init__(
        self,
        scene: Scene,
        kind: str,
        seed: int,
        num_frames: int = 150,
        fps: float = 15.0,
        story: str = 'events',
    ) -> None:
        if story not in STORIES:
            raise ConfigError(f'The simulator has no story {story!r}; known: {", ".join(STORIES)}.')
        if kind not in STORIES[story].classes:
            raise ConfigError(f'The simulator has no class {kind!r}; known: {", ".join(STORIES[story].classes)}.')
        if num_frames < 60:
            raise ConfigError(f'A synthetic video needs at least 60 frames, not {num_frames}.')
        if scene.kind not in scene_kinds(kind):
            raise ConfigError(f'{kind} cannot happen in a {scene.kind}; possible: {", ".join(scene_kinds(kind))}.')
        rng = np.random.default_rng((seed, 2))
        self.scene, self.kind, self.seed, self.num_frames, self.fps = scene, kind, seed, num_frames, fps
        self.conditions = Conditions.sample(rng, scene.outdoor or scene.kind == 'park')
        event = event_class(kind)
        self.event = None if event is None else event(scene, rng)
        self.duration = int(rng.uniform(0.35, 0.55) * num_frames)
        self.onset = int(rng.integers(num_frames))
        # Normal videos also have a cut to a later time.
        self.cut = int(rng.integers(num_frames)) if rng.random() < 0.5 else None
        # An event has two or three actors of its own: the number of actors gives no hint.
        people = int(rng.integers(1, 4)) + (0 if self.event else int(rng.integers(1, 3)))
        look_alikes = int(rng.integers(0, 2)) + (0 if self.event else 1)
        cars = int(rng.integers(0, 2)) + int(self.event is None and rng.random() < 0.3)
        taken_x = None if self.event is None else self.event.x
        self.bystanders: dict[str, Actor] = STORIES[story].cast(rng, scene, people, look_alikes, cars, taken_x)

    def progress(self, frame: int) -> float | None:
        """Progress of the event, 0..1, or None in a normal frame."""
        if self.event is None:
            return None
        passed = (frame - self.onset) % self.num_frames
        return passed / self.duration if passed < self.duration else None

    def intervals(self) -> list[tuple[int, int]]:
        """Anomalous frames, half-open and 0-based."""
        if self.event is None:
            return []
        end = self.onset + self.duration
        if end <= self.num_frames:
            return [(self.onset, end)]
        return [(0, end - self.num_frames), (self.onset, self.num_frames)]

    def _stage(self, frame: int) -> Stage:
        stage = Stage(self.scene, frame, self.fps, np.random.default_rng((self.seed, 3, frame)), self.conditions)
        progress = self.progress(frame)
        if self.event is None and self.cut is not None and frame >= self.cut:
            stage.frame += _LATER
        for role, actor in self.bystanders.items():
            actor.draw(stage, role)
        if self.event is not None:
            if progress is None:
                ahead = (self.onset - frame) % self.num_frames
                toward = max(0.0, 1 - ahead / _APPROACH_FRAMES)
                self.event.calm(stage, toward * toward * (3 - 2 * toward))
            else:
                self.event.happen(stage, progress, progress * self.duration / self.fps)
        return stage

    def render(self, frame: int) -> tuple[np.ndarray, dict[str, Box]]:
        """Draw a frame.

        Args:
            frame: 0-based, less than ``num_frames``.

        Returns:
            The frame, RGB uint8 of shape (240, 320, 3), and the box ``xyxyn`` of each role, clipped to the image; roles
            with less than a third of their box in the image are omitted.
        """
        image, boxes = self._stage(frame).shoot()
        return image, {role: b for role, box in boxes.items() if (b := _visible(box)) is not None}

    def _namer(self, rng: np.random.Generator, chinese: bool) -> Namer:
        return Namer(rng, colours=not self.scene.camera.grey, chinese=chinese)

    def phrases(self, rng: np.random.Generator, chinese: bool = False) -> dict[str, Phrase]:
        """One phrase per role that can have a box."""
        name = self._namer(rng, chinese)
        found = {role: actor.phrase(name) for role, actor in self.bystanders.items()}
        return found | (self.event.regions(name) if self.event else {})

    def frame_caption(
        self, frame: int, rng: np.random.Generator, chinese: bool = False, roles: list[str] | None = None
    ) -> str:
        """Caption of one frame: of the event while it happens, else of some actors.

        Args:
            frame: 0-based.
            rng: Source of paraphrases.
            chinese: Whether the caption is Chinese.
            roles: Bystanders that may be told, by default all.
        """
        name = self._namer(rng, chinese)
        if self.event is not None and self.progress(frame) is not None:
            return describe(self.event.tell(name), self.scene.kind, name, self.conditions)
        told = self._some(name, list(self.bystanders) if roles is None else roles)
        what = people_clause(told, name) if told else ('没有人' if chinese else EMPTY)
        return describe(what, self.scene.kind, name, self.conditions)

    def video_caption(self, rng: np.random.Generator, chinese: bool = False) -> str:
        """Caption of the whole video."""
        name = self._namer(rng, chinese)
        if self.event:
            what = event_clause(self.event.tell(name), name)
        else:
            what = calm_clause(self._some(name, list(self.bystanders)), name)
        return describe(what, self.scene.kind, name, self.conditions)

    def _some(self, name: Namer, roles: list[str]) -> list[Phrase]:
        """Phrases of one to three actors."""
        roles = [role for role in self.bystanders if role in roles]
        name.rng.shuffle(roles)
        return [self.bystanders[role].phrase(name) for role in roles[: int(name.rng.integers(1, 4))]]


def _visible(box: Box) -> Box | None:
    x0, y0, x1, y1 = box
    a, b, c, d = max(x0, 0.0), max(y0, 0.0), min(x1, float(WIDTH)), min(y1, float(HEIGHT))
    if c <= a or d <= b or (c - a) * (d - b) < (x1 - x0) * (y1 - y0) / 3:
        return None
    return a / WIDTH, b / HEIGHT, c / WIDTH, d / HEIGHT
