import numpy as np
from mmcv.transforms import BaseTransform

from ...registry import TRANSFORMS
from ..formats.pixel_truth import mask_regions


@TRANSFORMS.register_module()
class LoadPixelTruth(BaseTransform):
    """Read the pixel masks of a test clip, and make regions and tracks of their connected components.

    Does nothing for a clip without pixel masks.

    Required keys: total_frames, ori_shape; pixel_truth (optional)

    Added keys: mask_bits (uint8, shape (N, H, ceil(W / 8)): the masks, eight pixels in a byte, as ``np.packbits``
    writes them), tracks (dict of ``track_ids``, ``frame_inds``, ``boxes_xyxy``, see
    :func:`~vadlab.datasets.formats.pixel_truth.mask_regions`)

    Args:
        min_area: Smaller components are dropped, in pixels.

    Raises:
        DataError: The masks cannot be read, or have another count or size than the frames.
    """

    def __init__(self, min_area: int = 1) -> None:
        self.min_area = min_area

    def transform(self, results: dict) -> dict:
        truth = results.get('pixel_truth')
        if truth is not None:
            masks = truth.read(results['total_frames'], results['ori_shape'])
            results['mask_bits'] = np.packbits(masks, axis=-1)
            results['tracks'] = mask_regions(masks, self.min_area)
        return results

    def __repr__(self) -> str:
        return f'{type(self).__name__}(min_area={self.min_area})'
