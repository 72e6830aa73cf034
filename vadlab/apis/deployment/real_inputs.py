"""Real inputs for the check of an export: from the test data of a config, or from given files."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.config import Config
from torch import Tensor

from vadlab.apis.inferencers.base_inferencer import build_steps
from vadlab.apis.inferencers.caption_inputs import read_inputs
from vadlab.apis.inferencers.frame_sampling import FrameSampling, steps_of_test
from vadlab.apis.inferencers.streamed_scorer import StreamedScorer
from vadlab.apis.inferencers.video_inputs import find_sources
from vadlab.registry import DATASETS
from vadlab.utils.errors import ConfigError, VADLabError

_VIDEOS, _FRAMES = 2, 8  # of the check
_ADVICE = 'Give real inputs for the check: --check-with FILE'


def check_frames(config: Config, files: Sequence[str | Path]) -> np.ndarray:
    """Frames of some videos as a method gets them, RGB, uint8, shape (n, H, W, 3), n > 1.

    Args:
        config (Config): The experiment.
        files (Sequence): Videos; without any, those of the test data.

    Raises:
        ConfigError: There are no videos.
    """
    paths = [str(path) for path in files] or [sample['video_path'] for sample in test_samples(config, _VIDEOS)]
    scorer = StreamedScorer(config, FrameSampling(config), 1, _FRAMES)
    pictures = []
    for source in find_sources(paths)[:_VIDEOS]:
        opened = scorer.reader.look_at(source)
        inds = np.unique(np.linspace(0, opened.total_frames - 1, _FRAMES // 2 + 1).round().astype(np.int64))
        frames = np.stack(list(scorer.reader.pictures(opened, inds)))
        pictures.append(frames if scorer.reader.change is None else scorer.reader.change(frames))
    sizes = {picture.shape[1:] for picture in pictures}
    if len(sizes) > 1:
        raise ConfigError(f'The videos of the check have frames of different sizes: {sorted(sizes)}. Give one video.')
    return np.concatenate(pictures)


def check_features(config: Config) -> list[Tensor]:
    """Snippet features of some test videos, float32, shape (c, t, d) each.

    Raises:
        ConfigError: There are none.
    """
    pipeline = build_steps(steps_of_test(config))
    found = []
    for sample in test_samples(config, _VIDEOS):
        found.append(pipeline(sample)['inputs'].float())
    return found


def check_images(config: Config, files: Sequence[str | Path]) -> list[Any]:
    """Images of the check: :class:`~vadlab.apis.inferencers.caption_inputs.CaptionInput`.

    Args:
        config (Config): The experiment.
        files (Sequence): Images and videos; without any, those of the test data.

    Raises:
        ConfigError: There are no images.
    """
    paths = [str(path) for path in files] or [sample['image_path'] for sample in test_samples(config, _FRAMES // 2)]
    found = [one for one in read_inputs(paths, num_frames=2) if one.error is None][: _FRAMES // 2]
    if len(found) < 2:
        raise ConfigError(f'The check needs at least two images. {_ADVICE}')
    return found


def test_samples(config: Config, count: int) -> list[dict]:
    """Records of the first samples of the test data.

    Raises:
        ConfigError: There is no test data here.
    """
    settings = (config.get('test_dataloader') or {}).get('dataset')
    if settings is None:
        raise ConfigError(f'The config has no test data. {_ADVICE}')
    try:
        dataset = DATASETS.build(settings)
        return [dataset.get_data_info(i) for i in range(min(count, len(dataset)))]
    except (VADLabError, OSError) as error:
        raise ConfigError(f'The test data of the config cannot be read: {str(error).rstrip(".")}. {_ADVICE}') from error


def as_pixels(frames: np.ndarray) -> Tensor:
    """Frames, uint8, shape (n, H, W, 3), as a tensor of shape (n, 3, H, W)."""
    return torch.from_numpy(frames).permute(0, 3, 1, 2).contiguous()
