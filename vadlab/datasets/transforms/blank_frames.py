import numpy as np
from mmcv.transforms import BaseTransform

from ...registry import TRANSFORMS


@TRANSFORMS.register_module()
class BlankFrames(BaseTransform):
    """Make every pixel black: a control experiment, to measure how much of a score does not depend on the pixels.

    Required keys: frames

    Modified keys: frames

    Args:
        enabled: False leaves the frames unchanged, so that one variable of a config can switch the control.
    """

    def __init__(self, enabled: bool = True) -> None:
        self.enabled = enabled

    def transform(self, results: dict) -> dict:
        if self.enabled:
            results['frames'] = np.zeros_like(results['frames'])
        return results

    def __repr__(self) -> str:
        return f'{type(self).__name__}(enabled={self.enabled})'
