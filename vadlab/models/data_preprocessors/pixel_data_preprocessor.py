from collections.abc import Mapping, Sequence
from typing import Any

import torch
from mmengine.model import BaseDataPreprocessor
from torch import Tensor

from vadlab.utils.errors import ConfigError

# CLIP's mean and standard deviation (Radford et al., 2021), on the scale 0..255.
CLIP_MEAN = (122.7709383, 116.7460125, 104.09373615)
CLIP_STD = (68.5005327, 66.6321375, 70.32316305)


class PixelDataPreprocessor(BaseDataPreprocessor):
    """Base class of preprocessors that normalise uint8 RGB on the device.

    Args:
        mean (Sequence[float]): Mean of red, green and blue, on the scale 0..255; CLIP's by default.
        std (Sequence[float]): Standard deviation of red, green and blue, > 0.
        non_blocking (bool): Copy from pinned memory asynchronously.

    Raises:
        ConfigError: ``mean`` and ``std`` are not three numbers each, or a std is not positive.
    """

    def __init__(
        self, mean: Sequence[float] = CLIP_MEAN, std: Sequence[float] = CLIP_STD, non_blocking: bool = True
    ) -> None:
        super().__init__(non_blocking=non_blocking)
        if len(mean) != 3 or len(std) != 3 or min(std) <= 0:
            raise ConfigError(
                f'{type(self).__name__}: mean and std are three numbers each, std positive; got {mean}, {std}.'
            )
        self.register_buffer('mean', torch.tensor(mean).view(3, 1, 1), persistent=False)
        self.register_buffer('std', torch.tensor(std).view(3, 1, 1), persistent=False)

    def to_device(self, tensor: Tensor) -> Tensor:
        """Copy a tensor to the model's device."""
        return tensor.to(self.device, non_blocking=self._non_blocking)


def packed_inputs(data: Mapping[str, Any]) -> Any:
    """``inputs`` of a collated batch.

    Raises:
        ConfigError: There are none: the pipeline has no step that packs.
    """
    if 'inputs' not in data:
        raise ConfigError(
            f'A batch has no inputs, only {", ".join(sorted(map(str, data))) or "nothing"}: the pipeline of the data '
            'set must end with a step that packs, such as PackVADInputs, PackSnippetInputs or PackCaptionInputs.'
        )
    return data['inputs']


def names_in_batch(samples: Sequence[Any] | None, count: int, kind: str) -> list[str]:
    """Names of the samples of a batch for messages: their ids, or else their positions.

    Args:
        samples (Sequence | None): Data samples; some or all may be None.
        count (int): Size of the batch.
        kind (str): Kind of the samples, such as ``video`` for samples with a ``video_id``.
    """
    key = f'{kind}_id'
    return [
        f'{kind} {sample.get(key)!r}' if sample is not None and key in sample else f'{kind} {i} of the batch'
        for i, sample in enumerate(samples or [None] * count)
    ]
