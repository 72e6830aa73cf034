from typing import Any

import torch
from torch import Tensor

from vadlab.registry import MODELS
from vadlab.utils.errors import DataError

from .pixel_data_preprocessor import PixelDataPreprocessor, names_in_batch, packed_inputs


@MODELS.register_module()
class CaptionDataPreprocessor(PixelDataPreprocessor):
    """Stacks the images of a batch and normalises them on the device.

    Images are copied as uint8, a quarter of the size of float32. Stored patches, which replace images, are only
    stacked. Captions stay on the CPU; the model pads them and copies what it needs.

    Args:
        mean (Sequence[float]): Mean of red, green and blue, on the scale 0..255; CLIP's by default.
        std (Sequence[float]): Standard deviation of red, green and blue, > 0.
        non_blocking (bool): Copy from pinned memory asynchronously.

    Raises:
        ConfigError: ``mean`` and ``std`` are not three numbers each, or a std is not positive.
    """

    def forward(self, data: dict[str, Any], training: bool = False) -> dict[str, Any]:
        """Convert a collated batch to the model's inputs.

        Args:
            data (dict): ``inputs``, a list of B images, uint8, shape (3, H, W) each, or of the patches of B images,
                floating point, shape (tokens, width) each; ``data_samples``, a list of
                :class:`~vadlab.structures.CaptionDataSample` or None. Other keys are passed on.
            training (bool): Unused.

        Returns:
            dict: The same keys; ``inputs`` is float32 on the device, shape (B, 3, H, W) for images, (B, tokens, width)
            for patches.

        Raises:
            DataError: An image is not uint8 with three channels, or the sizes differ.
        """
        images: list[Tensor] = list(packed_inputs(data))
        names = names_in_batch(data.get('data_samples'), len(images), 'image')
        are_patches = bool(images) and images[0].ndim == 2 and images[0].is_floating_point()
        for name, image in zip(names, images, strict=True):
            if are_patches:
                if (image.shape, image.dtype) != (images[0].shape, images[0].dtype):
                    raise DataError(
                        f'CaptionDataPreprocessor: {name} is {image.dtype} of shape {tuple(image.shape)}, but others '
                        f'of its batch are {images[0].dtype} patches of shape {tuple(images[0].shape)}.'
                    )
                continue
            if image.dtype != torch.uint8 or image.ndim != 3 or image.shape[0] != 3:
                raise DataError(
                    f'CaptionDataPreprocessor: {name} is {image.dtype} of shape {tuple(image.shape)}; wanted uint8 '
                    '(3, height, width), as PackCaptionInputs makes.'
                )
            if image.shape != images[0].shape:
                raise DataError(
                    f'CaptionDataPreprocessor: {name} is {image.shape[1]}x{image.shape[2]} pixels, but others of its '
                    f'batch {images[0].shape[1]}x{images[0].shape[2]}. Put Resize into the pipeline.'
                )
        stack = self.to_device(torch.stack(images))
        if are_patches:
            return {**data, 'inputs': stack}
        return {**data, 'inputs': (stack.float() - self.mean) / self.std}
