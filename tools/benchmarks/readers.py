"""Readers of sampled frames of a video file, VADLab's and others', with one signature.

``read(path, frame_inds, size)`` opens the file and returns uint8 RGB, shape (T, size, size, 3), T = len(frame_inds).
"""

import os
import subprocess
from collections.abc import Callable

import numpy as np

Reader = Callable[[str, np.ndarray, int], np.ndarray]


def read_planned(path: str, frame_inds: np.ndarray, size: int) -> np.ndarray:
    """VADLab's reader with its defaults, indexing the file included."""
    from vadlab.datasets.video import read_frames, video_index

    # A real loader also reads each file for the first time.
    video_index._index_video.cache_clear()
    return read_frames(path, frame_inds, (size, size), backend='auto')


def read_decord(path: str, frame_inds: np.ndarray, size: int) -> np.ndarray:
    """Decord's ``get_batch`` at the target size, one thread."""
    import decord

    reader = decord.VideoReader(path, ctx=decord.cpu(0), width=size, height=size, num_threads=1)
    return reader.get_batch(frame_inds.tolist()).asnumpy()


def read_opencv(path: str, frame_inds: np.ndarray, size: int) -> np.ndarray:
    """OpenCV: grab every frame, retrieve the sampled ones."""
    os.environ.setdefault('OPENCV_FFMPEG_CAPTURE_OPTIONS', 'threads;1')
    import cv2

    cv2.setNumThreads(1)
    capture = cv2.VideoCapture(path)
    wanted, frames = set(frame_inds.tolist()), []
    for i in range(int(frame_inds[-1]) + 1):
        if not capture.grab():
            raise EOFError(f'OpenCV ends after {i} frames')
        if i in wanted:
            frame = cv2.resize(capture.retrieve()[1], (size, size), interpolation=cv2.INTER_LINEAR)
            frames.append(cv2.cvtColor(frame, cv2.COLOR_BGR2RGB))
    capture.release()
    return np.stack(frames)


def read_pyav_sequential(path: str, frame_inds: np.ndarray, size: int) -> np.ndarray:
    """PyAV: decode every frame up to the last sampled one, convert the sampled ones."""
    import av
    from av.video.reformatter import VideoReformatter

    reformatter = VideoReformatter()
    wanted, frames = set(frame_inds.tolist()), []
    with av.open(path) as container:
        container.streams.video[0].codec_context.thread_count = 1
        for i, frame in enumerate(container.decode(video=0)):
            if i in wanted:
                small = reformatter.reformat(frame, size, size, 'rgb24', interpolation='BILINEAR')
                frames.append(small.to_ndarray())
                if len(frames) == len(wanted):
                    break
    if len(frames) < len(wanted):
        raise EOFError(f'PyAV ends after {i + 1} frames')
    return np.stack(frames)


def decode_all_ffmpeg(path: str, frame_inds: np.ndarray, size: int) -> np.ndarray:
    """The ffmpeg program decodes everything with one thread, without output."""
    subprocess.run(
        ['ffmpeg', '-v', 'error', '-nostdin', '-threads', '1', '-i', path, '-map', '0:v', '-f', 'null', '-'], check=True
    )
    return np.empty((0, size, size, 3), np.uint8)


def decode_all_pyav(path: str, frame_inds: np.ndarray, size: int) -> np.ndarray:
    """PyAV decodes everything with one thread, without output."""
    import av

    with av.open(path) as container:
        container.streams.video[0].codec_context.thread_count = 1
        for _ in container.decode(video=0):
            pass
    return np.empty((0, size, size, 3), np.uint8)


READERS: dict[str, Reader] = {
    'planned': read_planned,
    'decord': read_decord,
    'opencv': read_opencv,
    'pyav_sequential': read_pyav_sequential,
    'ffmpeg_all': decode_all_ffmpeg,
    'pyav_all': decode_all_pyav,
}

# Modules that a reader imports at first use.
LIBRARIES = {
    'planned': 'vadlab.datasets.video',
    'decord': 'decord',
    'opencv': 'cv2',
    'pyav_sequential': 'av.video.reformatter',
    'pyav_all': 'av',
}
