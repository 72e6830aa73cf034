from mmcv.transforms import BaseTransform

from ...registry import TRANSFORMS
from ..video.image_reader import read_image


@TRANSFORMS.register_module()
class LoadImage(BaseTransform):
    """Read an image as a clip of one frame, so that all transforms of frames work on it.

    Grey images get three equal channels, an alpha channel is dropped, 16 bits become 8. A camera's note on how the
    image was held (EXIF) turns it.

    Required keys: image_path

    Added keys: frames (uint8, RGB, shape (1, H, W, 3)), ori_shape, img_shape (tuples of H and W)

    Raises:
        MissingFileError: There is no such file.
        DataError: It is no image, or damaged.
    """

    def transform(self, results: dict) -> dict:
        image = read_image(results['image_path'])
        results['frames'] = image[None]
        results['ori_shape'] = results['img_shape'] = image.shape[:2]
        return results

    def __repr__(self) -> str:
        return f'{type(self).__name__}()'
