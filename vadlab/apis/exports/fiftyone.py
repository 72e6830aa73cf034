"""Results as a FiftyOne data set: events as temporal detections, boxes as detections of frames."""

import os
from collections.abc import Iterable
from typing import Any

from vadlab.structures.video_result import VideoResult
from vadlab.utils.errors import ConfigError, DataError, MissingDependencyError

from .label_studio import has_constant_rate


def write_fiftyone(results: Iterable[VideoResult], name: str) -> int:
    """Make a persistent FiftyOne data set of results; FiftyOne numbers frames from 1.

    One video is in memory at a time. If the export fails, no data set is left.

    Args:
        results (Iterable[VideoResult]): Results without errors.
        name (str): Name of the data set.

    Returns:
        int: Number of samples.

    Raises:
        MissingDependencyError: FiftyOne is not installed, or cannot reach its database.
        ConfigError: A data set with this name exists.
        DataError: A video has a variable frame rate, or is a folder of frames.
    """
    try:
        import fiftyone
    except ImportError as error:
        raise MissingDependencyError(
            f'FiftyOne is not installed, or cannot be imported ({error}): pip install "vadlab[fiftyone]"'
        ) from error
    try:
        exists = fiftyone.dataset_exists(name)
    except (OSError, fiftyone.core.config.FiftyOneConfigError) as error:
        raise MissingDependencyError(
            f'FiftyOne cannot reach its database ({error}). Start MongoDB, and set FIFTYONE_DATABASE_URI to its '
            'address, such as mongodb://localhost:27017'
        ) from error
    if exists:
        raise ConfigError(f'FiftyOne has a data set {name!r}. Choose another name.')
    dataset = fiftyone.Dataset(name)
    try:
        count = 0
        for result in results:
            dataset.add_sample(_sample(fiftyone, result))
            count += 1
        dataset.persistent = True
    except BaseException:
        dataset.delete()
        raise
    return count


def _sample(fiftyone: Any, result: VideoResult) -> Any:
    if os.path.isdir(result.path):
        raise DataError(f'{result.name}: FiftyOne shows video files, not folders of frames')
    if not has_constant_rate(result):
        raise DataError(
            f'{result.name} has a variable frame rate, but FiftyOne finds a frame by its time and one rate: frames '
            'would be wrong. Encode it at a constant rate (ffmpeg -i IN -vf fps=25 OUT.mp4), and score that'
        )
    sample = fiftyone.Sample(filepath=os.path.abspath(result.path))
    sample['score'] = float(result.scores.max()) if len(result.scores) else None
    sample['events'] = fiftyone.TemporalDetections(
        detections=[
            fiftyone.TemporalDetection(
                label=event.label or 'anomaly', support=[event.start + 1, event.end], confidence=event.score
            )
            for event in result.events
        ]
    )
    for frame, score in enumerate(result.scores.tolist(), 1):
        sample.frames[frame] = fiftyone.Frame(score=score)
    for frame, detections in _detections(fiftyone, result).items():
        sample.frames[frame]['boxes'] = fiftyone.Detections(detections=detections)
    return sample


def _detections(fiftyone: Any, result: VideoResult) -> dict[int, list[Any]]:
    found: dict[int, list[Any]] = {}
    boxes, (height, width) = result.boxes, result.size
    for i in range(0 if boxes is None else len(boxes.frame_inds)):
        assert boxes is not None
        x1, y1, x2, y2 = (float(v) for v in boxes.boxes_xyxy[i])
        track = int(boxes.track_ids[i])
        detection = fiftyone.Detection(
            label=boxes.labels[i] or 'anomaly',
            bounding_box=[x1 / width, y1 / height, (x2 - x1) / width, (y2 - y1) / height],
            confidence=float(boxes.scores[i]),
            index=track if track >= 0 else None,
        )
        found.setdefault(int(boxes.frame_inds[i]) + 1, []).append(detection)
    return found
