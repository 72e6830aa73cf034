"""Scores of videos by any method that reads videos: through the test pipeline of its config."""

import os
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from mmengine.config import Config
from mmengine.dataset import pseudo_collate

from vadlab.datasets.video import index_video
from vadlab.evaluation.functional.ground_truth import match_lengths
from vadlab.models.layers.weights_cache import steady_weights
from vadlab.utils.errors import ConfigError, DataError
from vadlab.utils.read_ahead import read_ahead

from .base_inferencer import build_steps, steps_of_test
from .scored_video import ScoredVideo
from .video_inputs import VideoSource


class PipelineScorer:
    """Scores videos with the pipeline and the model of a test, without annotations.

    The sampled frames of a video are in memory together, so the pipeline bounds the memory.

    Args:
        model (nn.Module): A model whose ``test_step`` writes ``pred_scores``.
        config (Config): The experiment.
        workers (int): Threads that prepare videos.
        fps (float): Frame rate of folders of frames.
    """

    def __init__(self, model: Any, config: Config, workers: int = 2, fps: float = 25.0) -> None:
        steps = steps_of_test(config)
        if not steps:
            raise ConfigError('This config has no test pipeline, so it is not known how its model reads a video.')
        self.model = model
        self.classes = tuple(config.model.get('classes') or ())
        self.pipeline = build_steps(steps)
        self.workers = workers
        self.fps = fps

    def __call__(self, sources: Sequence[VideoSource]) -> Iterator[ScoredVideo]:
        """Score videos, one after the other; threads prepare the next ones."""

        def prepare(source: VideoSource) -> Iterator[tuple[VideoSource, dict | None, str]]:
            try:
                yield source, self._prepare(source), ''
            except (DataError, OSError) as error:
                yield source, None, str(error)

        with torch.inference_mode(), steady_weights():
            for source, packed, error in read_ahead(sources, prepare, self.workers, self.workers):
                yield ScoredVideo(source, error=error) if packed is None else self._score(source, packed)

    def _prepare(self, source: VideoSource) -> dict:
        if source.frames is not None:
            raise DataError(f'{type(self.model).__name__} is tested on files, so it does not take arrays.')
        none = np.zeros((0, 2), np.int64)
        sample = dict(video_path=source.path, video_id=source.name, label=0, caption='', regions=[], intervals=none)
        try:
            packed = self.pipeline({**sample, 'class_intervals': [], 'class_name': None})
        except KeyError as error:
            raise ConfigError(
                f'The test pipeline of {type(self.model).__name__} needs {error}, which a video without annotation '
                'does not have.'
            ) from error
        return packed

    def _score(self, source: VideoSource, packed: dict) -> ScoredVideo:
        (sample,) = self.model.test_step(pseudo_collate([packed]))
        if 'pred_scores' not in sample:
            raise ConfigError(f'{type(self.model).__name__} does not score frames (it writes no pred_scores).')
        index = index_video(source.path)
        total = index.total_frames
        times, fps = index.frame_times, index.fps
        if os.path.isdir(source.path):
            times, fps = np.arange(total) / self.fps, self.fps
        scores, _ = match_lengths(source.name, sample.pred_scores.float().cpu().numpy(), total, 'pad_last')
        inds = np.unique(np.asarray(sample.get('frame_inds', np.arange(total))))
        classes = sample.get('pred_class_scores')
        return ScoredVideo(
            source,
            fps,
            (index.height, index.width),
            scores,
            times,
            inds,
            self.classes if classes is not None else (),
            None if classes is None else match_lengths(source.name, classes.cpu().numpy(), total, 'pad_last')[0][inds],
        )
