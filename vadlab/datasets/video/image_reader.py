"""Reading images, turned as a viewer shows them."""

import io
import struct
import warnings

import cv2
import numpy as np

from ...utils.errors import DataError, MissingFileError
from .orientation import Orientation

#: Extensions of image files, in lower case.
IMAGE_ENDINGS = frozenset(['.jpg', '.jpeg', '.png', '.bmp', '.webp', '.tif', '.tiff'])

_EXIF_ORIENTATION = 0x0112
#: Orientations (transposed, mirrored, upended) by EXIF number.
_TURNS = {
    2: Orientation(False, True, False),
    3: Orientation(False, True, True),
    4: Orientation(False, False, True),
    5: Orientation(True, False, False),
    6: Orientation(True, True, False),
    7: Orientation(True, True, True),
    8: Orientation(True, False, True),
}


def read_image(path: str) -> np.ndarray:
    """An image, RGB, uint8, shape (H, W, 3).

    Raises:
        MissingFileError: There is no such file.
        DataError: It is not an image, or is damaged.
    """
    try:
        with open(path, 'rb') as file:
            content = np.frombuffer(file.read(), np.uint8)
    except FileNotFoundError:
        raise MissingFileError(f'{path}: there is no such image. Check data_root and image_dirs') from None
    except OSError as error:
        raise DataError(f'{path} cannot be read: {error.strerror}') from error
    is_webp = content[8:12].tobytes() == b'WEBP'
    flags = cv2.IMREAD_COLOR | (cv2.IMREAD_IGNORE_ORIENTATION if is_webp else 0)
    try:
        image = cv2.imdecode(content, flags) if _is_decodable(content) else None
    except cv2.error:  # for a header with more pixels than OpenCV accepts
        image = None
    if image is None:
        raise DataError(f'{path} is not an image, or is damaged ({len(content):,} bytes). Download or copy it again')
    if is_webp and (turn := _webp_turn(content)) is not None:
        image = turn.apply(image)
    return cv2.cvtColor(image, cv2.COLOR_BGR2RGB)


def _is_decodable(content: np.ndarray) -> bool:
    """False for an empty file, and for a PNG with a chunk beyond its end, on which OpenCV may use 4 GB of memory."""
    if content[:8].tobytes() != b'\x89PNG\r\n\x1a\n':
        return len(content) > 0
    place = 8
    while place + 8 <= len(content) and content[place + 4 : place + 8].tobytes() != b'IEND':
        place += 12 + int.from_bytes(content[place : place + 4].tobytes(), 'big')
    return place <= len(content)


def _webp_turn(content: np.ndarray) -> Orientation | None:
    """EXIF orientation of a WebP image; OpenCV applies that of all other formats."""
    from PIL import Image  # not needed for videos and other images

    try:
        with warnings.catch_warnings(), Image.open(io.BytesIO(content.tobytes()), formats=('WEBP',)) as image:
            warnings.simplefilter('ignore')
            return _TURNS.get(image.getexif().get(_EXIF_ORIENTATION, 1))
    except (OSError, ValueError, SyntaxError, struct.error):
        return None  # unreadable EXIF data are ignored
