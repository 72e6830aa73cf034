"""Scores of videos by methods that embed frame by frame, in memory that does not depend on the length of a video."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from mmengine.config import Config
from torch import Tensor, nn

from vadlab.datasets.transforms.sample_frames import SampleFrames
from vadlab.datasets.video.patch_grid import patch_grid
from vadlab.models.heads.prompt_scoring_head import to_every_frame
from vadlab.models.layers.weights_cache import steady_weights
from vadlab.utils.errors import ConfigError

from .base_inferencer import build_steps, steps_of_test
from .frame_reader import Chunk, Failed, FrameReader, Opened, pixel_steps
from .scored_video import ScoredVideo
from .video_inputs import VideoSource

#: Frames from one sampled frame to the next, unless the test samples more densely: as of snippet methods.
USUAL_DISTANCE = 16
# Steps of a test pipeline that change pixels only, and steps that only prepare annotations.
_PIXEL_STEPS = ('Resize', 'SquareCrop', 'BlankFrames')
_ANNOTATION_STEPS = ('RegionsToBoxes', 'TokenizeCaptions', 'PackVADInputs')


def can_stream(model: nn.Module, config: Config) -> bool:
    """Whether a method embeds frames one by one, and its test pipeline has only steps that can be streamed."""
    kinds = [step['type'] for step in steps_of_test(config)]
    known = ('ProbeVideo', 'SampleFrames', 'DecodeFrames', *_PIXEL_STEPS, *_ANNOTATION_STEPS)
    return hasattr(model, 'embed_frames') and hasattr(model, 'score_embeds') and set(kinds) <= set(known)


class FrameSampling:
    """Chooses the frames of a video that the model sees.

    Args:
        config (Config): The experiment.
        distance (int | str): Frames from one sampled frame to the next; ``test``: the frames of the config's test;
            ``auto``: those, or every 16th frame if that is more.

    Raises:
        ConfigError: ``distance`` is not one of these.
    """

    def __init__(self, config: Config, distance: int | str = 'auto') -> None:
        is_number = isinstance(distance, int) and not isinstance(distance, bool)
        if (is_number and int(distance) < 1) or (not is_number and distance not in ('auto', 'test')):
            raise ConfigError(f'sampling={distance!r}: give auto, test, or N for every Nth frame.')
        self.distance = distance
        self._of_test: SampleFrames | None = None
        step = next((step for step in steps_of_test(config) if step['type'] == 'SampleFrames'), None)
        if step is not None:
            self._of_test = SampleFrames(**{k: v for k, v in step.items() if k != 'type'})
        elif distance == 'test':
            raise ConfigError('sampling=test: the test of this config has no SampleFrames.')

    def __str__(self) -> str:
        count = f'{self._of_test.num_frames} frames' if self._of_test else ''
        if self.distance == 'test':
            return f'{count} as in the test'
        usual = USUAL_DISTANCE if self.distance == 'auto' else self.distance
        return f'every {usual}th frame' + (f', at least {count}' if self.distance == 'auto' and count else '')

    def __call__(self, total: int) -> np.ndarray:
        """Sampled frames of a video with ``total`` frames, ascending, repeats possible, int64, shape (T,)."""
        tested = None
        if self._of_test is not None and self.distance in ('auto', 'test'):
            tested = self._of_test.transform({'total_frames': total, 'regions': []})['frame_inds']
            if self.distance == 'test':
                return tested
        distance = USUAL_DISTANCE if self.distance == 'auto' else int(self.distance)
        count = max(-(-total // distance), 1)
        if tested is not None and len(tested) > count:
            return tested
        return np.minimum(np.arange(count) * distance + distance // 2, total - 1)


def _size_of(decode: dict) -> tuple[int, int] | Callable[[int, int], tuple[int, int]]:
    """Size of the frames of DecodeFrames, or a function that computes it for a video."""
    size = decode.get('size')
    if size is not None:
        return (size, size) if isinstance(size, int) else (size[0], size[1])
    most, side = decode['max_patches'], decode.get('patch_size', 16)

    def whole_patches(height: int, width: int) -> tuple[int, int]:
        rows, columns = patch_grid(height, width, most)
        return rows * side, columns * side

    return whole_patches


@dataclass
class _Open:
    opened: Opened
    embeds: Tensor = field(repr=False)  # of the distinct sampled frames, (F, e)
    left: int = 0


class FrameScorer:
    """Scores videos with a model that has ``embed_frames`` and ``score_embeds``, such as FGCLIP.

    Threads decode while the model runs; a batch has frames of several videos. Only the embeddings of sampled frames
    are kept, so a video of three hours needs only a few megabytes more than one of three minutes.

    Args:
        model (nn.Module): The model.
        config (Config): The experiment.
        sampling (FrameSampling): The frames that the model sees.
        workers (int): Decoding threads.
        batch_size (int): Frames per forward pass.
        fps (float): Frame rate of arrays and folders of frames.
    """

    def __init__(
        self,
        model: Any,
        config: Config,
        sampling: FrameSampling,
        workers: int = 2,
        batch_size: int = 32,
        fps: float = 25.0,
    ) -> None:
        steps = steps_of_test(config)
        decode = next((step for step in steps if step['type'] == 'DecodeFrames'), None)
        if decode is None:
            raise ConfigError('The test pipeline of this config does not decode videos (it has no DecodeFrames).')
        changes = build_steps([step for step in steps if step['type'] in _PIXEL_STEPS]).transforms
        changes = [step for step in changes if getattr(step, 'enabled', True)]
        self.model = model
        self.batch_size = batch_size
        self._has_texts = False
        self.reader = FrameReader(
            sampling,
            _size_of(decode),
            decode.get('interpolation', 'bicubic'),
            pixel_steps(changes),
            workers,
            batch_size,
            fps,
        )

    def __call__(self, sources: Sequence[VideoSource]) -> Iterator[ScoredVideo]:
        """Score videos; each is delivered as soon as it is complete."""
        if self.model.score_head is None:
            raise ConfigError(f'{type(self.model).__name__}: this config has no score_head, so it has no frame scores.')
        open_videos: dict[str, _Open] = {}
        self._has_texts = False
        failed: set[str] = set()
        # The ends of videos are batched with those of other videos, if their frames have the same size.
        small: dict[tuple[int, ...], list[Chunk]] = {}
        with torch.inference_mode(), steady_weights():
            for item in self.reader(sources):
                name = item.source.name
                if isinstance(item, Opened):
                    count = len(np.unique(item.frame_inds))
                    open_videos[name] = _Open(item, torch.empty(0), count)
                elif isinstance(item, Failed):
                    open_videos.pop(name, None)
                    small = {k: [chunk for chunk in v if chunk.source.name != name] for k, v in small.items()}
                    if name not in failed:  # a video read in two parts may fail in both
                        failed.add(name)
                        yield ScoredVideo(item.source, error=item.reason)
                elif name not in failed:
                    batch = [item]
                    if len(item.frames) < self.batch_size and len(sources) > 1:
                        batch = [*small.pop(item.frames.shape[1:], []), item]
                        if sum(len(chunk.frames) for chunk in batch) < self.batch_size:
                            small[item.frames.shape[1:]] = batch
                            continue
                    yield from self._score(batch, open_videos)
            for batch in small.values():
                yield from self._score(batch, open_videos)

    def _score(self, batch: list[Chunk], open_videos: dict[str, _Open]) -> Iterator[ScoredVideo]:
        if not batch:
            return
        embeds = self.embed(np.concatenate([chunk.frames for chunk in batch]))
        if not self._has_texts:  # their embeddings are kept; make them while the threads decode
            self.model.score_embeds(embeds[:1])
            self._has_texts = True
        for chunk, part in zip(batch, embeds.split([len(chunk.frames) for chunk in batch]), strict=True):
            video = open_videos[chunk.source.name]
            if not len(video.embeds):
                video.embeds = torch.empty(video.left, part.shape[1])
            video.embeds[chunk.start : chunk.start + len(part)] = part
            video.left -= len(part)
            if video.left == 0:
                yield self._finish(open_videos.pop(chunk.source.name))

    def embed(self, frames: np.ndarray) -> Tensor:
        """Embeddings of frames, RGB, uint8, shape (n, H, W, 3): float32 on the CPU, shape (n, e)."""
        return self.model.embed_frames(self.to_inputs(frames)).float().cpu()

    def to_inputs(self, frames: np.ndarray) -> Tensor:
        """Normalised frames on the model's device, shape (n, 3, H, W)."""
        pixels = torch.from_numpy(frames).permute(0, 3, 1, 2).contiguous()
        return self.model.data_preprocessor({'inputs': [pixels], 'data_samples': None})['inputs'][0]

    def _finish(self, video: _Open) -> ScoredVideo:
        opened = video.opened
        distinct, first, places = np.unique(opened.frame_inds, return_index=True, return_inverse=True)
        logits, class_scores = self.model.score_embeds(video.embeds[torch.from_numpy(places)])
        scores = to_every_frame(logits, opened.frame_inds, opened.total_frames).sigmoid()
        return ScoredVideo(
            opened.source,
            opened.fps,
            opened.size,
            scores.numpy(),
            opened.times,
            distinct,
            tuple(self.model.score_head.classes),
            class_scores.cpu().numpy()[first],
        )
