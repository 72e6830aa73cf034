"""Results as a FiftyOne data set: events as temporal detections, boxes as detections of frames."""

import mimetypes
import os
from collections.abc import Iterable
from typing import Any

from vadlab.datasets.video import index_video
from vadlab.structures.video_result import VideoResult
from vadlab.utils.errors import ConfigError, DataError, MissingDependencyError
from vadlab.utils.run_log import log
from vadlab.visualization.box_frames import BoxFrames, ShownBox
from vadlab.visualization.report.web_video import start_of, way_to_web

from .label_studio import has_constant_rate


def write_fiftyone(results: Iterable[VideoResult], name: str) -> int:
    """Make a persistent FiftyOne data set of results; FiftyOne numbers frames from 1.

    One video is in memory at a time. If the export fails, no data set is left. A box is in every frame until the next
    frame that the model saw, as on the report page; those of the model itself have ``keyframe=True``.

    Args:
        results (Iterable[VideoResult]): Results without errors.
        name (str): Name of the data set.

    Returns:
        int: Number of samples.

    Raises:
        MissingDependencyError: FiftyOne is not installed, or cannot reach its database.
        ConfigError: A data set with this name exists.
        DataError: A video has a variable frame rate, does not start at 0, or is a folder of frames.
        MissingFileError, DamagedVideoError: A video is no longer where it was, or cannot be read.
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
        count, silent = 0, []
        for result in results:
            dataset.add_sample(_sample(fiftyone, result))
            count += 1
            if way_to_web(index_video(result.path)) != 'copied':
                silent.append(result.name)
        dataset.persistent = True
    except BaseException:
        dataset.delete()
        raise
    if silent:
        log(
            f'{len(silent)} videos may not play in a browser, so the App may not show them (first: {silent[0]}). '
            'fiftyone.utils.video.reencode_videos makes files that play'
        )
    return count


def _sample(fiftyone: Any, result: VideoResult) -> Any:
    if os.path.isdir(result.path):
        raise DataError(f'{result.name}: FiftyOne shows video files, not folders of frames')
    if not has_constant_rate(result):
        raise DataError(
            f'{result.name} has a variable frame rate, but FiftyOne finds a frame by its time and one rate: frames '
            'would be wrong. Encode it at a constant rate (ffmpeg -i IN -vf fps=25 OUT.mp4), and score that'
        )
    start = start_of(index_video(result.path))
    if abs(start) * result.fps > 0.25:
        raise DataError(
            f'{result.name}: the first picture comes at {start:.3f} s, but FiftyOne counts frames from 0 s: it would '
            'show other frames. Encode it (ffmpeg -i IN -vf setpts=PTS-STARTPTS -an OUT.mp4), and score that'
        )
    height, width = result.size
    # The App finds frames by this rate. Otherwise, it asks FFmpeg's command, which not everybody has.
    facts = fiftyone.VideoMetadata(
        size_bytes=os.path.getsize(result.path),
        mime_type=mimetypes.guess_type(result.path)[0] or 'video/mp4',
        frame_width=width,
        frame_height=height,
        frame_rate=result.fps,
        total_frame_count=len(result.scores),
        duration=len(result.scores) / result.fps,
    )
    sample = fiftyone.Sample(filepath=os.path.abspath(result.path), metadata=facts)
    sample['score'] = float(result.scores.max()) if len(result.scores) else None
    sample['events'] = fiftyone.TemporalDetections(
        detections=[
            fiftyone.TemporalDetection(
                label=event.label or 'anomaly', support=[event.start + 1, event.end], confidence=event.score
            )
            for event in result.events
        ]
    )
    boxes = BoxFrames(result)
    seen = set(result.frame_inds.tolist())
    for frame, score in enumerate(result.scores.tolist()):
        sample.frames[frame + 1] = fiftyone.Frame(score=score)
        if shown := boxes.at(frame):
            detections = [_detection(fiftyone, box, result.size, frame in seen) for box in shown]
            sample.frames[frame + 1]['boxes'] = fiftyone.Detections(detections=detections)
    return sample


def _detection(fiftyone: Any, box: ShownBox, size: tuple[int, int], is_keyframe: bool) -> Any:
    (x1, y1, x2, y2), (height, width) = box.corners, size
    return fiftyone.Detection(
        label=box.label or 'anomaly',
        bounding_box=[x1 / width, y1 / height, (x2 - x1) / width, (y2 - y1) / height],
        confidence=box.score,
        index=box.track if box.track >= 0 else None,
        keyframe=is_keyframe,
    )
