"""Data set of rendered pictures with captions, without repetition, to pre-train a small CLIP."""

import cv2
import numpy as np
import torch
from torch.utils.data import Dataset

from vadlab.datasets.ucf_crime_regions import UCF_CRIME_CLASSES
from vadlab.registry import DATASETS, TOKENIZERS
from vadlab.structures import VADDataSample
from vadlab.utils.errors import ConfigError

from ..common.person import Box
from ..common.scene import HEIGHT, WIDTH, Scene, scene_seed
from .captions import class_prompt
from .episode import CLASSES, Episode, scene_kinds
from .wording import Namer

# Eight episodes have each anomaly once and normal videos twice.
_ROUND = (*CLASSES, 'Normal')
_PER_EPISODE = 4


@DATASETS.register_module()
class SyntheticFrames(Dataset):
    """Frames of synthetic videos without repetition, rendered on demand.

    Four consecutive pictures come from one episode, so a batch in order has the hardest negatives: the same people in
    the same place with and without the event.

    0. a frame of the event, with a caption of the event;
    1. a calm frame of the same video, with a calm caption;
    2. a close-up of one actor or thing, with its region caption;
    3. another close-up, or (in every second episode) a whole frame with the plain name of its class, like a prompt.

    Eight consecutive episodes (32 pictures) have each anomaly once and normal videos twice, so the batch size should be
    a multiple of 32.

    Args:
        size (int): Number of pictures; each is a function of ``(seed, index)``, and none is stored.
        seed (int): Seed of the pictures.
        split (str): Split whose scenes are used: 'train', 'val' or 'test'; splits share no scene.
        image_size (int): Height and width of the pictures, pixels.
        chinese (float): Share of captions in Chinese, 0..1.
        prompts (float): Share of whole frames with a plain class prompt as caption, 0..1.
        tokenizer (dict): Config of the tokenizer.

    Raises:
        ConfigError: A share is outside 0..1, the data set is empty, or the split is unknown.
    """

    METAINFO = dict(classes=UCF_CRIME_CLASSES)

    def __init__(
        self,
        size: int,
        seed: int = 0,
        split: str = 'train',
        image_size: int = 128,
        chinese: float = 0.1,
        prompts: float = 0.7,
        tokenizer: dict | None = None,
    ) -> None:
        if size < 1:
            raise ConfigError(f'SyntheticFrames: size must be at least 1, not {size}.')
        for name, share in (('chinese', chinese), ('prompts', prompts)):
            if not 0 <= share <= 1:
                raise ConfigError(f'SyntheticFrames: {name} is a share between 0 and 1, not {share}.')
        scene_seed(split, 0)
        self.size, self.seed, self.split, self.image_size = size, seed, split, image_size
        self.chinese, self.prompts = chinese, prompts
        self.tokenizer = TOKENIZERS.build(tokenizer or dict(type='CLIPTokenizer'))
        self._newest: tuple[int, Episode] | None = None

    def __len__(self) -> int:
        return self.size

    @property
    def metainfo(self) -> dict:
        """Names of the classes by index."""
        return self.METAINFO

    def episode(self, number: int) -> Episode:
        """Episode ``number``; the latest is cached, since four pictures come from it."""
        if self._newest is None or self._newest[0] != number:
            kind = _ROUND[number % len(_ROUND)]
            rng = np.random.default_rng((self.seed, 11, number))
            scene = Scene.make(scene_seed(self.split, int(rng.integers(2**29))), scene_kinds(kind))
            self._newest = number, Episode(scene, kind, int(rng.integers(2**62)))
        return self._newest[1]

    def __getitem__(self, index: int) -> dict:
        """One picture with its data sample.

        Returns:
            ``inputs``, uint8 of shape (1, 3, image_size, image_size), RGB, and ``data_samples`` with ``video_id``
            (unique per picture), ``gt_caption``, ``gt_caption_tokens`` and ``gt_label`` (of the frame, not of the
            video).
        """
        if not 0 <= index < self.size:
            raise IndexError(index)
        number, part = divmod(index, _PER_EPISODE)
        episode = self.episode(number)
        rng = np.random.default_rng((self.seed, 13, index))
        chinese = bool(rng.random() < self.chinese)
        plain = part == 3 and rng.random() < 0.5
        frame = self._frame(episode, calm=part == 1 or (plain and rng.random() < 0.5), rng=rng)
        image, boxes = episode.render(frame)
        active = episode.progress(frame) is not None
        kind = episode.kind if active else 'Normal'
        if part in (2, 3) and not plain and boxes:
            captions = episode.region_captions(rng, chinese)
            roles = [role for role in boxes if role in captions]
            # Actors of the event are preferred to bystanders.
            acting = [role for role in roles if role not in episode.bystanders]
            if acting and rng.random() < 0.75:
                roles = acting
            if roles:
                role = roles[rng.integers(len(roles))]
                return self._pack(_close_up(image, boxes[role], rng), captions[role], kind, rng, index)
        if plain or rng.random() < self.prompts:
            return self._pack(image, class_prompt(kind, Namer(rng)), kind, rng, index)
        return self._pack(image, episode.frame_caption(frame, rng, chinese), kind, rng, index)

    @staticmethod
    def _frame(episode: Episode, calm: bool, rng: np.random.Generator) -> int:
        if episode.event is None:
            return int(rng.integers(episode.num_frames))
        if calm:
            shift = int(rng.integers(episode.duration, episode.num_frames))
        else:
            shift = int(rng.integers(episode.duration))
        return (episode.onset + shift) % episode.num_frames

    def _pack(self, image: np.ndarray, caption: str, kind: str, rng: np.random.Generator, index: int) -> dict:
        if rng.random() < 0.5:  # videos are compressed, so half of the pictures are compressed, too
            _, code = cv2.imencode('.jpg', image, [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(40, 92))])
            image = np.asarray(cv2.imdecode(code, cv2.IMREAD_COLOR))
        method = (cv2.INTER_AREA, cv2.INTER_LINEAR)[rng.integers(2)]
        image = cv2.resize(image, (self.image_size, self.image_size), interpolation=method)
        sample = VADDataSample(
            metainfo=dict(video_id=f'{self.split}_{index:07d}'),
            gt_caption=caption,
            gt_label=UCF_CRIME_CLASSES.index(kind),
        )
        sample.gt_caption_tokens = torch.tensor(self.tokenizer.encode(caption, max_len=77), dtype=torch.int64)
        return dict(inputs=torch.from_numpy(image.transpose(2, 0, 1)[None].copy()), data_samples=sample)


def _close_up(image: np.ndarray, box: Box, rng: np.random.Generator) -> np.ndarray:
    """Crop a box with a margin; the crop keeps the picture's aspect ratio."""
    x0, y0, x1, y1 = box
    size = min(max(x1 - x0, y1 - y0, 0.2) * rng.uniform(1.05, 1.7), 1.0)
    left = float(np.clip((x0 + x1 - size) / 2 + rng.uniform(-0.1, 0.1) * size, 0, 1 - size))
    top = float(np.clip((y0 + y1 - size) / 2 + rng.uniform(-0.1, 0.1) * size, 0, 1 - size))
    a, b = round(left * WIDTH), round(top * HEIGHT)
    return np.ascontiguousarray(image[b : b + round(size * HEIGHT), a : a + round(size * WIDTH)])
