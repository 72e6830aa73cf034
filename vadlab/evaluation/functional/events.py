"""Events: stretches of high scores, by hysteresis; and thresholds for a wanted rate of false alarms."""

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from vadlab.datasets.formats.temporal_annotations import intervals_to_mask
from vadlab.structures.video_result import Calibration, Event, Thresholds
from vadlab.utils.errors import ConfigError, DataError

if TYPE_CHECKING:
    from mmengine.structures import InstanceData


def find_events(
    scores: np.ndarray, times: np.ndarray, thresholds: Thresholds, end_s: float | None = None
) -> tuple[Event, ...]:
    """Find the stretches in which scores stay at or above the low threshold and reach the high one.

    In this order: (1) runs of frames at or above ``low``; (2) runs with at most ``gap_s`` between them become one; (3)
    runs shorter than ``min_s`` are dropped; (4) runs whose peak is below ``high`` are dropped. Only step 4 depends on
    ``high``, so events at a higher threshold are a subset of those at a lower one, and their number is the number of
    peaks that reach it.

    Args:
        scores (np.ndarray): Score of every frame, float, shape (N,).
        times (np.ndarray): Presentation time of every frame in seconds, ascending, shape (N,).
        thresholds (Thresholds): The thresholds of events.
        end_s (float | None): Time at which the last frame ends; by default the last frame is as long as the one
            before it.

    Returns:
        tuple[Event, ...]: In the order of time, without labels.

    Raises:
        DataError: Shapes differ, or scores are not finite.

    Example:
        >>> scores = np.array([0.1, 0.6, 0.9, 0.6, 0.1, 0.6])
        >>> [(e.start, e.end, e.peak) for e in find_events(scores, np.arange(6.0), Thresholds(high=0.8, low=0.5))]
        [(1, 4, 2)]
    """
    scores, times = np.asarray(scores), np.asarray(times, np.float64)
    if scores.ndim != 1 or scores.shape != times.shape:
        raise DataError(f'events: scores have the shape {scores.shape}, times {times.shape}; expected (N,) each')
    if not np.isfinite(scores).all():
        raise DataError(f'events: {np.count_nonzero(~np.isfinite(scores))} of {scores.size} scores are not finite')
    if not scores.size:
        return ()
    if end_s is None:
        end_s = float(2 * times[-1] - times[-2]) if len(times) > 1 else float(times[-1])
    bounds_s = np.append(times, end_s)  # frame i is shown from bounds_s[i] to bounds_s[i + 1]
    edges = np.diff(np.pad((scores >= thresholds.low).astype(np.int8), 1))
    starts, ends = np.flatnonzero(edges == 1), np.flatnonzero(edges == -1)
    if not len(starts):
        return ()
    # A difference of two times has a rounding error, so a gap of exactly gap_s is closed, and a run of min_s stays.
    tiny = 1e-6
    is_new = np.append(True, bounds_s[starts[1:]] - bounds_s[ends[:-1]] > thresholds.gap_s + tiny)
    starts, ends = starts[is_new], ends[np.append(np.flatnonzero(is_new)[1:] - 1, len(ends) - 1)]
    events = []
    for start, end in zip(starts.tolist(), ends.tolist(), strict=True):
        peak = start + int(np.argmax(scores[start:end]))
        start_s, stop_s = float(bounds_s[start]), float(bounds_s[end])
        if stop_s - start_s >= thresholds.min_s - tiny and scores[peak] >= thresholds.high:
            events.append(Event(start, end, peak, start_s, stop_s, float(times[peak]), float(scores[peak])))
    return tuple(events)


def explain_events(
    events: Sequence[Event],
    frame_inds: np.ndarray,
    class_scores: np.ndarray,
    classes: Sequence[str],
    normal: int | None = 0,
) -> tuple[Event, ...]:
    """Name the class that raised the score of each event: the highest one at the sampled frame next to its peak.

    Args:
        events (Sequence[Event]): Events of one video.
        frame_inds (np.ndarray): Frames of ``class_scores``, ascending, int64, shape (F,), F > 0.
        class_scores (np.ndarray): Class scores, shape (F, C).
        classes (Sequence[str]): Class names.
        normal (int | None): Index of the class that is not anomalous; None without one.

    Returns:
        tuple[Event, ...]: The same events with ``label`` and ``reason``.
    """
    abnormal = [i for i in range(len(classes)) if i != normal]
    if not abnormal or not len(frame_inds):
        return tuple(events)
    usual = np.median(class_scores, axis=0)
    explained = []
    for event in events:
        row = class_scores[int(np.argmin(np.abs(np.asarray(frame_inds) - event.peak)))]
        order = sorted(abnormal, key=lambda i: -row[i])
        first = order[0]
        named = [first]
        if len(order) > 1 and row[order[1]] >= 0.01:
            named.append(order[1])
        if normal is not None:
            named.append(normal)
        reason = 'at the peak ' + ', '.join(
            f'{classes[i]} {row[i]:.2f} (median of the video {usual[i]:.2f})' for i in named
        )
        explained.append(replace(event, label=classes[first], reason=reason))
    return tuple(explained)


def explain_by_boxes(events: Sequence[Event], boxes: 'InstanceData') -> tuple[Event, ...]:
    """Name the object that raised the score of each event: the highest one in its frames.

    Args:
        events (Sequence[Event]): Events of one video.
        boxes (InstanceData): ``frame_inds``, ``scores``, ``labels`` and ``reasons``, as in
            :class:`~vadlab.structures.video_result.VideoResult`.

    Returns:
        tuple[Event, ...]: The same events, with ``label`` and ``reason`` where a box with a reason is in them.
    """
    frames, scores = np.asarray(boxes.frame_inds), np.asarray(boxes.scores)
    told = np.array([bool(reason) for reason in boxes.reasons], bool)
    explained = []
    for event in events:
        inside = np.flatnonzero((frames >= event.start) & (frames < event.end) & told)
        if len(inside):
            best = int(inside[scores[inside].argmax()])
            reason = f'frame {frames[best]}: {boxes.reasons[best]}'
            event = replace(event, label=boxes.labels[best] or event.label, reason=reason)
        explained.append(event)
    return tuple(explained)


def explain_by_answers(events: Sequence[Event], answers: 'InstanceData') -> tuple[Event, ...]:
    """Name what a model answered about each event: in the window with the highest score that overlaps the event.

    Of windows with equal scores, the one nearest to the peak counts.

    Args:
        events (Sequence[Event]): Events of one video.
        answers (InstanceData): ``pred_answers`` of :class:`~vadlab.structures.VADDataSample`.

    Returns:
        tuple[Event, ...]: The same events, with ``label`` and ``reason`` where the model gave some.
    """
    starts, ends, scores = (np.asarray(answers.get(name)) for name in ('starts', 'ends', 'scores'))
    explained = []
    for event in events:
        inside = np.flatnonzero((starts < event.end) & (ends > event.start) & (scores >= 0))
        if len(inside):
            far = np.abs((starts[inside] + ends[inside]) / 2 - event.peak)
            best = int(inside[np.lexsort((far, -scores[inside]))[0]])
            event = replace(event, label=answers.labels[best] or None, reason=answers.reasons[best])
        explained.append(event)
    return tuple(explained)


def calibrate(
    scores: Sequence[np.ndarray],
    times: Sequence[np.ndarray],
    ends_s: Sequence[float],
    false_alarms_per_hour: float,
    low_quantile: float = 0.95,
    min_s: float = 0.0,
    gap_s: float = 0.0,
    footage: str = '',
    truths: Sequence[np.ndarray] | None = None,
) -> tuple[Thresholds, Calibration]:
    """Choose thresholds on footage without anomalies, where every event is a false alarm.

    The low threshold is a quantile of all scores. The high one is the lowest score that at most the wanted number of
    events reach. If the footage has anomalies and their frames are known, these frames do not count, nor do events that
    overlap them.

    Args:
        scores (Sequence[np.ndarray]): Score of every frame, float32, shape (N,) per video.
        times (Sequence[np.ndarray]): Presentation times in seconds, shape (N,) per video.
        ends_s (Sequence[float]): Time at which each video ends, in seconds.
        false_alarms_per_hour (float): The wanted rate, >= 0.
        low_quantile (float): Share of the frames below the low threshold, 0..1.
        min_s (float): Shortest event, in seconds.
        gap_s (float): Longest gap inside an event, in seconds.
        footage (str): Where the videos come from.
        truths (Sequence[np.ndarray] | None): Anomalous frames of each video, half-open intervals, shape (K, 2); None
            without any.

    Returns:
        tuple[Thresholds, Calibration]: The thresholds with the rate that they have on this footage, and the peaks.

    Raises:
        ConfigError: A value is out of its range.
        DataError: There is no footage.
    """
    if not 0 <= false_alarms_per_hour < float('inf'):
        raise ConfigError(f'false alarms per hour: {false_alarms_per_hour:g} must be at least 0')
    if not 0 <= low_quantile <= 1:
        raise ConfigError(f'low quantile: {low_quantile:g} must be in 0..1')
    truths = [np.empty((0, 2))] * len(times) if truths is None else truths
    are_normal = [~intervals_to_mask(truth, len(time)) for truth, time in zip(truths, times, strict=True)]
    seconds = sum(float(end) - float(time[0]) for time, end in zip(times, ends_s, strict=True) if len(time))
    seconds -= sum(
        float(np.diff(time, append=end)[~is_normal].sum())
        for time, end, is_normal in zip(times, ends_s, are_normal, strict=True)
    )
    hours = seconds / 3600
    if hours <= 0 or not any(is_normal.any() for is_normal in are_normal):
        raise DataError('calibration: there is no footage without anomalies')
    normal_scores = [score[is_normal] for score, is_normal in zip(scores, are_normal, strict=True)]
    low = float(np.quantile(np.concatenate(normal_scores), low_quantile, method='higher'))
    every = Thresholds(high=low, low=low, min_s=min_s, gap_s=gap_s)
    peaks = sorted(
        (
            event.score
            for score, time, end, is_normal in zip(scores, times, ends_s, are_normal, strict=True)
            for event in false_alarms(score, time, every, end, is_normal)
        ),
        reverse=True,
    )
    allowed = int(false_alarms_per_hour * hours + 1e-9)
    high = low
    if len(peaks) > allowed:
        high = float(np.nextafter(np.float32(peaks[allowed]), np.float32(np.inf)))
    found = Calibration(hours, len(scores), low, min_s, gap_s, tuple(peaks), footage)
    rate = found.false_alarms_per_hour(high)
    source = f'calibrated on {hours:.3g} hours of {footage or "footage"} without anomalies'
    return Thresholds(high, low, min_s, gap_s, source, rate), found


def false_alarms(
    scores: np.ndarray, times: np.ndarray, thresholds: Thresholds, end_s: float, is_normal: np.ndarray
) -> tuple[Event, ...]:
    """The events of :func:`find_events` without an anomalous frame; ``is_normal`` is bool, shape (N,)."""
    return tuple(e for e in find_events(scores, times, thresholds, end_s) if is_normal[e.start : e.end].all())


def highest_rate(alarms: int, hours: float, confidence: float = 0.95) -> float:
    """Upper bound of the true rate per hour, if ``alarms`` were seen in ``hours``: the exact one for a Poisson process.

    Garwood, "Fiducial limits for the Poisson distribution", Biometrika, 1936.

    >>> round(highest_rate(0, 1.0), 2)  # the rule of three
    3.0
    """
    from scipy.stats import chi2

    return float(chi2.ppf(confidence, 2 * (alarms + 1)) / 2 / hours)
