"""A data set of drawn pictures with five captions each, in Karpathy's layout."""

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from vadlab.utils.atomic import write_bytes
from vadlab.utils.errors import ConfigError

from ..common.scene import scene_seed
from .content import COLOURS, PEOPLE, SHAPES, VEHICLES, Content
from .picture import draw_content
from .wording import write_captions

SPLITS = ('train', 'val', 'test')
PICTURE_SIZE = (192, 144)  # width and height, pixels
_JPEG_QUALITY = 92

# Names for the concepts of patches of these pictures.
CONCEPTS = (
    *PEOPLE,
    'person walking',
    'person running',
    'person waving',
    'person lying on the ground',
    'person raising both hands',
    'person kneeling',
    *(f'person in {colour}' for colour in COLOURS),
    *VEHICLES,
    *(f'{colour} car' for colour in COLOURS),
    *SHAPES,
    'street',
    'car park',
    'petrol station',
    'alley with brick walls',
    'park with trees',
    'shop with shelves',
    'corridor',
    'warehouse',
    'bank lobby',
    'sky',
    'building with windows',
    'door',
)
CONCEPT_TEMPLATES = ('{}', 'a {}', 'a surveillance video of a {}')


@dataclass(frozen=True)
class Picture:
    """Plan of one picture and its captions, which determines both.

    Attributes:
        split: 'train', 'val' or 'test'; splits share no background.
        number: Running number within the split.
        seed: Seed of the whole set.
    """

    split: str
    number: int
    seed: int

    @property
    def image_id(self) -> int:
        """Id, unique over all splits."""
        return 1_000_000 * (1 + SPLITS.index(self.split)) + self.number

    @property
    def file_name(self) -> str:
        """File name below the folder of its split."""
        return f'{self.image_id}.jpg'

    @property
    def content(self) -> Content:
        """Content of the picture."""
        return Content.sample(self._rng(1))

    def captions(self) -> list[str]:
        """The five reference captions."""
        return write_captions(self.content, self._rng(2))

    def draw(self) -> np.ndarray:
        """The picture, RGB, uint8, shape (240, 320, 3)."""
        rng = self._rng(3)
        scene = scene_seed(self.split, int(rng.integers(2**29)))
        return draw_content(self.content, scene, rng)

    def record(self) -> dict:
        """Its entry in the caption file."""
        sentences = [{'raw': caption, 'sentid': 10 * self.image_id + k} for k, caption in enumerate(self.captions())]
        return {
            'cocoid': self.image_id,
            'split': self.split,
            'filepath': self.split,
            'filename': self.file_name,
            'sentences': sentences,
        }

    def write(self, folder: Path) -> bool:
        """Draw the picture below ``folder`` unless the file exists; returns whether it was drawn."""
        path = folder / self.split / self.file_name
        if path.exists():
            return False
        small = cv2.resize(self.draw(), PICTURE_SIZE, interpolation=cv2.INTER_AREA)
        bgr = cv2.cvtColor(small, cv2.COLOR_RGB2BGR)
        _, code = cv2.imencode('.jpg', bgr, [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY])
        write_bytes(path, code.tobytes())
        return True

    def _rng(self, purpose: int) -> np.random.Generator:
        return np.random.default_rng((self.seed, SPLITS.index(self.split), self.number, purpose))


def plan_caption_set(train: int, val: int, test: int, seed: int = 0) -> list[Picture]:
    """Plan the pictures of a data set.

    Raises:
        ConfigError: A number is negative, or there are no training pictures.
    """
    counts = dict(zip(SPLITS, (train, val, test), strict=True))
    if min(counts.values()) < 0 or train == 0 or max(counts.values()) >= 1_000_000:
        raise ConfigError(f'A caption set needs 1 to 999,999 training pictures, not train={train}, {val=}, {test=}.')
    return [Picture(split, number, seed) for split, count in counts.items() for number in range(count)]
