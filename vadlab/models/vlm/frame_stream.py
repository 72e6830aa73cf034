"""Frames of questions: decoded once, in order, and kept only while a question needs them."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from vadlab.datasets.video import VideoIndex
from vadlab.datasets.video.pyav_reader import stream_pyav

from .clients.vlm_client import VLMClient
from .request import Request

_CHANGE_WIDTH = 64  # pixels


def with_images(index: VideoIndex, requests: Sequence[Request], client: VLMClient) -> Iterator[Request]:
    """The requests with their images, each as soon as its last frame is decoded.

    Args:
        index (VideoIndex): The video.
        requests (Sequence[Request]): What is asked about it.
        client (VLMClient): It chooses the size of the frames, and prepares them.

    Yields:
        Request: Ordered by the last frame.

    Raises:
        DamagedVideoError: A frame cannot be decoded.
    """
    waiting = sorted(requests, key=lambda request: max(request.frame_inds, default=-1))
    last_use = {ind: number for number, request in enumerate(waiting) for ind in request.frame_inds}
    wanted = np.array(sorted(last_use), np.int64)
    size = client.size_of(index.height, index.width)
    kept: dict[int, Any] = {}
    done = 0
    pictures = stream_pyav(index, wanted, size, 'area') if len(wanted) else iter(())
    for ind, picture in zip(wanted.tolist(), pictures, strict=True):
        kept[ind] = client.prepare(picture)
        while done < len(waiting) and max(waiting[done].frame_inds, default=-1) <= ind:
            yield replace(waiting[done], images=tuple(kept[i] for i in waiting[done].frame_inds))
            for i in waiting[done].frame_inds:
                if last_use[i] == done:
                    kept.pop(i, None)
            done += 1
    yield from waiting[done:]  # without frames


def change_of_frames(index: VideoIndex) -> np.ndarray:
    """How much each frame differs from the one before it: mean absolute difference at 64 pixels width, shape (N,)."""
    size = (max(round(index.height * _CHANGE_WIDTH / index.width), 1), _CHANGE_WIDTH)
    change = np.zeros(index.total_frames)
    before: np.ndarray | None = None
    for ind, picture in enumerate(stream_pyav(index, np.arange(index.total_frames), size, 'area')):
        now = picture.astype(np.int16)
        if before is not None:
            change[ind] = np.abs(now - before).mean()
        before = now
    return change
