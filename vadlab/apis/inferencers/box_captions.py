"""Captions of what is in the boxes of events, by a captioner of images."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from mmengine.config import Config

from vadlab.datasets.video import index_video
from vadlab.datasets.video.pyav_reader import stream_pyav
from vadlab.structures.video_result import Event, VideoResult

from .caption_inferencer import CaptionInferencer
from .caption_inputs import CaptionInput
from .video_inputs import VideoSource

_MARGIN = 0.1  # of the box's sides, on each side: the surroundings help the captioner
_LEAST_SIDE = 32  # pixels; smaller boxes are captioned with more of their surroundings


class BoxCaptioner:
    """Captions the best box of each track, and of each box without a track.

    The caption joins the reasons of the track's boxes, and the reason of the event in which the box is the best one.

    Args:
        config (Config | str | Path): Experiment of the captioner, such as ``configs/fsgr_demo.py``.
        checkpoint (str | Path | None): Its trained weights.
        device (str | None): Device of the model; by default the GPU, if there is one.
        most (int): Most captions per video; boxes with the highest scores come first.

    Raises:
        ConfigError: The config is not of a captioner.
        CheckpointError: The weights do not fit the model.
    """

    def __init__(
        self,
        config: Config | str | Path,
        checkpoint: str | Path | None,
        device: str | None = None,
        most: int = 64,
    ) -> None:
        self.inferencer = CaptionInferencer(config, checkpoint, device)
        self.most = most
        #: The arguments, by which a worker of an engine makes the same.
        self.made_by: dict[str, Any] = dict(config=config, checkpoint=checkpoint, device=device, most=most)

    def __str__(self) -> str:
        return f'{self.inferencer.config_path} {self.inferencer.checkpoint}'.strip()

    def __call__(self, result: VideoResult, source: VideoSource) -> None:
        """Add captions to the reasons of a result.

        Args:
            result (VideoResult): With boxes; its events and the reasons of its boxes are replaced.
            source (VideoSource): Its video.

        Raises:
            DamagedVideoError: The video cannot be decoded.
        """
        boxes = result.boxes
        if boxes is None or not len(boxes.frame_inds):
            return
        chosen = best_boxes(np.asarray(boxes.track_ids), np.asarray(boxes.scores))[: self.most]
        captions = dict(zip(chosen.tolist(), self._captions(boxes, chosen, result, source), strict=True))
        tracks = {int(boxes.track_ids[row]): text for row, text in captions.items() if boxes.track_ids[row] >= 0}
        reasons = list(boxes.reasons)
        for row, track in enumerate(np.asarray(boxes.track_ids).tolist()):
            reasons[row] = with_caption(reasons[row], captions.get(row) or tracks.get(track))
        boxes.reasons = reasons
        result.events = tuple(self._event(event, boxes, captions) for event in result.events)

    def _captions(self, boxes: Any, rows: np.ndarray, result: VideoResult, source: VideoSource) -> list[str]:
        frames, places = np.unique(np.asarray(boxes.frame_inds)[rows], return_inverse=True)
        crops: dict[int, CaptionInput] = {}
        for number, picture in enumerate(self._pictures(source, frames)):
            for row in rows[places == number].tolist():
                image = crop(picture, np.asarray(boxes.boxes_xyxy[row]), result.size)
                crops[row] = CaptionInput(result.path, result.name, image, int(frames[number]))
        return [found.caption for found in self.inferencer(crops[row] for row in rows.tolist())]

    def _pictures(self, source: VideoSource, frames: np.ndarray) -> Any:
        if source.frames is not None:
            return (source.frames[frame] for frame in frames.tolist())
        index = index_video(source.path)
        return stream_pyav(index, frames, (index.height, index.width), 'bilinear')

    @staticmethod
    def _event(event: Event, boxes: Any, captions: dict[int, str]) -> Event:
        inside = [row for row in captions if event.start <= int(boxes.frame_inds[row]) < event.end]
        if not inside:
            return event
        best = max(inside, key=lambda row: float(boxes.scores[row]))
        return replace(event, reason=with_caption(event.reason, captions[best]))


def best_boxes(track_ids: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """The box of each track with the highest score, and every box without a track, by descending score.

    >>> best_boxes(np.array([0, 0, 1, -1]), np.array([0.1, 0.9, 0.5, 0.7])).tolist()
    [1, 3, 2]

    Args:
        track_ids (np.ndarray): Track of each box, -1 without one, shape (M,).
        scores (np.ndarray): Shape (M,).

    Returns:
        np.ndarray: Rows, int64.
    """
    order = np.argsort(-scores, kind='stable')
    seen: set[int] = set()
    rows = []
    for row, track in zip(order.tolist(), track_ids[order].tolist(), strict=True):
        if track < 0 or track not in seen:
            seen.add(track)
            rows.append(row)
    return np.array(rows, np.int64)


def crop(picture: np.ndarray, box: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """The part of a picture in a box and a little around it.

    Args:
        picture (np.ndarray): RGB, uint8, shape (H, W, 3).
        box (np.ndarray): Corners x1, y1, x2, y2, in pixels of a picture of ``size``, shape (4,).
        size (tuple[int, int]): Height and width that the box refers to.

    Returns:
        np.ndarray: RGB, uint8, at least one pixel high and wide.
    """
    height, width = picture.shape[:2]
    x1, y1, x2, y2 = (box.astype(np.float64) * np.tile([width / size[1], height / size[0]], 2)).tolist()
    spans = []
    for low, high, most in ((y1, y2, height), (x1, x2, width)):
        more = max(_MARGIN * (high - low), (_LEAST_SIDE - (high - low)) / 2)
        start = min(max(int(np.floor(low - more)), 0), most - 1)
        spans.append(slice(start, max(min(int(np.ceil(high + more)), most), start + 1)))
    return np.ascontiguousarray(picture[spans[0], spans[1]])


def with_caption(reason: str, caption: str | None) -> str:
    """A reason followed by a caption.

    >>> with_caption('speed: fast', 'a man'), with_caption('', 'a man'), with_caption('speed: fast', None)
    ('speed: fast; caption: a man', 'caption: a man', 'speed: fast')
    """
    return '; '.join(part for part in (reason, f'caption: {caption}' if caption else '') if part)
