from mmcv.transforms import BaseTransform

from ...registry import TRANSFORMS
from ...utils.errors import ConfigError
from ..video.frame_changes import square_part
from .random_generator import new_generator

_POSITIONS = ('center', 'random')


@TRANSFORMS.register_module()
class SquareCrop(BaseTransform):
    """Crop the largest square of the frames, so that a following ``Resize`` keeps the aspect ratio.

    With ``position='center'`` both steps together cover the same area as CLIP's own preprocessing.

    Required keys: frames

    Modified keys: frames (uint8, shape (T, S, S, 3)), img_shape

    Args:
        position: ``center``, or ``random`` along the longer side.
        enabled: False leaves the frames unchanged, so that one variable of a config can switch the crop.

    Raises:
        ConfigError: ``position`` is unknown.
    """

    def __init__(self, position: str = 'center', enabled: bool = True) -> None:
        if position not in _POSITIONS:
            raise ConfigError(f'SquareCrop: position is {position!r}; choose one of {", ".join(_POSITIONS)}')
        self.position = position
        self.enabled = enabled

    def transform(self, results: dict) -> dict:
        frames = results['frames']
        height, width = frames.shape[1:3]
        side = min(height, width)
        if not self.enabled or height == width:
            return results
        room = max(height, width) - side
        start = None if self.position == 'center' else int(new_generator().integers(room + 1))
        results['frames'] = square_part(frames, start)
        results['img_shape'] = (side, side)
        return results

    def __repr__(self) -> str:
        return f'{type(self).__name__}(position={self.position!r}, enabled={self.enabled})'
