"""Decoding from the start with OpenCV: no faster than PyAV, but an independent decoder for comparison."""

import numpy as np

from .errors import DamagedVideoError
from .frame_folder import INTERPOLATIONS
from .video_index import VideoIndex


def read_opencv(index: VideoIndex, inds: np.ndarray, size: tuple[int, int], interpolation: str) -> np.ndarray:
    """Decode some frames with ``cv2.VideoCapture``, without seeking, since its seeks return wrong frames.

    OpenCV ignores the colours that a file names: it takes BT.601 (up to 22 grey levels from BT.709's), and does not map
    high dynamic range.

    Arguments, result and errors are those of :func:`~vadlab.datasets.video.pyav_reader.read_pyav`.
    """
    import cv2

    frames = np.empty((len(inds), *size, 3), np.uint8)
    capture = cv2.VideoCapture(index.path, cv2.CAP_FFMPEG, [cv2.CAP_PROP_N_THREADS, 1])
    capture.set(cv2.CAP_PROP_ORIENTATION_AUTO, 0)  # OpenCV ignores mirroring
    method = INTERPOLATIONS[interpolation]
    height, width = index.orientation.size(*size)
    try:
        position = -1
        for slot, wanted in enumerate(inds):
            while position < wanted:
                # The end of the file and damage look alike here; only the frame count distinguishes them.
                if not capture.grab():
                    raise DamagedVideoError(
                        f'{index.path}: OpenCV stops after {position + 1} of {index.total_frames} frames'
                    )
                position += 1
            ok, bgr = capture.retrieve()
            if not ok:
                raise DamagedVideoError(f'{index.path}: OpenCV cannot decode frame {wanted}')
            picture = cv2.resize(bgr[..., ::-1], (width, height), interpolation=method)
            frames[slot] = index.orientation.apply(picture)
    finally:
        capture.release()
    return frames
