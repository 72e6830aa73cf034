# Shapes: n captions, v vocabulary.
import math
from collections.abc import Sequence
from typing import Any

import torch
from mmengine.model import BaseModel
from torch import Tensor, nn

from vadlab.checkpoints.checkpoint_io import load_weights, read_checkpoint
from vadlab.registry import MODELS
from vadlab.structures import CaptionDataSample
from vadlab.utils.errors import ConfigError

from .caption_decoder import DecoderCache, EncodedImages
from .decoding import check_decoding, search


class EnsembleCache:
    """Caches of several decoders that generate the same captions."""

    def __init__(self, parts: Sequence[DecoderCache]) -> None:
        self.parts = list(parts)

    @property
    def num_rows(self) -> int:
        """Number of captions n."""
        return self.parts[0].num_rows

    @property
    def num_images(self) -> int:
        """Number of images b."""
        return self.parts[0].num_images

    def reorder(self, rows_n: Tensor) -> None:
        """Reorder the rows of all caches; see :meth:`DecoderCache.reorder`."""
        for part in self.parts:
            part.reorder(rows_n)


@MODELS.register_module()
class CaptionEnsemble(BaseModel):
    """Ensemble of trained captioners, averaged at every word; for testing: ``tools/test.py CONFIG none``.

    Log-probabilities are averaged, as the public code of FSGR does after Cornia et al., "Meshed-Memory Transformer",
    CVPR 2020, arXiv:1912.08226 (github.com/aimagelab/meshed-memory-transformer); their exponentials do not sum to one.
    ``average='probs'`` takes the mean of the probabilities instead.

    Args:
        captioner (dict): Config of each captioner, such as :class:`FSGR`.
        pretrained (Sequence[str]): Checkpoints of the captioners, all with the same vocabulary.
        average (str): ``log_probs`` or ``probs``.
        decoding (dict | None): Search method and its options; by default those of the captioner's config.
        data_preprocessor (dict | None): CaptionDataPreprocessor by default.

    Raises:
        ConfigError: There is no checkpoint, or ``average`` is unknown.
    """

    def __init__(
        self,
        captioner: dict,
        pretrained: Sequence[str],
        average: str = 'log_probs',
        decoding: dict | None = None,
        data_preprocessor: dict | nn.Module | None = None,
    ) -> None:
        if not isinstance(data_preprocessor, nn.Module):
            data_preprocessor = MODELS.build(data_preprocessor or dict(type='CaptionDataPreprocessor'))
        super().__init__(data_preprocessor=data_preprocessor)
        if average not in ('log_probs', 'probs'):
            raise ConfigError(f"CaptionEnsemble: average={average!r} is neither 'log_probs' nor 'probs'.")
        if isinstance(pretrained, str) or not pretrained:
            raise ConfigError(f'CaptionEnsemble: pretrained={pretrained!r}; give a list of checkpoints.')
        self.captioners = nn.ModuleList(MODELS.build(dict(captioner)) for _ in pretrained)
        self.pretrained = list(pretrained)
        self.average = average
        self.decoding = self.captioners[0].decoding if decoding is None else check_decoding(decoding)

    @property
    def concepts(self) -> list[str]:
        """Names of the concepts by index, from the codebook of the first captioner."""
        return self.captioners[0].concepts

    def init_weights(self) -> None:
        """Load the checkpoints.

        Raises:
            MissingFileError: A checkpoint does not exist.
            CheckpointError: A checkpoint does not fit the captioner's config, or has another vocabulary.
        """
        if self.is_init:
            return
        self._is_init = True
        for captioner, path in zip(self.captioners, self.pretrained, strict=True):
            captioner._is_init = True
            load_weights(captioner, read_checkpoint(path)['state_dict'], path)

    def forward(
        self, inputs: Tensor, data_samples: list[CaptionDataSample] | None = None, mode: str = 'tensor'
    ) -> list[EncodedImages] | list[CaptionDataSample]:
        """Encode (``tensor``) or predict; see :meth:`FSGR.forward`.

        Raises:
            ConfigError: ``mode`` is ``loss``: an ensemble cannot be trained.
        """
        if mode == 'loss':
            raise ConfigError('CaptionEnsemble: not trained as one; train each captioner with its own config.')
        with torch.no_grad():
            images = [captioner.encode(inputs, data_samples) for captioner in self.captioners]
            if mode == 'tensor':
                return images
            return self.captioners[0].write(data_samples, search(self, images, self.decoding), images[0])

    def init_cache(self, images: list[EncodedImages], captions: int = 1, max_len: int | None = None) -> EnsembleCache:
        """New caches of all decoders; see :meth:`CaptionDecoder.init_cache`."""
        pairs = zip(self.captioners, images, strict=True)
        return EnsembleCache([captioner.decoder.init_cache(part, captions, max_len) for captioner, part in pairs])

    def step(self, words_n: Tensor, cache: EnsembleCache) -> Tensor:
        """Mean of the decoders' predictions, shape (n, v); see :meth:`CaptionDecoder.step`."""
        pairs = zip(self.captioners, cache.parts, strict=True)
        said: Any = torch.stack([captioner.decoder.step(words_n, part) for captioner, part in pairs])
        return said.mean(0) if self.average == 'log_probs' else said.logsumexp(0) - math.log(len(said))
