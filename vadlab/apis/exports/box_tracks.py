"""Boxes of a result as tracks of keyframes, for annotation tools."""

from typing import NamedTuple

import numpy as np

from vadlab.structures.video_result import VideoResult


class BoxTrack(NamedTuple):
    """A stretch of frames with one box.

    Attributes:
        label (str): Label of the boxes.
        frames (list[int]): Keyframes, ascending.
        boxes (np.ndarray): Their boxes x1, y1, x2, y2 in pixels, float64, shape (K, 4).
        end (int): First frame without the box.
    """

    label: str
    frames: list[int]
    boxes: np.ndarray
    end: int


def box_tracks(result: VideoResult) -> list[BoxTrack]:
    """Tracks of a result; each box without a track becomes a track.

    As on the report page, a box is valid until the next frame that the model saw; a track without a box there ends.
    """
    boxes = result.boxes
    if boxes is None or not len(boxes.frame_inds):
        return []
    frames, ids = np.asarray(boxes.frame_inds), np.asarray(boxes.track_ids)
    corners = np.asarray(boxes.boxes_xyxy, np.float64)
    later = np.searchsorted(result.frame_inds, frames, side='right')
    known = np.append(result.frame_inds, 0)[np.minimum(later, len(result.frame_inds))]
    until = np.where(later < len(result.frame_inds), known, frames + 1)
    tracks: list[BoxTrack] = []
    groups = [np.array([row]) for row in np.flatnonzero(ids < 0)]
    groups += [np.flatnonzero(ids == track) for track in np.unique(ids[ids >= 0])]
    for rows in groups:
        rows = rows[np.argsort(frames[rows], kind='stable')]
        rows = rows[np.append(True, np.diff(frames[rows]) > 0)]  # one box of a track per frame
        breaks = np.flatnonzero(frames[rows][1:] > until[rows][:-1]) + 1
        for part in np.split(rows, breaks):
            label = boxes.labels[int(part[0])] or 'anomaly'
            tracks.append(BoxTrack(label, frames[part].tolist(), corners[part], int(until[part[-1]])))
    return sorted(tracks, key=lambda track: track.frames[0])
