"""Small pictures of a video for its report: the peaks of its events, and a strip for the list of videos."""

import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from vadlab.datasets.video.pyav_reader import stream_pyav
from vadlab.datasets.video.video_index import index_video
from vadlab.utils.atomic import write_bytes

THUMB_WIDTH, STRIP_WIDTH = 320, 240  # pixels
STRIP_FRAMES = 10


def write_thumbnails(video: str, frame_inds: Sequence[int], folder: Path, strip: Path, num_frames: int) -> int:
    """Write a JPEG for each of some frames, and a strip of frames of the whole video, in one pass over it.

    Args:
        video (str): Video file, or folder of frames.
        frame_inds (Sequence[int]): Frames that are written as ``FRAME.jpg`` to ``folder``.
        folder (Path): Folder of these pictures.
        strip (Path): JPEG of frames side by side, evenly spaced over the video.
        num_frames (int): Number of frames of the video.

    Returns:
        int: Number of frames in the strip.

    Raises:
        MissingFileError, DamagedVideoError: The video cannot be read.
    """
    index = index_video(video)
    count = min(num_frames, index.total_frames)
    in_strip = np.unique((np.arange(STRIP_FRAMES) + 0.5) * count / STRIP_FRAMES // 1).astype(np.int64)
    alone = {frame for frame in frame_inds if frame < count}
    wanted = np.array(sorted(alone | set(in_strip.tolist())), np.int64)
    height = max(1, round(THUMB_WIDTH * index.height / index.width))
    small = STRIP_WIDTH, max(1, round(STRIP_WIDTH * index.height / index.width))
    parts = []
    pictures = stream_pyav(index, wanted, (height, THUMB_WIDTH), 'area')
    for frame, picture in zip(wanted.tolist(), pictures, strict=True):
        image = Image.fromarray(picture)
        if frame in alone:
            write_bytes(folder / f'{frame}.jpg', _jpeg(image))
        if frame in in_strip:
            parts.append(np.asarray(image.resize(small, Image.Resampling.BILINEAR)))
    write_bytes(strip, _jpeg(Image.fromarray(np.concatenate(parts, axis=1))))
    return len(parts)


def _jpeg(image: Image.Image) -> bytes:
    file = io.BytesIO()
    image.save(file, 'JPEG', quality=80)
    return file.getvalue()
