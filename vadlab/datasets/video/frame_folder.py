"""Reading videos that are stored as folders with one image per frame."""

import os
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

import cv2
import numpy as np

from ...utils.natural_order import natural_sorted
from .errors import DamagedVideoError
from .image_reader import IMAGE_ENDINGS, read_image

#: Methods of ``cv2.resize``, by the names that all readers use.
INTERPOLATIONS = {'bilinear': cv2.INTER_LINEAR, 'bicubic': cv2.INTER_CUBIC, 'area': cv2.INTER_AREA}

_NUMBER = re.compile(r'(\d+)(?=\D*$)')


def frame_files(folder: str) -> list[str]:
    """The images of a folder in natural order: ``2.jpg`` before ``10.jpg``.

    Raises:
        DamagedVideoError: There are none.
    """
    names = [name for name in os.listdir(folder) if is_frame(name)]
    if not names:
        raise DamagedVideoError(f'{folder}: a folder without images is not a video')
    return [os.path.join(folder, name) for name in natural_sorted(names)]


def is_frame(name: str) -> bool:
    """Whether a file name is that of an image."""
    return os.path.splitext(name)[1].lower() in IMAGE_ENDINGS and not name.startswith('.')


def check_frame_numbers(folder: str | Path, names: Iterable[str]) -> None:
    """Check that frame numbers have no gap, since the motion across a gap is not a speed.

    Any first number and any constant step are accepted, and names of which none has a number.

    Raises:
        DamagedVideoError: A number is missing, two names have the same number, or some names have none.
    """
    found = {name: _NUMBER.search(Path(name).stem) for name in names}
    others = natural_sorted(name for name, match in found.items() if match is None)
    if len(found) < 3 or len(others) == len(found):
        return
    if others:
        raise DamagedVideoError(
            f'{folder}: {len(found) - len(others)} images have a number, and {others[0]} has none. Remove what is no '
            'frame'
        )
    numbers = sorted(int(match[1]) for match in found.values() if match)
    steps = [b - a for a, b in zip(numbers, numbers[1:], strict=False)]
    if 0 in steps:
        raise DamagedVideoError(
            f'{folder}: two frames have the number {numbers[steps.index(0)]}. Remove one kind of them'
        )
    step = min(steps)
    gaps = [i for i, value in enumerate(steps) if value != step]
    if gaps:
        before, after = numbers[gaps[0]], numbers[gaps[0] + 1]
        more = f' and {len(gaps) - 1} more gaps' if len(gaps) > 1 else ''
        raise DamagedVideoError(
            f'{folder}: after frame {before} comes frame {after}{more}. Copy the missing frames, or split the folder '
            'there'
        )


def stream_folder(
    folder: str, inds: np.ndarray, shape: tuple[int, int], size: tuple[int, int], interpolation: str
) -> Iterator[np.ndarray]:
    """Read some frames of a folder of images.

    Args:
        folder: The folder of images.
        inds: Wanted frames, int64, ascending.
        shape: Required height and width of each image, in pixels.
        size: Height and width of the result, in pixels.
        interpolation: ``bilinear``, ``bicubic`` or ``area``.

    Yields:
        RGB frames, uint8, shape (height, width, 3).

    Raises:
        DamagedVideoError: An image is missing, or has another size than the first one.
        DataError: An image cannot be read.
    """
    files = frame_files(folder)
    for number in inds.tolist():
        if number >= len(files):
            raise DamagedVideoError(f'{folder}: ends after {len(files)} frames, but frame {number} was expected')
        image = read_image(files[number])
        if image.shape[:2] != shape:
            raise DamagedVideoError(
                f'{files[number]}: {image.shape[0]}x{image.shape[1]} pixels, the first frame has {shape[0]}x{shape[1]}'
            )
        yield image if shape == size else cv2.resize(image, size[::-1], interpolation=INTERPOLATIONS[interpolation])
