"""Results as tasks of Label Studio: events as timeline labels, boxes as video rectangles."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote
from xml.sax.saxutils import quoteattr

import numpy as np

from vadlab.datasets.formats.label_studio import FRAMES_KEY, SOURCE_KEY
from vadlab.structures.video_result import VideoResult
from vadlab.utils.atomic import write_text
from vadlab.utils.json_file import write_json
from vadlab.visualization.report.file_names import safe_name
from vadlab.visualization.report.web_video import write_web_video

from .box_tracks import box_tracks
from .xml_text import label_text

TASKS_FILE, CONFIG_FILE, VIDEO_FOLDER = 'tasks.json', 'labeling_config.xml', 'videos'


def write_label_studio(results: Iterable[VideoResult], folder: Path) -> int:
    """Write ``tasks.json``, ``labeling_config.xml`` and the videos as H.264 to a folder.

    Label Studio finds a frame by its time and one frame rate. So a video with a variable rate is encoded with the same
    frames at its mean rate, and without sound: then its frame numbers stay the same in export and import.

    Args:
        results (Iterable[VideoResult]): Results without errors.
        folder (Path): The folder. Label Studio serves its videos if ``LOCAL_FILES_DOCUMENT_ROOT`` is this folder, and
            the project has ``folder/videos`` as a source storage of local files.

    Returns:
        int: Number of tasks.

    Raises:
        MissingFileError, DamagedVideoError: A video cannot be read.
    """
    tasks, events, labels = [], {'anomaly': None}, {'anomaly': None}
    for number, result in enumerate(results, 1):
        name = f'{VIDEO_FOLDER}/{safe_name(result.name)}.mp4'
        rate = None if has_constant_rate(result) else result.fps
        write_web_video(result.path, folder / name, result.times, constant_fps=rate)
        tasks.append(task_of(result, number, name))
        events.update(dict.fromkeys(label_text(event.label) for event in result.events))
        labels.update(dict.fromkeys(label_text(track.label) for track in box_tracks(result)))
    write_json(folder / TASKS_FILE, tasks)
    write_text(folder / CONFIG_FILE, labeling_config(list(events), list(labels)))
    return len(tasks)


def has_constant_rate(result: VideoResult) -> bool:
    """Whether each frame is nearer to its place at the mean rate than a quarter of a frame."""
    places = (result.times - result.times[0]) * result.fps
    return bool(np.abs(places - np.arange(len(places))).max() < 0.25)


def task_of(result: VideoResult, number: int, video: str) -> dict[str, Any]:
    """A task with the events and boxes as a prediction.

    Args:
        result (VideoResult): The result.
        number (int): Id of the task.
        video (str): Path of the video below the folder that Label Studio serves.
    """
    found: list[dict[str, Any]] = []
    height, width = result.size
    scale = 100 / np.array([width, height, width, height], np.float64)
    for i, track in enumerate(box_tracks(result)):
        sequence = [
            _step(frame, box, True, result.fps) for frame, box in zip(track.frames, track.boxes * scale, strict=True)
        ]
        # A keyframe that is not enabled is the last frame with the box, also if it is the only one.
        last = track.end - 1
        if last > track.frames[-1]:
            sequence.append(_step(last, track.boxes[-1] * scale, False, result.fps))
        else:
            sequence[-1]['enabled'] = False
        value = {'framesCount': len(result.scores), 'duration': len(result.scores) / result.fps, 'sequence': sequence}
        about = {'id': f'b{i}', 'from_name': 'boxes', 'to_name': 'video', 'type': 'videorectangle'}
        found.append({**about, 'value': {**value, 'labels': [label_text(track.label)]}})
    # Label Studio shows the last results on top of its timeline.
    for i, event in enumerate(result.events):
        value = {'ranges': [{'start': event.start + 1, 'end': event.end}], 'timelinelabels': [label_text(event.label)]}
        about = {'id': f'e{i}', 'from_name': 'events', 'to_name': 'video', 'type': 'timelinelabels'}
        found.append({**about, 'value': value, 'score': event.score, 'meta': {'text': [event.reason]}})
    score = float(result.scores.max()) if len(result.scores) else 0.0
    return {
        'id': number,
        'data': {
            'video': f'/data/local-files/?d={quote(video)}',
            'fps': result.fps,
            SOURCE_KEY: result.name,
            FRAMES_KEY: len(result.scores),
        },
        'predictions': [{'model_version': 'VADLab', 'score': score, 'result': found}],
    }


def labeling_config(events: Sequence[str], labels: Sequence[str]) -> str:
    """Label Studio's labelling interface for such tasks."""

    def tags(names: Sequence[str]) -> str:
        return ''.join(f'    <Label value={quoteattr(name)}/>\n' for name in names)

    return (
        '<View>\n'
        '  <Header size="6" value="Events: choose a label, then drag in the timeline"/>\n'
        f'  <TimelineLabels name="events" toName="video">\n{tags(events)}  </TimelineLabels>\n'
        '  <Header size="6" value="Boxes: choose a label, then drag in the picture"/>\n'
        f'  <Labels name="labels" toName="video">\n{tags(labels)}  </Labels>\n'
        '  <VideoRectangle name="boxes" toName="video"/>\n'
        '  <Video name="video" value="$video" frameRate="$fps" height="380" timelineHeight="100"/>\n'
        '  <TextArea name="caption" toName="video" placeholder="Caption"/>\n'
        '</View>\n'
    )


def _step(frame: int, box: np.ndarray, enabled: bool, fps: float) -> dict[str, Any]:
    x1, y1, x2, y2 = box.tolist()
    return {
        'frame': frame + 1,
        'time': (frame + 1) / fps,
        'enabled': enabled,
        'rotation': 0,
        'x': x1,
        'y': y1,
        'width': x2 - x1,
        'height': y2 - y1,
    }
