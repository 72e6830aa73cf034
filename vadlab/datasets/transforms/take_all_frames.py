import numpy as np
from mmcv.transforms import BaseTransform

from ...registry import TRANSFORMS


@TRANSFORMS.register_module()
class TakeAllFrames(BaseTransform):
    """Choose every frame of a video, for methods that score each of them.

    Required keys: total_frames

    Added keys: frame_inds (int64, shape (total_frames,))
    """

    def transform(self, results: dict) -> dict:
        results['frame_inds'] = np.arange(results['total_frames'], dtype=np.int64)
        return results

    def __repr__(self) -> str:
        return f'{type(self).__name__}()'
