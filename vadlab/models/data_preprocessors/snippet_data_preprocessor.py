from typing import Any

import torch
from mmengine.model import BaseDataPreprocessor
from torch import Tensor

from vadlab.registry import MODELS
from vadlab.utils.errors import DataError

from .pixel_data_preprocessor import names_in_batch, packed_inputs


@MODELS.register_module()
class SnippetDataPreprocessor(BaseDataPreprocessor):
    """Stacks the snippet features of a batch on the device, padded with zeros to the longest video.

    The samples' ``num_snippets`` tell real snippets from padding, because real features may be zero. Features are
    copied in the precision of their files, mostly float16, and converted to float32 on the device.

    Args:
        non_blocking (bool): Copy from pinned memory asynchronously.
    """

    def __init__(self, non_blocking: bool = True) -> None:
        super().__init__(non_blocking=non_blocking)

    def forward(self, data: dict[str, Any], training: bool = False) -> dict[str, Any]:
        """Convert a collated batch to the model's inputs.

        Args:
            data (dict): ``inputs``, a list of B videos, floating point, shape (C, T, D) each; ``data_samples``, a list
                of :class:`~vadlab.structures.VADDataSample` or None. Other keys are passed on.
            training (bool): Unused.

        Returns:
            dict: The same keys; ``inputs`` is float32 on the device, shape (B, C, T, D).

        Raises:
            DataError: A video does not have features of shape (C, T, D), or the numbers of crops or feature sizes
                differ.
        """
        videos: list[Tensor] = list(packed_inputs(data))
        names = names_in_batch(data.get('data_samples'), len(videos), 'video')
        for name, video in zip(names, videos, strict=True):
            if video.ndim != 3 or not video.is_floating_point():
                raise DataError(
                    f'SnippetDataPreprocessor: {name} is {video.dtype} of shape {tuple(video.shape)}; wanted floats '
                    '(crops, snippets, features), as PackSnippetInputs makes.'
                )
            if video.shape[0] != videos[0].shape[0] or video.shape[2] != videos[0].shape[2]:
                raise DataError(
                    f'SnippetDataPreprocessor: {name} has {video.shape[0]} crops of {video.shape[2]} features, but '
                    f'{names[0]} in the same batch {videos[0].shape[0]} of {videos[0].shape[2]}. Use feature sets of '
                    'one kind and the same crops of all videos, or set batch_size=1.'
                )
        longest = max(video.shape[1] for video in videos)
        crops, _, dim = videos[0].shape
        out = torch.zeros(len(videos), crops, longest, dim, dtype=torch.float32, device=self.device)
        for place, video in zip(out, videos, strict=True):
            place[:, : video.shape[1]].copy_(video.to(self.device, non_blocking=self._non_blocking))
        return {**data, 'inputs': out}
