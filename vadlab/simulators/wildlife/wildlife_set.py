"""A data set of camera-trap clips whose species and behaviours require pictures, sound or both."""

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np

from vadlab.utils.errors import ConfigError

from ..common.video_writer import VideoWriter
from .behaviours import BEHAVIOURS, RATES
from .calls import series, surroundings
from .habitat import Habitat
from .species import LOOKS, SPECIES, individual

SPLITS = ('train', 'val', 'test')
FPS = 12
#: Classes that cannot be recognised from one modality alone.
NEEDS_BOTH = {
    'species': ('dusky whistler', 'dusky triller', 'banded whistler', 'banded triller'),
    'behaviour': ('alarm', 'display', 'begging', 'foraging'),
}
_FRAMES = (27, 37)  # minimum, maximum (excluded)
_CLIPS_PER_CAMERA = 6
_NIGHT_SHARE = 0.4
_SOUNDLESS_EVERY = 12  # one clip in 12 has no sound track
_SOUND_RATES = (16000, 22050, 44100, 48000)


@dataclass(frozen=True)
class WildlifeClip:
    """Plan of one clip, which determines it completely.

    Attributes:
        split (str): One of :data:`SPLITS`; splits share no place and no animal.
        number (int): Running number within the split.
        species (str): Key of :data:`~vadlab.simulators.wildlife.species.SPECIES`.
        behaviour (str): Key of :data:`~vadlab.simulators.wildlife.behaviours.BEHAVIOURS`.
        place (int): Number of the camera within the split.
        seed (int): Seed of the whole set.
    """

    split: str
    number: int
    species: str
    behaviour: str
    place: int
    seed: int

    @property
    def clip_id(self) -> str:
        """Id, unique over all splits."""
        return f'{self.split}_{self.number:04d}'

    @property
    def video(self) -> str:
        """Path of the file below the folder of videos."""
        return f'{self.split}/{self.clip_id}.mp4'

    @property
    def has_sound(self) -> bool:
        """Whether the file has a sound track."""
        return bool(self._rng(1).random() >= 1 / _SOUNDLESS_EVERY)

    @property
    def num_frames(self) -> int:
        """Length in frames, at :data:`FPS`."""
        return int(self._rng(2).integers(*_FRAMES))

    @property
    def night(self) -> bool:
        """Whether the clip is in infrared."""
        return bool(self._rng(3).random() < _NIGHT_SHARE)

    def record(self) -> dict[str, str]:
        """Its line in the metadata."""
        return {
            'clip_id': self.clip_id,
            'video': self.video,
            'split': self.split,
            'species': self.species,
            'behaviour': self.behaviour,
            'light': 'night' if self.night else 'day',
        }

    def frames(self) -> np.ndarray:
        """The frames, RGB, uint8, shape (T, 84, 112, 3)."""
        rng = self._rng(4)
        habitat = _habitat(self.split, self.seed, self.place, self.night)
        look = individual(LOOKS[SPECIES[self.species].look], rng, infrared=self.night)
        pose = BEHAVIOURS[self.behaviour].move(rng)
        wind = self._wind
        times = np.arange(self.num_frames) / FPS
        return np.stack([habitat.shoot(look, pose(float(t)), float(t), wind, rng) for t in times])

    def sound(self) -> tuple[np.ndarray, int]:
        """The sound, float32 in -1..1, shape (channels, samples), and samples per second."""
        rng = self._rng(5)
        rate, channels = int(rng.choice(_SOUND_RATES)), 1 + int(rng.random() < 0.3)
        seconds = self.num_frames / FPS
        sound = surroundings(seconds, rate, self._wind, rng)
        pace = BEHAVIOURS[self.behaviour].rate or str(rng.choice(list(RATES)))
        calls = series(SPECIES[self.species].call, seconds, rate, rng.uniform(*RATES[pace]), rng)
        sound += rng.uniform(0.15, 0.6) * calls
        sound *= rng.uniform(0.3, 0.8) / max(1.0, float(np.abs(sound).max()))
        balance = np.array([1.0, rng.uniform(0.6, 1.0)])[:channels]
        return (balance[:, None] * sound).astype(np.float32), rate

    def write(self, folder: Path) -> bool:
        """Render and encode the clip below ``folder`` unless the file exists; returns whether it was written."""
        path = folder / self.video
        if path.exists():
            return False
        with VideoWriter(path, FPS, crf=24, sound=self.sound() if self.has_sound else None) as writer:
            for frame in self.frames():
                writer.add(frame)
        return True

    @property
    def _wind(self) -> float:
        return float(self._rng(6).random())

    def _rng(self, purpose: int) -> np.random.Generator:
        return np.random.default_rng((self.seed, SPLITS.index(self.split), self.number, purpose))


def plan_wildlife_set(train: int, val: int, test: int, seed: int = 0) -> list[WildlifeClip]:
    """Plan the clips of a data set; in every split, all pairs of species and behaviour are equally frequent.

    Raises:
        ConfigError: A number is negative, or there are fewer training clips than pairs of species and behaviour.
    """
    pairs = [(species, behaviour) for species in SPECIES for behaviour in BEHAVIOURS]
    counts = dict(zip(SPLITS, (train, val, test), strict=True))
    if min(counts.values()) < 0 or train < len(pairs) or seed < 0:
        raise ConfigError(
            f'A wildlife set needs at least {len(pairs)} training clips, one of each species and behaviour, and no '
            f'negative numbers, not train={train}, {val=}, {test=}, {seed=}.'
        )
    clips = []
    for split, count in counts.items():
        places = np.random.default_rng((seed, 52, SPLITS.index(split))).integers(
            max(1, count // _CLIPS_PER_CAMERA), size=count
        )
        for number, place in enumerate(places.tolist()):
            clips.append(WildlifeClip(split, number, *pairs[number % len(pairs)], place, seed))
    return clips


@lru_cache(maxsize=64)
def _habitat(split: str, seed: int, number: int, night: bool) -> Habitat:
    places = np.random.default_rng((seed, 51, SPLITS.index(split))).integers(2**29, size=number + 1)
    return Habitat.of_split(split, int(places[number]), night)
