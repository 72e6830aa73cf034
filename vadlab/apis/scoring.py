"""Score videos in two lines of Python."""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from vadlab.structures.video_result import VideoResult
from vadlab.utils.errors import ConfigError, DataError

if TYPE_CHECKING:
    from .inferencers.vad_inferencer import VADInferencer


def load_model(
    config: str | Path, checkpoint: str | Path | None = None, device: str | None = None, **options: Any
) -> 'VADInferencer':
    """Load a detector that is ready to score videos.

    Args:
        config (str | Path): The experiment.
        checkpoint (str | Path | None): Trained weights; None for zero-shot.
        device (str | None): Such as ``cuda:1``; by default the GPU, if there is one.
        **options: Further arguments of :class:`~vadlab.apis.inferencers.VADInferencer`, such as ``sampling``.

    Raises:
        MissingFileError, ConfigError, CheckpointError: A file does not exist, or they do not fit each other.
    """
    from .inferencers.vad_inferencer import VADInferencer

    return VADInferencer(config, checkpoint, device, **options)


def score_video(
    model: 'VADInferencer',
    video: str | os.PathLike | np.ndarray,
    prompts: Sequence[str] | None = None,
    negatives: Sequence[str] | None = None,
) -> VideoResult:
    """Score one video; no caption, annotation or class is needed.

    Args:
        model (VADInferencer): From :func:`load_model`.
        video: A file, a folder of frames, or frames (RGB, uint8, shape (N, H, W, 3)).
        prompts (Sequence[str] | None): What is looked for instead of the classes of the config, in words.
        negatives (Sequence[str] | None): What counts as normal, in words.

    Returns:
        VideoResult: ``scores`` and ``times`` of every frame, ``events``, and class scores if the method has classes.

    Raises:
        MissingFileError: There is no such file.
        DataError: It cannot be scored, or is more than one video.
        ConfigError: A prompt cannot be used.
    """
    from .inferencers.video_inputs import find_sources

    if not callable(model):
        raise ConfigError(f'score_video takes the model that load_model returns, not {model!r:.60}.')
    given = list(video) if isinstance(video, Iterator) else video
    sources = find_sources(given)
    if len(sources) != 1:
        what = video if isinstance(video, str | os.PathLike) else f'The {type(video).__name__}'
        raise DataError(f'{what} has {len(sources)} videos. For many, loop over model(videos).')
    (result,) = model(given, prompts, negatives)
    if result.error is not None:
        raise DataError(result.error)
    return result
