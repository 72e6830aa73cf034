# Shapes: s snippets, f frames of a snippet, c crops, d channels.
"""Find out how a feature set was made, by extracting some of its features with common mistakes."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.config import Config

from vadlab.utils.errors import DataError

from .comparison import FeatureSet, _unit
from .extraction import FeatureExtraction
from .snippet_plan import SnippetPlan
from .snippet_source import Snippet, SnippetSource
from .video_list import VideoItem

#: The settings that are tried.
CHOICES: dict[str, tuple[Any, ...]] = {
    'channels': ('RGB', 'BGR'),
    'pixels': ('as the config', '0..255 as they are', '0..1 without mean and deviation', 'ImageNet mean and deviation'),
    'frames': ('middle', 'first', 2, 4, 'all'),
    'resize': ((256, 340), 'shorter side 256', 'shorter side = crop', 'squeezed to the crop'),
    'interpolation': ('bilinear', 'bicubic'),
    'resizer': ('swscale', 'opencv'),
    'mirrored': (False, True),
    'crop': ('centre', 'top_left', 'top_right', 'bottom_left', 'bottom_right'),
}
#: Difference of a cosine from 1 that is caused by rounding to float16.
ROUNDING = 1e-6
_IMAGENET = ((123.675, 116.28, 103.53), (58.395, 57.12, 57.375))


@dataclass(frozen=True)
class Attempt:
    """One variant of the settings, and the similarity of its features to the set.

    Attributes:
        changed (str): The change from the previous variant; empty for the config's own settings.
        settings (dict): All settings of the variant.
        cosine (float): Mean cosine over the snippets, with the best crop of the set.
        crop (int): Number of that crop.
    """

    changed: str
    settings: dict[str, Any]
    cosine: float
    crop: int


class FeatureExplanation:
    """Extracts features of a few videos with several settings, and finds those that agree best with a set.

    Args:
        config (Config): A features config; its weights are assumed to be right.
        target (FeatureSet): The set to explain.
        videos (list[VideoItem]): Videos of the set; the first ``max_videos`` that are in the set are used.
        device (str): Device of the model.
        max_videos (int): Number of videos.
        max_snippets (int): Number of snippets per video, from its start.

    Raises:
        DataError: None of the videos is in the set, or it has another number of channels than the model.
    """

    def __init__(
        self,
        config: Config,
        target: FeatureSet,
        videos: list[VideoItem],
        device: str = 'cpu',
        max_videos: int = 3,
        max_snippets: int = 24,
    ) -> None:
        self._extraction = FeatureExtraction(config, Path(), device)
        known = [video for video in videos if video.name.rsplit('/', 1)[-1] in target.files][:max_videos]
        if not known:
            raise DataError(
                f'None of the {len(videos)} videos is in {target.source} (such as {next(iter(target.files))}).'
            )
        self._videos = known
        self._max_snippets = max_snippets
        self._target = {video.name: _unit(target.read(video.name.rsplit('/', 1)[-1])) for video in known}
        dim = next(iter(self._target.values())).shape[-1]
        if dim != self._extraction.model.feature_dim:
            raise DataError(
                f'{target.source} has {dim} channels, the config makes {self._extraction.model.feature_dim}. Take the '
                'config of its backbone.'
            )
        self._decoded: dict[tuple, dict[str, torch.Tensor]] = {}

    def run(self, tell: Callable[[Attempt], None] | None = None) -> list[Attempt]:
        """Change one setting after the other, each time the one that helps most, until no change helps (greedy search).

        Args:
            tell (Callable | None): Called with every variant that is tried.

        Returns:
            list[Attempt]: The config's own settings, and the variant after each change; the last is the best.
        """
        settings: dict[str, Any] = {key: values[0] for key, values in CHOICES.items()}
        own = self._extraction.settings
        settings.update(frames=own['frames'], interpolation=own['interpolation'], resizer=own['resizer'])
        settings['resize'] = own['resize'] if isinstance(own['resize'], int) else tuple(own['resize'])
        choices = {key: dict.fromkeys((settings[key], *values)) for key, values in CHOICES.items()}
        if self._extraction.model.takes_clips:
            del choices['frames']
        tried: dict[str, Attempt] = {}
        steps = [self._try('', settings, tried, tell)]
        while len(steps) <= len(CHOICES):
            now = steps[-1].settings
            ways = [
                self._try(f'{key}: {value}', {**now, key: value}, tried, tell)
                for key, values in choices.items()
                for value in values
                if value != now[key]
            ]
            best = max(ways, key=lambda way: way.cosine)
            missing, gain = 1 - steps[-1].cosine, best.cosine - steps[-1].cosine
            # Near 1 small gains count: the exact settings may differ by only a few 1e-5.
            if missing < ROUNDING or gain < min(1e-4, missing / 2):
                break
            steps.append(best)
        return steps

    def changes(self, steps: list[Attempt]) -> list[str]:
        """Differences of the best variant from the config, each as ``what: how``."""
        first, last = steps[0].settings, steps[-1].settings
        return [f'{key}: {last[key]}' for key in CHOICES if last[key] != first[key]]

    def _try(
        self,
        changed: str,
        settings: dict[str, Any],
        tried: dict[str, Attempt],
        tell: Callable[[Attempt], None] | None,
    ) -> Attempt:
        key = repr(sorted(settings.items()))
        if key not in tried:
            parts, count = [], 0
            for name, frames in self._frames(settings).items():
                feats_sd = _unit(self._encode(frames, settings))
                target_csd = self._target[name][:, : len(feats_sd)]
                parts.append((target_csd * feats_sd[: target_csd.shape[1]]).sum(-1).sum(-1))
                count += target_csd.shape[1]
            crops = min(len(part) for part in parts)
            means = np.sum([part[:crops] for part in parts], axis=0) / count
            tried[key] = Attempt(changed, settings, float(means.max()), int(means.argmax()))
            if tell is not None:
                tell(tried[key])
        return tried[key]

    def _frames(self, settings: dict[str, Any]) -> dict[str, torch.Tensor]:
        """Scaled frames of every video, uint8, shape (s, f, h, w, 3)."""
        key = tuple(str(settings[name]) for name in ('frames', 'resize', 'interpolation', 'resizer'))
        if key not in self._decoded:
            while len(self._decoded) > 2:  # frames of all variants would fill the memory
                del self._decoded[next(iter(self._decoded))]
            plan = SnippetPlan(self._extraction.plan.snippet_len, self._extraction.plan.stride, settings['frames'])
            size = self._extraction.crops.size
            named: dict[Any, int | tuple[int, int]] = {
                'shorter side 256': 256,
                'shorter side = crop': size,
                'squeezed to the crop': (size, size),
            }
            resize: int | tuple[int, int] = named.get(settings['resize'], settings['resize'])
            if size > (resize if isinstance(resize, int) else min(resize)):
                resize = size  # a variant for smaller crops
            source = SnippetSource(plan, resize, size, settings['interpolation'], settings['resizer'])
            self._decoded[key] = {}
            for video in self._videos:
                taken = []
                for item in source.snippets_of(video):
                    if isinstance(item, Snippet):
                        taken.append(item.frames)
                        if len(taken) == self._max_snippets:
                            break
                self._decoded[key][video.name] = torch.from_numpy(np.stack(taken))
        return self._decoded[key]

    @torch.inference_mode()
    def _encode(self, frames: torch.Tensor, settings: dict[str, Any]) -> np.ndarray:
        crops, model = self._extraction.crops, self._extraction.model
        top, left = crops.corner(settings['crop'], *frames.shape[2:4])
        views = frames[:, :, top : top + crops.size, left : left + crops.size].movedim(-1, 2)
        if settings['channels'] == 'BGR':
            views = views.flip(2)
        if settings['mirrored']:
            views = views.flip(-1)
        mean, std = model.mean.clone(), model.std.clone()
        for buffer, value in zip((model.mean, model.std), self._pixels(settings['pixels'], mean, std), strict=True):
            buffer.copy_(value)
        try:
            return model(views.to(mean.device), self._extraction.batch_size).float().cpu().numpy()
        finally:
            model.mean.copy_(mean)
            model.std.copy_(std)

    @staticmethod
    def _pixels(kind: str, mean: torch.Tensor, std: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        if kind == '0..255 as they are':
            return torch.zeros_like(mean), torch.ones_like(std)
        if kind == '0..1 without mean and deviation':
            return torch.zeros_like(mean), torch.full_like(std, 255.0)
        if kind == 'ImageNet mean and deviation':
            return mean.new_tensor(_IMAGENET[0]).view_as(mean), std.new_tensor(_IMAGENET[1]).view_as(std)
        return mean, std
