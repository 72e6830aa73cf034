"""Scores of videos by methods that embed frame by frame, in memory that does not depend on the length of a video.

This module needs neither torch nor MMEngine: exported models run through it, too.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from vadlab.datasets.video.frame_changes import pixel_changes
from vadlab.datasets.video.sampled_frames import interpolated
from vadlab.utils.errors import ConfigError

from .frame_reader import Chunk, Failed, FrameReader, Opened
from .frame_sampling import FrameSampling, frame_size, steps_of_test
from .scored_video import ScoredVideo
from .video_inputs import VideoSource


@dataclass
class _Open:
    opened: Opened
    embeds: np.ndarray | None = field(repr=False)  # of the distinct sampled frames, (F, e)
    left: int = 0


class StreamedScorer:
    """Base class of scorers of methods that embed frames one by one and then score the embeddings of a video.

    Threads decode while the model runs. A batch has frames of one video, so its scores do not depend on the others. If
    batches are filled with frames of several videos, scores may differ in the last digits with the other videos, but
    not from run to run. Only the embeddings of sampled frames are kept, so a video of three hours needs only a few
    megabytes more than one of three minutes.

    Args:
        config (Mapping): The experiment.
        sampling (FrameSampling): The frames that the model sees.
        workers (int): Decoding threads.
        batch_size (int): Frames per forward pass.
        fps (float): Frame rate of arrays and folders of frames.
        fill_batches (bool): Fill batches with frames of several videos.

    Raises:
        ConfigError: The test pipeline of the config does not decode videos.
    """

    def __init__(
        self,
        config: Mapping[str, Any],
        sampling: FrameSampling,
        workers: int = 2,
        batch_size: int = 32,
        fps: float = 25.0,
        fill_batches: bool = False,
    ) -> None:
        steps = steps_of_test(config)
        decode = next((step for step in steps if step['type'] == 'DecodeFrames'), None)
        if decode is None:
            raise ConfigError('The test pipeline of this config does not decode videos (it has no DecodeFrames).')
        self.batch_size = batch_size
        self.fill_batches = fill_batches
        self._has_texts = False
        interpolation = decode.get('interpolation', 'bicubic')
        change = pixel_changes(steps)
        self.reader = FrameReader(sampling, frame_size(decode), interpolation, change, workers, batch_size, fps)

    # ---- what a scorer implements ----------------------------------------------------------------------------------

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the classes or prompts.

        Raises:
            ConfigError: The method has no frame scores.
        """
        raise NotImplementedError

    def embed_frames(self, frames: np.ndarray) -> np.ndarray:
        """Embeddings of frames, RGB, uint8, shape (n, H, W, 3): float32, shape (n, e)."""
        raise NotImplementedError

    def score_embeds(self, embeds: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Logits, shape (t,), and class probabilities, shape (t, C), of all sampled frames of a video, in order."""
        raise NotImplementedError

    def probabilities(self, logits: np.ndarray) -> np.ndarray:
        """Probabilities of logits of any shape, float32."""
        return (1 / (1 + np.exp(-logits.astype(np.float64)))).astype(np.float32)

    def scope(self) -> AbstractContextManager:
        """Context in which videos are scored."""
        return nullcontext()

    # ---- what they share -------------------------------------------------------------------------------------------

    def __call__(self, sources: Sequence[VideoSource]) -> Iterator[ScoredVideo]:
        """Score videos; each is delivered as soon as it is complete."""
        assert self.classes  # raises if the method has no frame scores
        open_videos: dict[str, _Open] = {}
        self._has_texts = False
        failed: set[str] = set()
        waiting: list[Chunk] = []  # for a full batch
        fills = self.fill_batches and self.reader.reads_whole_videos(sources)
        with self.scope():
            for item in self.reader(sources, in_order=fills):
                name = item.source.name
                if isinstance(item, Opened):
                    open_videos[name] = _Open(item, None, len(np.unique(item.frame_inds)))
                elif isinstance(item, Failed):
                    open_videos.pop(name, None)
                    waiting = [chunk for chunk in waiting if chunk.source.name != name]
                    if name not in failed:  # a video read in two parts may fail in both
                        failed.add(name)
                        yield ScoredVideo(item.source, error=item.reason)
                elif name not in failed:
                    waiting.append(item)
                    while waiting and (not fills or sum(len(chunk.frames) for chunk in waiting) >= self.batch_size):
                        batch, waiting = _split(waiting, self.batch_size)
                        yield from self._embed(batch, open_videos)
            yield from self._embed(waiting, open_videos)

    def _embed(self, batch: list[Chunk], open_videos: dict[str, _Open]) -> Iterator[ScoredVideo]:
        """Embed frames in one forward pass; yield the videos that are complete then."""
        if not batch:
            return
        frames = batch[0].frames if len(batch) == 1 else np.concatenate([chunk.frames for chunk in batch])
        embeds = self.embed_frames(frames)
        if not self._has_texts:  # their embeddings are kept; make them while the threads decode
            self.score_embeds(embeds[:1])
            self._has_texts = True
        ends = np.cumsum([len(chunk.frames) for chunk in batch])
        for chunk, own in zip(batch, np.split(embeds, ends[:-1]), strict=True):
            video = open_videos[chunk.source.name]
            if video.embeds is None:
                video.embeds = np.empty((video.left, embeds.shape[1]), np.float32)
            video.embeds[chunk.start : chunk.start + len(own)] = own
            video.left -= len(own)
            if video.left == 0:
                yield self._finish(open_videos.pop(chunk.source.name))

    def _finish(self, video: _Open) -> ScoredVideo:
        opened = video.opened
        distinct, first, places = np.unique(opened.frame_inds, return_index=True, return_inverse=True)
        assert video.embeds is not None
        logits, class_scores = self.score_embeds(video.embeds[places])
        return ScoredVideo(
            opened.source,
            opened.fps,
            opened.size,
            self.probabilities(interpolated(logits, opened.frame_inds, opened.total_frames)),
            opened.times,
            distinct,
            self.classes,
            class_scores[first],
        )


def _split(chunks: list[Chunk], count: int) -> tuple[list[Chunk], list[Chunk]]:
    """The first ``count`` frames of chunks, and the others."""
    first: list[Chunk] = []
    for number, chunk in enumerate(chunks):
        if len(chunk.frames) > count:
            cut = replace(chunk, start=chunk.start + count, frames=chunk.frames[count:])
            head = [replace(chunk, frames=chunk.frames[:count])] if count else []
            return first + head, [cut, *chunks[number + 1 :]]
        first.append(chunk)
        count -= len(chunk.frames)
    return first, []
