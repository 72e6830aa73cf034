"""The result of a tested video, from its data sample."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from mmengine.structures import InstanceData

from vadlab.datasets.video.video_index import index_video
from vadlab.evaluation.functional.events import explain_by_answers, explain_by_boxes, explain_events, find_events
from vadlab.structures import VADDataSample
from vadlab.structures.video_result import Thresholds, VideoResult
from vadlab.utils.errors import DataError, MissingFileError

_UNKNOWN_FPS = 25.0


def sample_result(sample: VADDataSample, classes: Sequence[str], thresholds: Thresholds) -> VideoResult:
    """Build the result of a tested video.

    Scores of snippet methods are cut to the number of frames, or the last one is repeated. Boxes are those of
    ``pred_detections`` (if it has ``reasons``, only boxes with a reason). Without detections, they are the best
    proposals for the captions of annotated regions, in frames where the region has a true box.

    Args:
        sample (VADDataSample): Sample with ``pred_scores`` (N,).
        classes (Sequence[str]): Class names of the data set, Normal first; used if the method predicts classes, and
            the sample has no ``pred_frame_classes``, which have names of their own.
        thresholds (Thresholds): Of events.
    """
    path = sample.get('video_path') or ''
    scores = _array(sample.pred_scores).astype(np.float32)
    size, why = tuple(sample.get('ori_shape') or (0, 0))[:2], ''
    fps = float(sample.get('fps') or _UNKNOWN_FPS)
    times = np.arange(len(scores)) / fps
    try:
        index = index_video(path)
        if index.is_counted:
            times, size, fps = index.frame_times, (index.height, index.width), index.fps
    except (DataError, MissingFileError) as error:
        why = str(error)
    if len(scores) != len(times):
        scores = np.pad(scores[: len(times)], (0, max(len(times) - len(scores), 0)), mode='edge')
    n = len(scores)
    normal, by_frame = 0, sample.get('pred_frame_classes')
    if by_frame is not None:
        frame_inds, rows = np.unique(np.minimum(by_frame.frame_inds, n - 1), return_index=True)
        class_scores: np.ndarray | None = _array(by_frame.scores)[rows]
        classes, normal = by_frame.names, by_frame.normal
    else:
        frame_inds, class_scores = _classes(sample, n, len(classes))
    intervals = sample.get('gt_intervals')
    result = VideoResult(
        name=str(sample.video_id),
        path=path if not why else '',
        fps=fps,
        size=size,
        scores=scores,
        times=times,
        frame_inds=frame_inds,
        classes=tuple(classes) if class_scores is not None else (),
        class_scores=class_scores,
        boxes=sample_boxes(sample, size, n),
        truth=None if intervals is None else np.minimum(_array(intervals).reshape(-1, 2), n),
        threshold=thresholds,
    )
    events = find_events(result.scores, result.times, thresholds, result.duration_s)
    if class_scores is not None:
        events = explain_events(events, frame_inds, class_scores, classes, normal)
    elif sample.get('pred_answers') is not None:
        events = explain_by_answers(events, sample.pred_answers)
    elif result.boxes is not None:
        events = explain_by_boxes(events, result.boxes)
    result.events = events
    return result


def _classes(sample: VADDataSample, n: int, num_classes: int) -> tuple[np.ndarray, np.ndarray | None]:
    """Frames that the model saw, and class scores there, if the method has some for frames."""
    seen = sample.get('frame_inds')
    step = int(sample.get('snippet_len') or 16)
    frame_inds = np.arange(min(step // 2, n - 1), n, step) if seen is None else np.unique(np.asarray(seen, np.int64))
    frame_inds = frame_inds[frame_inds < n]
    found = sample.get('pred_class_scores')
    if found is None or found.ndim != 2 or found.shape[1] != num_classes:
        return frame_inds, None
    values = _array(found).astype(np.float32)
    if len(values) == len(frame_inds) and seen is not None:
        return frame_inds, values
    return frame_inds, values[np.minimum(frame_inds, len(values) - 1)]


def sample_boxes(sample: VADDataSample, size: tuple[int, int], n: int) -> InstanceData | None:
    """Boxes of a tested video, as :class:`~vadlab.structures.video_result.VideoResult` has them; None without any.

    Args:
        sample (VADDataSample): Sample with ``pred_detections`` or ``pred_regions``.
        size (tuple[int, int]): Height and width, in pixels.
        n (int): Frames of the video.
    """
    height, width = size
    parts: list[tuple[np.ndarray, np.ndarray, np.ndarray, list[str], np.ndarray, list[str], list[str]]] = []
    found, true, best = sample.get('pred_detections'), sample.get('gt_regions'), sample.get('pred_regions')
    if found is not None:
        corners: np.ndarray = _array(found.boxes_xyxy).astype(np.float32).reshape(-1, 4)
        corners[:, 2:] += 1  # there, the last pixels belong to the box
        frames = _array(found.frame_inds).astype(np.int64)
        blank = [''] * len(frames)
        labels, why, near = (found.get(key, blank) for key in ('labels', 'reasons', 'examples'))
        if 'reasons' in found:  # every object is a detection: show the unusual ones
            unusual = [bool(text) for text in why]
            frames, corners = frames[unusual], corners[unusual]
            labels, why, near = (
                [text for text, yes in zip(words, unusual, strict=True) if yes] for words in (labels, why, near)
            )
            found = InstanceData(scores=_array(found.scores)[unusual])
        parts.append((frames, corners, _array(found.scores), labels, np.full(len(frames), -1), why, near))
    elif best is not None and 'boxes_xyxyn' in best and true is not None and 'box_valid' in true:
        seen = np.asarray(sample.frame_inds, np.int64)
        scale = np.array([width, height, width, height], np.float32)
        for region in range(len(best.boxes_xyxyn)):
            shown = np.flatnonzero(_array(true.box_valid[region]))
            corners = _array(best.boxes_xyxyn[region])[shown] * scale
            text, track = [str(true.captions[region])] * len(shown), np.full(len(shown), region)
            none = [''] * len(shown)
            parts.append((seen[shown], corners, _array(best.box_scores[region])[shown], text, track, none, none))
    if not parts:
        return None
    all_frames, all_corners, scores, texts, tracks, whys, nears = zip(*parts, strict=True)
    keep = np.concatenate(all_frames) < n
    boxes = InstanceData()
    boxes.frame_inds = np.concatenate(all_frames)[keep]
    boxes.boxes_xyxy = np.concatenate(all_corners)[keep].astype(np.float32)
    boxes.scores = np.concatenate(scores)[keep].astype(np.float32)
    boxes.track_ids = np.concatenate(tracks)[keep].astype(np.int64)
    for name, lists in (('labels', texts), ('reasons', whys), ('examples', nears)):
        words = [text for part in lists for text in part]
        if name == 'examples' and not any(words):
            continue
        setattr(boxes, name, [text for text, kept in zip(words, keep.tolist(), strict=True) if kept])
    return boxes


def _array(value: Any) -> np.ndarray:
    if isinstance(value, torch.Tensor):
        value = value.detach().cpu()
        return (value.float() if value.is_floating_point() else value).numpy()
    return np.asarray(value)
