"""Features of frames and texts in one space, to compare windows."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from vadlab.datasets.video import VideoIndex
from vadlab.datasets.video.pyav_reader import stream_pyav
from vadlab.registry import MODELS, TOKENIZERS

from ..data_preprocessors.pixel_data_preprocessor import CLIP_MEAN, CLIP_STD
from ..detectors.clip import CLIP

_BATCH = 32


@MODELS.register_module()
class ImageTextTower:
    """Embeds frames with any model that has ``embed_frames``, and texts with one that has ``embed_captions``.

    ``CLIP`` has both; ``FGCLIP`` has the first.

    Its weights are not part of the method's checkpoint: they come from the model's ``pretrained``, and are loaded when
    the first feature is needed.

    Args:
        model (dict): Config of the model, with ``pretrained``.
        image_size (int): Height and width of the frames, in pixels.
        max_tokens (int): Longer texts are cut.
        mean (Sequence[float]): Mean of red, green and blue, on the scale 0..255.
        std (Sequence[float]): Standard deviation of red, green and blue.
        tokenizer (dict | None): Config of the tokenizer; CLIPTokenizer by default.
    """

    def __init__(
        self,
        model: dict,
        image_size: int = 224,
        max_tokens: int = 77,
        mean: Sequence[float] = CLIP_MEAN,
        std: Sequence[float] = CLIP_STD,
        tokenizer: dict | None = None,
    ) -> None:
        self.config = model
        self.image_size = image_size
        self.max_tokens = max_tokens
        self.mean = torch.tensor(mean).reshape(1, 3, 1, 1)
        self.std = torch.tensor(std).reshape(1, 3, 1, 1)
        self.tokenizer = tokenizer or dict(type='CLIPTokenizer')
        self._model: Any = None
        self._encode: Any = None

    def _loaded(self, device: torch.device) -> Any:
        if self._model is None:
            self._model = MODELS.build(dict(self.config))
            self._model.init_weights()
            self._encode = TOKENIZERS.build(dict(self.tokenizer)).encode
        return self._model.to(device).eval()

    @torch.no_grad()
    def frames(self, index: VideoIndex, inds: Sequence[int], device: torch.device) -> Tensor:
        """Features of some frames of a video.

        Args:
            index (VideoIndex): The video.
            inds (Sequence[int]): Ascending and distinct, F of them.
            device (torch.device): Of the model.

        Returns:
            Tensor: L2-normalised, float32, on the CPU, shape (F, D).
        """
        model = self._loaded(device)
        size = (self.image_size, self.image_size)
        pictures = stream_pyav(index, np.asarray(inds, np.int64), size, 'bicubic')
        parts = []
        for batch in _batches(pictures):
            pixels = torch.from_numpy(np.stack(batch)).permute(0, 3, 1, 2).float()
            pixels = ((pixels - self.mean) / self.std).to(device)
            # CLIP embeds videos of several frames, other models frames.
            parts.append(model.embed_frames(pixels[:, None] if isinstance(model, CLIP) else pixels).float().cpu())
        return F.normalize(torch.cat(parts), dim=-1)

    @torch.no_grad()
    def texts(self, texts: Sequence[str], device: torch.device) -> Tensor:
        """Features of texts, L2-normalised, float32, on the CPU, shape (K, D)."""
        model = self._loaded(device)
        parts = []
        for start in range(0, len(texts), _BATCH):
            tokens = [torch.tensor(self._encode(text, self.max_tokens)) for text in texts[start : start + _BATCH]]
            parts.append(model.embed_captions(tokens).float().cpu())
        return F.normalize(torch.cat(parts), dim=-1)


def _batches(pictures: Iterator[np.ndarray]) -> Iterator[list[np.ndarray]]:
    batch = []
    for picture in pictures:
        batch.append(picture)
        if len(batch) == _BATCH:
            yield batch
            batch = []
    if batch:
        yield batch
