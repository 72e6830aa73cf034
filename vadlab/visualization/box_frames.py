"""Boxes to draw in a frame, from boxes that a model made in some frames."""

from typing import NamedTuple

import numpy as np

from vadlab.structures.video_result import VideoResult


class ShownBox(NamedTuple):
    """A box in a frame: corners x1, y1, x2, y2 in pixels, score, track (-1 without one), label and reason."""

    corners: tuple[float, float, float, float]
    score: float
    track: int
    label: str
    reason: str


class BoxFrames:
    """Boxes of a result by frame.

    A frame shows the boxes of the last frame with boxes, until the next frame that the model saw. Between these two
    frames, a box of a track is interpolated linearly to the track's next box. The report page does the same.

    Args:
        result (VideoResult): The result.
    """

    def __init__(self, result: VideoResult) -> None:
        boxes = result.boxes
        self._times, self._seen, self._boxes = result.times, result.frame_inds, boxes
        self._order: np.ndarray = np.zeros(0, np.int64)
        self._frames: np.ndarray = np.zeros(0, np.int64)
        if boxes is not None and len(boxes.frame_inds):
            self._order = np.argsort(np.asarray(boxes.frame_inds), kind='stable')
            self._frames = np.asarray(boxes.frame_inds)[self._order]

    def at(self, frame: int) -> list[ShownBox]:
        """Boxes to draw in a frame, in the order of the result."""
        last = int(np.searchsorted(self._frames, frame, side='right')) - 1
        if last < 0:
            return []
        here = int(self._frames[last])
        after = int(np.searchsorted(self._seen, here, side='right'))
        until = int(self._seen[after]) if after < len(self._seen) else here + 1
        if frame >= until:
            return []
        now = self._rows(here)
        later: dict[int, int] = {}
        if frame > here:
            for row in self._rows(until):
                later.setdefault(int(self._boxes.track_ids[row]), row)  # type: ignore[union-attr]
        return [self._shown(row, later, frame, here, until) for row in now]

    def _rows(self, frame: int) -> list[int]:
        start, stop = np.searchsorted(self._frames, [frame, frame + 1])
        return self._order[start:stop].tolist()

    def _shown(self, row: int, later: dict[int, int], frame: int, here: int, until: int) -> ShownBox:
        boxes = self._boxes
        assert boxes is not None
        corners = np.asarray(boxes.boxes_xyxy[row], np.float64)
        track = int(boxes.track_ids[row])
        if track >= 0 and track in later:
            share = (self._times[frame] - self._times[here]) / (self._times[until] - self._times[here])
            corners = corners + share * (np.asarray(boxes.boxes_xyxy[later[track]], np.float64) - corners)
        x1, y1, x2, y2 = corners.tolist()
        return ShownBox((x1, y1, x2, y2), float(boxes.scores[row]), track, boxes.labels[row], boxes.reasons[row])
