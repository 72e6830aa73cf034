"""Scores of videos by models in torch that embed frame by frame."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from mmengine.config import Config
from torch import Tensor, nn

from vadlab.models.layers.weights_cache import steady_weights
from vadlab.utils.errors import ConfigError

from .frame_sampling import STREAMED_STEPS, FrameSampling, steps_of_test
from .streamed_scorer import StreamedScorer


def can_stream(model: nn.Module, config: Config) -> bool:
    """Whether a method embeds frames one by one, and its test pipeline has only steps that can be streamed."""
    kinds = {step['type'] for step in steps_of_test(config)}
    return hasattr(model, 'embed_frames') and hasattr(model, 'score_embeds') and kinds <= STREAMED_STEPS


class FrameScorer(StreamedScorer):
    """Scores videos with a model that has ``embed_frames`` and ``score_embeds``, such as FGCLIP.

    Args:
        model (nn.Module): The model.
        config (Config): The experiment.
        sampling (FrameSampling): The frames that the model sees.
        workers (int): Decoding threads.
        batch_size (int): Frames per forward pass.
        fps (float): Frame rate of arrays and folders of frames.
        fill_batches (bool): Fill batches with frames of several videos.
    """

    def __init__(
        self,
        model: Any,
        config: Config,
        sampling: FrameSampling,
        workers: int = 2,
        batch_size: int = 32,
        fps: float = 25.0,
        fill_batches: bool = False,
    ) -> None:
        super().__init__(config, sampling, workers, batch_size, fps, fill_batches)
        self.model = model

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the classes or prompts; see :class:`StreamedScorer`."""
        if self.model.score_head is None:
            raise ConfigError(f'{type(self.model).__name__}: this config has no score_head, so it has no frame scores.')
        return tuple(self.model.score_head.classes)

    def embed(self, frames: np.ndarray) -> Tensor:
        """Embeddings of frames, RGB, uint8, shape (n, H, W, 3): float32 on the CPU, shape (n, e)."""
        return self.model.embed_frames(self.to_inputs(frames)).float().cpu()

    def to_inputs(self, frames: np.ndarray) -> Tensor:
        """Normalised frames on the model's device, shape (n, 3, H, W)."""
        pixels = torch.from_numpy(frames).permute(0, 3, 1, 2).contiguous()
        return self.model.data_preprocessor({'inputs': [pixels], 'data_samples': None})['inputs'][0]

    def embed_frames(self, frames: np.ndarray) -> np.ndarray:
        """As :meth:`embed`, as an array."""
        return self.embed(frames).numpy()

    def score_embeds(self, embeds: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Logits and class probabilities; see :class:`StreamedScorer`."""
        logits, class_scores = self.model.score_embeds(torch.from_numpy(embeds))
        return logits.cpu().numpy(), class_scores.cpu().numpy()

    def probabilities(self, logits: np.ndarray) -> np.ndarray:
        """Probabilities by torch's function, so that scores equal those of ``tools/test.py``."""
        return torch.from_numpy(logits).sigmoid().numpy()

    @contextmanager
    def scope(self) -> Iterator[None]:
        """Without gradients, and with embeddings of texts that are kept."""
        with torch.inference_mode(), steady_weights():
            yield
