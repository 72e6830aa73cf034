"""Data set of rendered everyday pictures with captions of frames and regions, to pre-train a small CLIP."""

import functools

import cv2
import numpy as np
import torch
from mmengine.structures import InstanceData
from torch.utils.data import Dataset

from vadlab.registry import DATASETS, TOKENIZERS
from vadlab.structures import VADDataSample
from vadlab.utils.errors import ConfigError

from ..common.person import Box
from ..common.scene import Scene, scene_seed
from .captions import EMPTY, PLACES
from .empty_box import empty_box
from .episode import Episode, scene_kinds
from .story import STORIES
from .wording import Namer

_SCENES = 400  # of a split: painting a scene takes longer than drawing a frame


@DATASETS.register_module()
class SyntheticFrames(Dataset):
    """Frames of everyday synthetic videos, rendered on demand. No event occurs in them.

    A frame has a caption of one to three of its actors, the place and the light, and visible actors have boxes with
    captions of their own; so has an empty part of the place. One picture gives several pairs of a region and a caption.

    Args:
        size (int): Number of items; each is a function of ``(seed, index)``.
        seed (int): Seed of the pictures.
        split (str): Split whose scenes are used: 'train', 'val' or 'test'; splits share no scene.
        image_size (int): Height and width of the pictures, pixels.
        pictures (int | None): Number of distinct pictures, which are kept in memory and repeated in other words; by
            default each item is a new one. Drawing takes as long as training on a small CLIP.
        max_regions (int): Actors of an item that have regions, chosen at random, > 0.
        chinese (float): Share of captions in Chinese, 0..1.
        tokenizer (dict): Config of the tokenizer.

    Raises:
        ConfigError: A share is outside 0..1, the data set is empty, or the split is unknown.
    """

    METAINFO = dict(classes=('Normal',))

    def __init__(
        self,
        size: int,
        seed: int = 0,
        split: str = 'train',
        image_size: int = 96,
        pictures: int | None = None,
        max_regions: int = 8,
        chinese: float = 0.0,
        tokenizer: dict | None = None,
    ) -> None:
        if size < 1:
            raise ConfigError(f'SyntheticFrames: size must be at least 1, not {size}.')
        if max_regions < 1 or (pictures is not None and pictures < 1):
            raise ConfigError(
                f'SyntheticFrames: max_regions and pictures must be at least 1; got {max_regions=}, {pictures=}.'
            )
        if not 0 <= chinese <= 1:
            raise ConfigError(f'SyntheticFrames: chinese is a share between 0 and 1, not {chinese}.')
        scene_seed(split, 0)
        self.size, self.seed, self.split, self.image_size = size, seed, split, image_size
        self.chinese, self.max_regions, self.pictures = chinese, max_regions, pictures
        self._kept: dict[int, tuple[Episode, int, torch.Tensor, dict[str, Box]]] = {}
        self.tokenizer = TOKENIZERS.build(tokenizer or dict(type='CLIPTokenizer'))

    def __len__(self) -> int:
        return self.size

    @property
    def metainfo(self) -> dict:
        """Names of the classes by index."""
        return self.METAINFO

    def episode(self, number: int) -> Episode:
        """The episode that picture ``number`` is a frame of."""
        rng = np.random.default_rng((self.seed, 11, number))
        return Episode(_scene(self.split, int(rng.integers(_SCENES))), 'Normal', int(rng.integers(2**62)))

    def _picture(self, number: int) -> tuple[Episode, int, torch.Tensor, dict[str, Box]]:
        """Episode, frame, pixels and boxes of a picture."""
        if number in self._kept:
            return self._kept[number]
        episode, rng = self.episode(number), np.random.default_rng((self.seed, 13, number))
        frame = int(rng.integers(episode.num_frames))
        image, boxes = episode.render(frame)
        if rng.random() < 0.5:  # videos are compressed, so half of the pictures are compressed, too
            _, code = cv2.imencode('.jpg', image, [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(40, 92))])
            image = np.asarray(cv2.imdecode(code, cv2.IMREAD_COLOR))
        picture = episode, frame, _pixels(image, self.image_size), boxes
        if self.pictures is not None:
            self._kept[number] = picture
        return picture

    def __getitem__(self, index: int) -> dict:
        """One picture with its data sample.

        Returns:
            ``inputs``, uint8 of shape (1, 3, image_size, image_size), RGB, and ``data_samples`` with ``video_id``
            (unique per item), ``gt_caption``, ``gt_caption_tokens``, ``gt_label`` 0, and ``gt_regions``.
        """
        if not 0 <= index < self.size:
            raise IndexError(index)
        episode, frame, pixels, boxes = self._picture(index % (self.pictures or self.size))
        rng = np.random.default_rng((self.seed, 17, index))
        chinese = bool(rng.random() < self.chinese)
        phrases = episode.phrases(rng, chinese)
        roles = [list(boxes)[i] for i in sorted(rng.permutation(len(boxes))[: self.max_regions])]
        found = [(boxes[role], phrases[role].clause()) for role in roles]
        empty = empty_box(list(boxes.values()), rng)
        if empty is not None and not chinese:
            name = Namer(rng)
            found.append((empty, f'{EMPTY} {name.pick(*PLACES[episode.scene.kind][0])}'))
        regions = InstanceData()
        regions.captions = [caption for _, caption in found]
        regions.boxes_xyxyn = torch.tensor([box for box, _ in found], dtype=torch.float32).reshape(-1, 1, 4)
        regions.box_valid = torch.ones(len(found), 1, dtype=torch.bool)
        regions.tokens = [self._tokens(caption) for caption in regions.captions]
        regions.negative_tokens = [[] for _ in found]
        caption = episode.frame_caption(frame, rng, chinese, list(boxes))
        sample = VADDataSample(metainfo=dict(video_id=f'{self.split}_{index:07d}'), gt_caption=caption, gt_label=0)
        sample.gt_caption_tokens, sample.gt_regions = self._tokens(caption), regions
        return dict(inputs=pixels, data_samples=sample)

    def _tokens(self, caption: str) -> torch.Tensor:
        return torch.tensor(self.tokenizer.encode(caption, max_len=77), dtype=torch.int64)


def _pixels(image: np.ndarray, size: int) -> torch.Tensor:
    image = cv2.resize(image, (size, size), interpolation=cv2.INTER_AREA)
    return torch.from_numpy(image.transpose(2, 0, 1)[None].copy())


@functools.lru_cache(maxsize=_SCENES)
def _scene(split: str, number: int) -> Scene:
    return Scene.make(scene_seed(split, number))


def event_frames(count: int, split: str, image_size: int) -> tuple[list[dict], list[str]]:
    """Frames of the demo's events and calm frames of the same videos, alternating, which no training uses.

    Args:
        count: Number of frames.
        split: Split whose scenes are used.
        image_size: Height and width, pixels.

    Returns:
        Items with ``inputs``, uint8 of shape (1, 3, image_size, image_size), and ``data_samples``; and the class of
        each frame, 'Normal' or an event.
    """
    items, kinds = [], []
    names = tuple(STORIES['events'].events)
    for i in range(count):
        kind, rng = names[i // 2 % len(names)], np.random.default_rng((29, i // 2))
        scene = Scene.make(scene_seed(split, int(rng.integers(2**29))), scene_kinds(kind))
        episode = Episode(scene, kind, int(rng.integers(2**62)))
        length = episode.duration if i % 2 == 0 else episode.num_frames - episode.duration
        shift = int(rng.random() * length) + (0 if i % 2 == 0 else episode.duration)
        image, _ = episode.render((episode.onset + shift) % episode.num_frames)
        sample = VADDataSample(metainfo=dict(video_id=f'{split}_event_{i:07d}'))
        items.append(dict(inputs=_pixels(image, image_size), data_samples=sample))
        kinds.append(kind if i % 2 == 0 else 'Normal')
    return items, kinds
