"""One synthetic surveillance video: a scene, bystanders and perhaps an event, drawn frame by frame on demand."""

import numpy as np

from vadlab.utils.errors import ConfigError

from ..common.person import Box
from ..common.scene import HEIGHT, OUTDOOR, PAINTERS, WIDTH, Scene
from .captions import calm_clause, describe, event_clause
from .events import EVENTS
from .everyday import ACTS, Pair, Passer, Traffic
from .stage import Stage
from .wording import Namer

CLASSES = ('Normal', *EVENTS)
_APPROACH_FRAMES = 40
_INDOOR_ONLY = ('broom',)
_ROOFLESS_ONLY = ('umbrella', 'dog')


def scene_kinds(kind: str) -> tuple[str, ...]:
    """Kinds of scene in which a class can happen."""
    return OUTDOOR if kind in EVENTS and EVENTS[kind].cars else tuple(PAINTERS)


class Episode:
    """A synthetic video as a pure function of its seed; frames can be drawn in any order.

    The event covers ``duration`` frames from ``onset``. If it reaches the end of the video, it continues at the start,
    so every position is equally likely to be anomalous and time gives no hint. Outside the event, the same people are
    in the same place. After the event there is a cut to a later, calm time.

    Args:
        scene: Place and camera.
        kind: 'Normal' or a class of :data:`EVENTS`.
        seed: Seed for everything else.
        num_frames: Length of the video, at least 60.
        fps: Frames per second.
    """

    def __init__(self, scene: Scene, kind: str, seed: int, num_frames: int = 300, fps: float = 30.0) -> None:
        if kind not in CLASSES:
            raise ConfigError(f'The simulator has no class {kind!r}; known: {", ".join(CLASSES)}.')
        if num_frames < 60:
            raise ConfigError(f'A synthetic video needs at least 60 frames, not {num_frames}.')
        if scene.kind not in scene_kinds(kind):
            raise ConfigError(f'{kind} cannot happen in a {scene.kind}; possible: {", ".join(scene_kinds(kind))}.')
        rng = np.random.default_rng((seed, 2))
        self.scene, self.kind, self.seed, self.num_frames, self.fps = scene, kind, seed, num_frames, fps
        self.event = EVENTS[kind](scene, rng) if kind in EVENTS else None
        self.duration = int(rng.uniform(0.28, 0.5) * num_frames)
        self.onset = int(rng.integers(num_frames))
        # Normal videos also have a cut to a later time.
        self.cut = int(rng.integers(num_frames)) if rng.random() < 0.5 else None
        self.bystanders = self._bystanders(rng)

    def _bystanders(self, rng: np.random.Generator) -> dict[str, Passer | Pair | Traffic]:
        found: dict[str, Passer | Pair | Traffic] = {}
        outdoor = self.scene.kind in (*OUTDOOR, 'park')
        acts = [a for a in ACTS if a not in (_INDOOR_ONLY if outdoor else _ROOFLESS_ONLY)]
        people = int(rng.integers(0, 2)) if self.event else int(rng.integers(1, 4))
        # Bystanders must not hide an event.
        near = self.event.y - 6 if self.event else self.scene.floor[1]
        far = (self.scene.floor[0], max(near, self.scene.floor[0] + 4))
        for i in range(people):
            if rng.random() < 0.22:
                found[f'pair{i}'] = Pair.sample(rng, far)
            else:
                found[f'person{i}'] = Passer.sample(rng, far, acts[rng.integers(len(acts))])
        if self.scene.outdoor and rng.random() < (0.4 if self.event else 0.7):
            for i in range(rng.integers(1, 3)):
                found[f'car{i}'] = Traffic.sample(rng, far)
        return found

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
        stage = Stage(self.scene, frame, self.fps, np.random.default_rng((self.seed, 3, frame)))
        progress = self.progress(frame)
        after_cut = self.cut is not None and frame >= self.cut
        if self.event is None and after_cut:
            stage.frame += 997
        for role, bystander in self.bystanders.items():
            bystander.draw(stage, role)
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

    def _clause(self, role: str, name: Namer, verb: bool) -> str:
        who = self.bystanders[role]
        be = ' is ' if verb else ' '
        if isinstance(who, Passer):
            act = ACTS[who.act]
            return f'{name.person(who.look)}{act[1]}' if name.chinese else f'{name.person(who.look)}{be}{act[0]}'
        if isinstance(who, Pair):
            act = Pair.PHRASES[who.act]
            a, b = name.person(who.first.look), name.person(who.second.look)
            return f'{a}和{b}{act[1]}' if name.chinese else f'{a} and {b}{" are " if verb else " "}{act[0]}'
        car = name.vehicle(who.vehicle)
        if name.chinese:
            return f'{car}{"驶过" if who.speed else "停着"}'
        return f'{car}{be}{"driving past" if who.speed else "parked"}'

    def region_captions(self, rng: np.random.Generator, chinese: bool = False) -> dict[str, str]:
        """One caption per role that can have a box."""
        name = self._namer(rng, chinese)
        captions = {role: self._clause(role, name, verb=False) for role in self.bystanders}
        return captions | (self.event.regions(name) if self.event else {})

    def frame_caption(self, frame: int, rng: np.random.Generator, chinese: bool = False) -> str:
        """Caption of one frame."""
        name = self._namer(rng, chinese)
        if self.event is not None and self.progress(frame) is not None:
            return describe(self.event.tell(name), self.scene.kind, name)
        return describe(self._calm(name), self.scene.kind, name)

    def video_caption(self, rng: np.random.Generator, chinese: bool = False) -> str:
        """Caption of the whole video."""
        name = self._namer(rng, chinese)
        what = event_clause(self.event.tell(name), name) if self.event else self._calm(name)
        return describe(what, self.scene.kind, name)

    def _calm(self, name: Namer) -> str:
        roles = list(self.bystanders)
        name.rng.shuffle(roles)
        return calm_clause([self._clause(role, name, verb=True) for role in roles], name)


def _visible(box: Box) -> Box | None:
    x0, y0, x1, y1 = box
    a, b, c, d = max(x0, 0.0), max(y0, 0.0), min(x1, float(WIDTH)), min(y1, float(HEIGHT))
    if c <= a or d <= b or (c - a) * (d - b) < (x1 - x0) * (y1 - y0) / 3:
        return None
    return a / WIDTH, b / HEIGHT, c / WIDTH, d / HEIGHT
