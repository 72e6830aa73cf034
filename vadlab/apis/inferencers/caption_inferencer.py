"""Caption images with a trained captioner."""

import math
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import groupby, islice
from pathlib import Path
from typing import TypeAlias

import numpy as np
import torch
from mmengine.config import Config
from mmengine.dataset import Compose, pseudo_collate

from vadlab.utils.config_check import checked_arguments
from vadlab.utils.errors import ConfigError
from vadlab.utils.many_files import Engine, Lost
from vadlab.utils.scoring_arguments import check_caption_frames

from .base_inferencer import BaseInferencer, build_steps
from .caption_inputs import AT_ONCE, CaptionFile, CaptionInput, find_inputs, is_video, parts_of, read_files
from .frame_sampling import steps_of_test

_Files: TypeAlias = list[CaptionFile]


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
        fill_batches (bool | None): Fill batches with frames of several videos; a caption may then depend on the other
            videos, where two words are almost equally probable. None: on a GPU.

    Raises:
        ConfigError: The config is not of a captioner, or its test pipeline does not read images.
        CheckpointError: The weights do not fit the model.
    """

    @checked_arguments
    def __init__(
        self,
        config: Config | str | Path,
        checkpoint: str | Path | None,
        device: str | None = None,
        batch_size: int = 16,
        backend: str = 'torch',
        fill_batches: bool | None = None,
    ) -> None:
        self.batch_size = batch_size
        super().__init__(config, checkpoint, device, backend)
        self.fill_batches = self.fills_batches(fill_batches)
        self.made_by |= dict(batch_size=batch_size, backend=backend, fill_batches=fill_batches)

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

    def files(
        self,
        sources: Sequence[str | os.PathLike],
        every_s: float = 2.0,
        num_frames: int | None = None,
        engine: Engine | None = None,
        threads: int = 1,
    ) -> Iterator[Described | CaptionInput]:
        """Caption images, and frames of videos. A batch has frames of one video, or images that follow each other.

        If batches are filled, it has any of them, in this process.

        Args:
            sources (Sequence): Files, folders, lists, patterns.
            every_s (float): Seconds between the sampled frames of a video, >= 0.001, starting with its first frame.
            num_frames (int | None): Sample this number of frames per video instead, in the middle of equal parts.
            engine (Engine | None): What captions them; None: this process. Each worker has a model of its own. A long
                video is captioned in parts.
            threads (int): Threads of each worker.

        Yields:
            Described | CaptionInput: In the order of the files, without pixels in ``source``; with its error a file
            that cannot be read.

        Raises:
            ConfigError, MissingFileError, DataError: See :func:`~vadlab.apis.inferencers.caption_inputs.read_inputs`.
        """
        check_caption_frames(every_s, num_frames)
        files = [CaptionFile(*file) for file in find_inputs(sources)]
        groups = _groups(files, self.batch_size)
        if engine is None or engine.is_here:
            for group in [files] if self.fill_batches else groups:
                yield from self.describe(group, every_s, num_frames)
            return
        # Whole batches, and whole blocks of decoded frames: then the results are those of one process.
        length = math.lcm(AT_ONCE, self.batch_size)
        parts: list[_Files] = []
        for group in groups:
            if is_video(group[0]):
                parts += [[part] for part in parts_of(group[0], every_s, num_frames, length)]
            else:
                parts.append(group)
        how = partial(_describing, every_s=every_s, num_frames=num_frames)
        yield from self._files_elsewhere(how, parts, engine, threads)

    def describe(self, files: _Files, every_s: float, num_frames: int | None) -> Iterator[Described | CaptionInput]:
        """Caption one group of files; see :meth:`files`."""
        for can_be_read, inputs in groupby(
            read_files(files, every_s, num_frames), key=lambda found: found.error is None
        ):
            if not can_be_read:
                yield from inputs
                continue
            for found in self(inputs):
                yield replace(found, source=replace(found.source, image=None))

    def _files_elsewhere(
        self, how: Callable, groups: Sequence[_Files], engine: Engine, threads: int
    ) -> Iterator[Described | CaptionInput]:
        unread = None
        for group, results in self.elsewhere(how, groups, engine, threads, in_order=True):
            path, name, *_ = group[0]
            if path == unread:  # a later part of a video that cannot be read to its end
                continue
            if isinstance(results, Lost):
                if len(group) > 1:  # one of them ended the process
                    yield from self._files_elsewhere(how, [[file] for file in group], engine, threads)
                    continue
                results = [CaptionInput(path, name, error=f'{path}: {results.reason}')]
            yield from results
            if results and isinstance(results[-1], CaptionInput):
                unread = path


def _groups(files: _Files, batch_size: int) -> Iterator[_Files]:
    """Files that are captioned together: images that follow each other, or a video."""
    for of_video, same in groupby(files, key=is_video):
        while group := list(islice(same, 1 if of_video else batch_size)):
            yield group


def _describing(
    inferencer: CaptionInferencer, every_s: float, num_frames: int | None
) -> Callable[[_Files], list[Described | CaptionInput]]:
    return lambda files: list(inferencer.describe(files, every_s, num_frames))


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
