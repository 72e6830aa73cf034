"""Scores of videos by any method that reads videos: through the test pipeline of its config."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from mmengine.config import Config
from mmengine.dataset import pseudo_collate
from mmengine.structures import InstanceData

from vadlab.datasets.transforms.decode_frames import DecodeFrames
from vadlab.datasets.video import index_video
from vadlab.evaluation.functional.box_tracks import link_boxes
from vadlab.evaluation.functional.ground_truth import match_lengths
from vadlab.models.layers.weights_cache import steady_weights
from vadlab.utils.errors import ConfigError, DataError
from vadlab.utils.read_ahead import read_ahead

from .base_inferencer import build_steps
from .frame_sampling import steps_of_test
from .scored_video import ScoredVideo
from .streamed_frames import StreamedFrames
from .video_inputs import VideoSource

_MOST_BYTES = 2**32  # of the frames of a video


class PipelineScorer:
    """Scores videos with the pipeline and the model of a test, without annotations.

    The sampled frames of a video are in memory together, so the pipeline bounds the memory. A method that takes every
    frame in windows (:class:`~vadlab.models.detectors.frame_window_detector.FrameWindowDetector`) gets them as they are
    decoded.

    Args:
        model (nn.Module): A model whose ``test_step`` writes ``pred_scores``.
        config (Config): The experiment.
        workers (int): Threads that prepare videos.
        fps (float): Frame rate of folders of frames.
    """

    def __init__(self, model: Any, config: Config, workers: int = 2, fps: float = 25.0) -> None:
        steps = steps_of_test(config)
        if not steps:
            raise ConfigError('This config has no test pipeline, which is needed to read a video for its model.')
        self.model = model
        self.classes = tuple(config.model.get('classes') or ())
        #: DecodeFrames of a method that gets frames as they are decoded.
        self.streamed = _streamed_step(steps) if hasattr(model, 'float_windows') else None
        if self.streamed is not None:
            steps = [step for step in steps if step['type'] != 'DecodeFrames']
        self.pipeline = build_steps(steps)
        #: Memory per frame, if all frames of a video are read at once.
        self.frame_bytes = _frame_bytes(steps)
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
                yield ScoredVideo(source, error=error) if packed is None else self._score_or_say_why(source, packed)

    def _score_or_say_why(self, source: VideoSource, packed: dict) -> ScoredVideo:
        """The scores of a video, or the reason why it has none: one bad video does not end the run."""
        try:
            return self._score(source, packed)
        except (DataError, OSError) as error:
            return ScoredVideo(source, error=str(error))
        finally:
            if self.streamed is not None:
                packed['inputs'].close()

    def _prepare(self, source: VideoSource) -> dict:
        if source.frames is not None:
            raise DataError(f'{type(self.model).__name__} is tested on files, so it does not take arrays.')
        none = np.zeros((0, 2), np.int64)
        self._check_memory(source)
        sample = dict(video_path=source.path, video_id=source.name, label=0, caption='', regions=[], intervals=none)
        sample |= dict(class_intervals=[], class_name=None, has_truth=False, truth_frames=None, pixel_truth=None)
        try:
            packed = self.pipeline(sample)
        except KeyError as error:
            raise ConfigError(
                f'The test pipeline of {type(self.model).__name__} needs {error}, which a video without annotation '
                'does not have.'
            ) from error
        if self.streamed is not None:
            packed['inputs'] = StreamedFrames(index_video(source.path), *self.streamed)
        return packed

    def _check_memory(self, source: VideoSource) -> None:
        """Refuse a video that would not fit into memory, if the method sees all frames at once."""
        if self.frame_bytes is None:
            return
        need = index_video(source.path).total_frames * self.frame_bytes
        if need > _MOST_BYTES:
            raise DataError(
                f'{source.path}: {type(self.model).__name__} takes all frames at once, {need / 2**30:.1f} GiB; at most '
                f'{_MOST_BYTES / 2**30:.0f} GiB are read. Cut the video into parts.'
            )

    def _score(self, source: VideoSource, packed: dict) -> ScoredVideo:
        (sample,) = self.model.test_step(pseudo_collate([packed]))
        if 'pred_scores' not in sample:
            raise ConfigError(f'{type(self.model).__name__} does not score frames (it writes no pred_scores).')
        if (sample.get('answer_counts') or {}).get('videos_without_answer'):
            raise DataError(f'{source.path}: not one answer of the model can be read. Try another model or question.')
        index = index_video(source.path)
        total = index.total_frames
        fps, times = index.clock(total, self.fps)
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
            boxes=_boxes_of(sample.get('pred_detections')),
            answers=sample.get('pred_answers'),
        )


def _streamed_step(steps: list[dict]) -> tuple[tuple[int, int], str] | None:
    """Height and width of frames, and the interpolation, if every frame is decoded and nothing else is done to it."""
    if [step['type'] for step in steps] != ['ProbeVideo', 'TakeAllFrames', 'DecodeFrames', 'PackOneClassInputs']:
        return None
    decode = DecodeFrames(**{key: value for key, value in steps[2].items() if key != 'type'})
    if decode.size is None or decode.approximate or decode.backend not in ('auto', 'pyav'):
        return None
    return decode.size, decode.interpolation


def _frame_bytes(steps: list[dict]) -> int | None:
    """Memory per frame if steps decode all frames of a video; None if they do not."""
    sizes = [step['size'] for step in steps if step['type'] == 'DecodeFrames' and step.get('size')]
    if not sizes or 'TakeAllFrames' not in [step['type'] for step in steps]:
        return None
    return int(np.prod(sizes[0] if np.ndim(sizes[0]) else (sizes[0],) * 2)) * 3


def _boxes_of(detections: InstanceData | None) -> InstanceData | None:
    """Boxes of a method in the form of a result; None without any."""
    if detections is None:
        return None
    found = InstanceData()
    found.frame_inds = np.asarray(detections.frame_inds, np.int64)
    found.boxes_xyxy = np.asarray(detections.boxes_xyxy, np.float32).reshape(-1, 4)
    found.scores = np.asarray(detections.scores, np.float32)
    found.track_ids = link_boxes(found.frame_inds, found.boxes_xyxy)
    count = len(found.scores)
    found.labels = list(detections.get('labels', [''] * count))
    found.reasons = list(detections.get('reasons', [''] * count))
    if 'examples' in detections:
        found.examples = list(detections.examples)
    return found
