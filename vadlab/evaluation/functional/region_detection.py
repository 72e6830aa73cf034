"""Region- and track-based detection criteria (RBDC, TBDC).

Ramachandra and Jones, "Street Scene: A new dataset and evaluation protocol for video anomaly detection", WACV 2020
(arXiv 1902.05872). Where the paper is not specific, this follows the evaluation code of published numbers (Georgescu
et al., TPAMI 2021, github.com/lilygeorgescu/AED): a detection that covers several true regions finds all of them; one
that covers only regions that are already found is neither a true nor a false positive; boxes include their last pixel;
of equal scores, the first detection counts first.
"""

import warnings
from dataclasses import dataclass

import numpy as np

from vadlab.utils.errors import DataError


@dataclass(frozen=True)
class Detections:
    """Anomalous regions that a method predicts in all test videos; M of them.

    Attributes:
        videos (np.ndarray): Number of the video, integer, shape (M,).
        frames (np.ndarray): Frame in the video, integer, shape (M,).
        boxes_xyxy (np.ndarray): x1, y1, x2, y2 in pixels, the last ones included, shape (M, 4).
        scores (np.ndarray): Higher is more anomalous, shape (M,).
    """

    videos: np.ndarray
    frames: np.ndarray
    boxes_xyxy: np.ndarray
    scores: np.ndarray


@dataclass(frozen=True)
class Tracks:
    """True anomalous regions of all test videos, G of them; the regions of one anomaly form a track.

    Attributes:
        videos (np.ndarray): Number of the video, integer, shape (G,).
        tracks (np.ndarray): Number of the track within its video, integer, shape (G,).
        frames (np.ndarray): Frame in the video, integer, shape (G,).
        boxes_xyxy (np.ndarray): x1, y1, x2, y2 in pixels, the last ones included, shape (G, 4).
    """

    videos: np.ndarray
    tracks: np.ndarray
    frames: np.ndarray
    boxes_xyxy: np.ndarray


@dataclass(frozen=True)
class RegionCurves:
    """Detection rates as functions of the false positives per frame, up to 1.

    Attributes:
        false_positives (np.ndarray): Per frame, ascending from 0 to 1, float64, shape (P,).
        region_rates (np.ndarray): Share of true regions found, shape (P,).
        track_rates (np.ndarray): Share of tracks found, shape (P,).
    """

    false_positives: np.ndarray
    region_rates: np.ndarray
    track_rates: np.ndarray

    @property
    def rbdc(self) -> float:
        """Area under the region curve, 0..1."""
        return _area_under(self.region_rates, self.false_positives)

    @property
    def tbdc(self) -> float:
        """Area under the track curve, 0..1."""
        return _area_under(self.track_rates, self.false_positives)


def _area_under(heights: np.ndarray, at: np.ndarray) -> float:
    return float(np.dot(np.diff(at), (heights[1:] + heights[:-1]) / 2))


def pixel_iou(boxes: np.ndarray, others: np.ndarray) -> np.ndarray:
    """IoU of corresponding boxes in whole pixels, the last ones included, shape (..., 4) to (...)."""

    def area(low: np.ndarray, high: np.ndarray) -> np.ndarray:
        return (high - low + 1).prod(axis=-1)

    lower, upper = np.maximum(boxes[..., :2], others[..., :2]), np.minimum(boxes[..., 2:], others[..., 2:])
    shared = (upper - lower + 1).clip(0).prod(axis=-1)
    return shared / (area(boxes[..., :2], boxes[..., 2:]) + area(others[..., :2], others[..., 2:]) - shared)


def matching_pairs(detections: Detections, tracks: Tracks) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """All pairs of a detection and a true region in the same frame, and their IoU, shape (pairs,) each."""
    keys = np.concatenate(
        [np.stack([part.videos, part.frames], axis=1) for part in (detections, tracks)], dtype=np.int64
    )
    _, frame_of = np.unique(keys, axis=0, return_inverse=True)
    frame_of = frame_of.ravel()
    of_detection, of_truth = frame_of[: len(detections.videos)], frame_of[len(detections.videos) :]
    by_frame = np.argsort(of_truth, kind='stable')
    first = np.searchsorted(of_truth[by_frame], of_detection, side='left')
    count = np.searchsorted(of_truth[by_frame], of_detection, side='right') - first
    which = np.repeat(np.arange(len(of_detection)), count)
    within = np.arange(len(which)) - np.repeat(np.cumsum(count) - count, count)
    truth = by_frame[first[which] + within]
    boxes, others = (np.asarray(part.boxes_xyxy, dtype=np.float64) for part in (detections, tracks))
    return which, truth, pixel_iou(boxes[which], others[truth])


def region_curves(
    detections: Detections, tracks: Tracks, num_frames: int, alpha: float = 0.1, beta: float = 0.1
) -> RegionCurves:
    """Curves whose areas are RBDC and TBDC.

    Args:
        detections (Detections): Detections of all test videos.
        tracks (Tracks): Tracks of all test videos.
        num_frames (int): Frames of all test videos, anomalous or not, > 0.
        alpha (float): A track is found if this share of its regions is found.
        beta (float): A region is found by a detection with at least this IoU.

    Returns:
        RegionCurves: One point per detection, by descending score, until there is more than one false positive per
            frame; from there constant up to 1. NaN rates, with a warning, if there is no true region.

    Raises:
        DataError: Scores are not finite, or there is no frame.
    """
    scores = np.asarray(detections.scores, dtype=np.float64)
    if not np.isfinite(scores).all():
        raise DataError(
            f'{int(np.count_nonzero(~np.isfinite(scores)))} of {scores.size} detection scores are not finite'
        )
    if num_frames < 1:
        raise DataError('There is no frame to count false positives in')
    if len(tracks.videos) == 0:
        warnings.warn('RBDC and TBDC are NaN: there is no true region', UserWarning, stacklevel=2)
        nothing = np.full(2, np.nan)
        return RegionCurves(np.array([0.0, 1.0]), nothing, nothing)
    rank = np.empty(scores.size, np.int64)
    rank[np.argsort(-scores, kind='stable')] = np.arange(scores.size)
    which, truth, iou = matching_pairs(detections, tracks)
    which, truth = which[iou >= beta], truth[iou >= beta]

    never = scores.size  # rank of regions that no detection finds
    found_at = np.full(len(tracks.videos), never)
    np.minimum.at(found_at, truth, rank[which])
    false_positive = np.ones(scores.size)
    false_positive[rank[which]] = 0

    track_of = np.unique(np.stack([tracks.videos, tracks.tracks], axis=1), axis=0, return_inverse=True)[1].ravel()
    lengths = np.bincount(track_of)
    needed = np.maximum(1, np.floor(alpha * lengths).astype(np.int64))
    needed += needed / lengths < alpha
    in_order = found_at[np.lexsort((found_at, track_of))]
    track_found_at = in_order[np.cumsum(lengths) - lengths + needed - 1]

    def rate(ranks: np.ndarray) -> np.ndarray:
        hits = np.bincount(ranks[ranks < never], minlength=scores.size)
        return np.append(0, np.cumsum(hits)) / len(ranks)

    per_frame = np.append(0, np.cumsum(false_positive)) / num_frames
    region_rates, track_rates = rate(found_at), rate(track_found_at)
    end = int(np.searchsorted(per_frame, 1, side='right'))
    per_frame, region_rates, track_rates = per_frame[:end], region_rates[:end], track_rates[:end]
    if per_frame[-1] < 1:
        per_frame = np.append(per_frame, 1.0)
        region_rates, track_rates = np.append(region_rates, region_rates[-1]), np.append(track_rates, track_rates[-1])
    return RegionCurves(per_frame, region_rates, track_rates)
