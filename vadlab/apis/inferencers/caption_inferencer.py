"""Caption images with a trained captioner."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
import torch
from mmengine.config import Config
from mmengine.dataset import Compose, pseudo_collate

from vadlab.utils.errors import ConfigError

from .base_inferencer import BaseInferencer, build_steps
from .caption_inputs import CaptionInput
from .frame_sampling import steps_of_test


@dataclass(frozen=True)
class Described:
    """An image with its caption and concepts.

    Attributes:
        source (CaptionInput): The image.
        caption (str): Words with spaces between.
        score (float): Log-probability of the caption, <= 0.
        concepts (np.ndarray): Concept of each patch, int64, shape (P,).
        seen (np.ndarray): The image as the model got it, RGB, uint8, shape (H, W, 3).
    """

    source: CaptionInput
    caption: str
    score: float
    concepts: np.ndarray
    seen: np.ndarray


class CaptionInferencer(BaseInferencer):
    """Captions images, with the test preprocessing of the config.

    Args:
        config (Config | str | Path): The experiment.
        checkpoint (str | Path | None): Trained weights; None if the model loads its weights itself (an ensemble).
        device (str | None): Device of the model; by default the GPU, if there is one.
        batch_size (int): Images per forward pass, >= 1.
        backend (str): See :class:`BaseInferencer`.

    Raises:
        ConfigError: The config is not of a captioner, or its test pipeline does not read images.
        CheckpointError: The weights do not fit the model.
    """

    def __init__(
        self,
        config: Config | str | Path,
        checkpoint: str | Path | None,
        device: str | None = None,
        batch_size: int = 16,
        backend: str = 'torch',
    ) -> None:
        if batch_size < 1:
            raise ConfigError(f'CaptionInferencer: batch_size={batch_size} must be at least 1.')
        self.batch_size = batch_size
        super().__init__(config, checkpoint, device, backend)

    def check_config(self, config: Config) -> None:
        """Check that the test reads images; see :class:`BaseInferencer`."""
        self.pipeline = image_pipeline(config)

    def check_model(self) -> None:
        """Check that the model is a captioner; see :class:`BaseInferencer`."""
        if not hasattr(self.model, 'concepts'):
            raise ConfigError(f'{self.config.model.type} is not a captioner: it has no concepts of patches.')

    @property
    def concepts(self) -> list[str]:
        """Names of the concepts, by number."""
        return self.model.concepts

    def __call__(self, inputs: Iterable[CaptionInput]) -> Iterator[Described]:
        """Caption images, one batch at a time.

        Args:
            inputs (Iterable[CaptionInput]): Images, without inputs that have an error.

        Yields:
            Described: In the same order.
        """
        inputs = iter(inputs)
        while batch := list(islice(inputs, self.batch_size)):
            packed = [prepared(self.pipeline, source) for source in batch]
            with torch.inference_mode():
                samples = self.model.test_step(pseudo_collate(packed))
            for source, element, sample in zip(batch, packed, samples, strict=True):
                seen = element['inputs'].permute(1, 2, 0).numpy()
                concepts = sample.pred_concepts.cpu().numpy()
                yield Described(source, sample.pred_caption, float(sample.pred_score), concepts, seen)


def prepared(pipeline: Compose, source: CaptionInput) -> dict:
    """An image, without an error, as a model takes it: ``inputs`` and ``data_samples``."""
    assert source.image is not None  # guaranteed by the caller
    shape = source.image.shape[:2]
    results = dict(frames=source.image[None], ori_shape=shape, img_shape=shape, captions=[])
    return pipeline({**results, 'image_id': source.name, 'image_path': source.path})


def image_pipeline(config: Config) -> Compose:
    """The test pipeline after the image is loaded.

    Raises:
        ConfigError: The test of the config reads no images.
    """
    steps = steps_of_test(config)
    kinds = [step['type'] for step in steps]
    if 'LoadImage' not in kinds:
        raise ConfigError(
            f'The test of this config reads no images (its pipeline is {", ".join(kinds) or "empty"}): it cannot '
            'caption any. A detector or a recogniser scores videos: python tools/infer.py CONFIG CHECKPOINT VIDEO...'
        )
    return build_steps(steps[kinds.index('LoadImage') + 1 :])
