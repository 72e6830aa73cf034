from mmcv.transforms import BaseTransform

from ...registry import TRANSFORMS
from ...utils.errors import ConfigError
from ..video.frame_changes import resized


@TRANSFORMS.register_module(name='Resize')
class Resize(BaseTransform):
    """Resize decoded frames. ``DecodeFrames(size=...)`` is cheaper if only one size is needed.

    The aspect ratio is not kept, and boxes are normalised, so boxes do not change.

    Required keys: frames

    Modified keys: frames (uint8, shape (T, H, W, 3)), img_shape

    Args:
        size: Height and width, or one number for both, in pixels.

    Raises:
        ConfigError: ``size`` is not positive.
    """

    def __init__(self, size: int | tuple[int, int]) -> None:
        self.size = (size, size) if isinstance(size, int) else tuple(size)
        if len(self.size) != 2 or not all(isinstance(n, int) and n > 0 for n in self.size):
            raise ConfigError(f'Resize: size must be one or two whole numbers > 0, not {size!r}')

    def transform(self, results: dict) -> dict:
        results['frames'] = resized(results['frames'], (self.size[0], self.size[1]))
        results['img_shape'] = self.size
        return results

    def __repr__(self) -> str:
        return f'{type(self).__name__}(size={self.size})'
