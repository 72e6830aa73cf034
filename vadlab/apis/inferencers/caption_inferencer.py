"""Caption images with a trained captioner."""

import copy
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice

import numpy as np
import torch
from mmengine.config import Config
from mmengine.dataset import Compose, pseudo_collate

from vadlab.checkpoints.checkpoint_io import load_weights, read_checkpoint
from vadlab.engine.build_errors import config_mistakes
from vadlab.registry import MODELS, TRANSFORMS
from vadlab.utils.errors import ConfigError

from .caption_inputs import CaptionInput


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


class CaptionInferencer:
    """Captions images, with the test preprocessing of the config.

    Args:
        config (Config): The experiment, from :func:`~vadlab.utils.config.load_config`.
        checkpoint (str | None): Trained weights; None if the model loads its weights itself (an ensemble).
        device (str | None): Device of the model; by default the GPU, if there is one.
        batch_size (int): Images per forward pass, >= 1.

    Raises:
        ConfigError: The config is not of a captioner, or its test pipeline does not read images.
        CheckpointError: The weights do not fit the model.
    """

    def __init__(self, config: Config, checkpoint: str | None, device: str | None = None, batch_size: int = 16) -> None:
        if batch_size < 1:
            raise ConfigError(f'CaptionInferencer: batch_size={batch_size} must be at least 1.')
        self.batch_size = batch_size
        self.pipeline = _pipeline(config)
        weights = None if checkpoint is None else read_checkpoint(checkpoint)['state_dict']
        with config_mistakes():
            self.model = MODELS.build(copy.deepcopy(config.model))
        if not hasattr(self.model, 'concepts'):
            raise ConfigError(f'{config.model.type} is not a captioner: it has no concepts of patches.')
        if weights is not None:
            load_weights(self.model, weights, str(checkpoint))
        elif getattr(self.model, 'needs_training', False):
            raise ConfigError(f'{config.model.type} is a trained method. Give a checkpoint.')
        else:
            self.model.init_weights()
        self.model.to(device or ('cuda' if torch.cuda.is_available() else 'cpu')).eval()

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
            packed = [self._prepare(source) for source in batch]
            with torch.inference_mode():
                samples = self.model.test_step(pseudo_collate(packed))
            for source, element, sample in zip(batch, packed, samples, strict=True):
                seen = element['inputs'].permute(1, 2, 0).numpy()
                concepts = sample.pred_concepts.cpu().numpy()
                yield Described(source, sample.pred_caption, float(sample.pred_score), concepts, seen)

    def _prepare(self, source: CaptionInput) -> dict:
        assert source.image is not None  # guaranteed by the caller
        shape = source.image.shape[:2]
        results = dict(frames=source.image[None], ori_shape=shape, img_shape=shape, captions=[])
        return self.pipeline({**results, 'image_id': source.name, 'image_path': source.path})


def _pipeline(config: Config) -> Compose:
    """The test pipeline after the image is loaded."""
    steps = (config.get('test_dataloader') or {}).get('dataset', {}).get('pipeline') or []
    kinds = [step['type'] for step in steps]
    if 'LoadImage' not in kinds:
        raise ConfigError(
            f'The test of this config reads no images (its pipeline is {", ".join(kinds) or "empty"}): it cannot '
            'caption any.'
        )
    return Compose([TRANSFORMS.build(dict(step)) for step in steps[kinds.index('LoadImage') + 1 :]])
