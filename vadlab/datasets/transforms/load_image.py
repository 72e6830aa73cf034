from mmcv.transforms import BaseTransform

from ...registry import TRANSFORMS
from ..video.image_reader import read_image


@TRANSFORMS.register_module()
class LoadImage(BaseTransform):
    """Read an image as a clip of one frame, so that all frame transforms apply to it.

    Grey images get three equal channels, an alpha channel is dropped, and 16 bits become 8. Images are turned by their
    EXIF orientation.

    Required keys: image_path

    Added keys: frames (uint8, RGB, shape (1, H, W, 3)), ori_shape, img_shape (tuples of H and W)

    Raises:
        MissingFileError: There is no such file.
        DataError: It is not an image, or is damaged.
    """

    def transform(self, results: dict) -> dict:
        image = read_image(results['image_path'])
        results['frames'] = image[None]
        results['ori_shape'] = results['img_shape'] = image.shape[:2]
        return results

    def __repr__(self) -> str:
        return f'{type(self).__name__}()'
