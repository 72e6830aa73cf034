"""Decoding with decord, only if a config asks for it.

decord 0.6.0 silently returns wrong frames for some files (edit lists, open groups of pictures, B-frames in AVI) and
hangs on MPEG transport streams. Its frame count is checked here, which finds some of these files but not all.
``backend='auto'`` is the exact reader.
"""

from dataclasses import astuple

import numpy as np

from ...utils.errors import DataError, MissingDependencyError
from .errors import DamagedVideoError
from .orientation import Orientation
from .video_index import VideoIndex


def read_decord(index: VideoIndex, inds: np.ndarray, size: tuple[int, int], interpolation: str) -> np.ndarray:
    """Decode some frames with decord, which always scales bilinearly.

    Arguments and result are those of :func:`~vadlab.datasets.video.pyav_reader.read_pyav`.

    Raises:
        DataError: decord's frame count differs from the file's, or decord cannot read this kind of file reliably.
        DamagedVideoError: decord fails.
        MissingDependencyError: decord is not installed.
    """
    try:
        import decord
    except ImportError as error:
        raise MissingDependencyError("backend='decord' needs decord: pip install decord") from error
    if 'mpegts' in index.why_sequential:
        raise DataError(f"{index.path}: decord hangs on MPEG transport streams. Use backend='auto'")
    if index.orientation and not _turns_as_expected(index):
        raise DataError(f"{index.path}: decord does not see how its pictures are turned. Use backend='auto'")
    try:
        reader = decord.VideoReader(index.path, decord.cpu(0), width=size[1], height=size[0], num_threads=1)
        if len(reader) != index.total_frames:
            raise DataError(
                f'{index.path}: decord counts {len(reader)} frames where the file shows {index.total_frames}. '
                "Use backend='auto'"
            )
        frames = reader.get_batch(inds).asnumpy()
        # decord rotates pictures but does not mirror them: mirror transposed ones left to right, others top to bottom.
        transposed, mirrored, upended = astuple(index.orientation)
        if (transposed + mirrored + upended) % 2:
            return Orientation(mirrored=transposed, upended=not transposed).apply(frames)
        return frames
    except decord.DECORDError as error:
        raise DamagedVideoError(f'{index.path}: decord cannot decode it ({str(error).splitlines()[0]})') from error


def _turns_as_expected(index: VideoIndex) -> bool:
    """Whether decord finds the display matrix; it reads only the one in an mp4's header.

    OpenCV returns the angle of the header's matrix, which frames may override.
    """
    import cv2

    with open(index.path, 'rb') as file:
        is_mp4 = file.read(8)[4:] == b'ftyp'
    capture = cv2.VideoCapture(index.path, cv2.CAP_FFMPEG)
    angle = capture.get(cv2.CAP_PROP_ORIENTATION_META) % 360
    capture.release()
    transposed, mirrored, upended = astuple(index.orientation)
    wanted = (270 if upended else 90) if transposed else (180 if mirrored else 0)
    return is_mp4 and angle == wanted
