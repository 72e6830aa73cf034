"""The process that scores: it loads the model once, and scores one posted video after the other.

Run as ``python -m vadlab.apis.service.worker JSON``; see :mod:`vadlab.apis.service.child_process`. For each video it
writes ``result.json``, ``frames.json`` and ``report/`` to a folder, and last ``outcome.json``.
"""

import contextlib
import json
import shutil
import sys
import traceback
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vadlab.utils.cli import user_message
from vadlab.utils.errors import DISK_IS_FULL, VADLabError
from vadlab.utils.json_file import write_json
from vadlab.utils.printable import printable, shortened_message

from .child_process import ParentChannel
from .job_store import OUTCOME, sync_folder

if TYPE_CHECKING:
    from vadlab.apis.inferencers.vad_inferencer import VADInferencer
    from vadlab.structures.video_result import RunInfo, VideoResult

RESULT = 'result.json'
FRAMES = 'frames.json'
REPORT = 'report'
_FEATURES = 'features'
_MOST_BOXES = 20_000  # in the JSON file; the page has all


@dataclass(frozen=True)
class ModelChoice:
    """What scores, as on the command line of ``tools/serve.py``; see :class:`VADInferencer`.

    Attributes:
        config (str): The experiment.
        checkpoint (str): Trained weights, or ``none``.
        device (str | None): Device of the model.
        sampling (str): Frames that are scored.
        prompts (list[str] | None): Prompts instead of the classes.
        negatives (list[str] | None): Prompts of normal content.
        feature_config (str | None): Extractor of a method on snippet features.
        boxes (bool): Find boxes of the events.
        batch_size (int): Frames per forward pass.
        readers (int): Threads that decode.
        cfg_options (list[str] | None): Changes of the config, ``KEY=VALUE``.
        backend (str): ``torch``; or ``onnxruntime``, and ``checkpoint`` is an exported folder.
        data (str): Folder of the service, for files that are needed for a short time.
    """

    config: str
    checkpoint: str
    device: str | None = None
    sampling: str = 'auto'
    prompts: list[str] | None = None
    negatives: list[str] | None = None
    feature_config: str | None = None
    boxes: bool = False
    batch_size: int = 32
    readers: int = 2
    cfg_options: list[str] | None = None
    backend: str = 'torch'
    data: str = '.'

    def command(self) -> list[str]:
        """The command that runs this module."""
        return [sys.executable, '-P', '-m', 'vadlab.apis.service.worker', json.dumps(asdict(self))]


def load_inferencer(choice: ModelChoice) -> 'VADInferencer':
    """Build the model and load its weights.

    Raises:
        VADLabError: The config, the weights or an option cannot be used.
    """
    from vadlab.apis.inferencers.vad_inferencer import VADInferencer, sampling_of
    from vadlab.utils.config import load_config, parse_cfg_options
    from vadlab.utils.runtime import quiet_third_parties
    from vadlab.utils.setup_env import register_all_modules

    quiet_third_parties()
    register_all_modules()
    config = load_config(choice.config, parse_cfg_options(choice.cfg_options))
    config.setdefault('default_scope', 'vadlab')
    inferencer = VADInferencer(
        config,
        choice.checkpoint,
        choice.device,
        sampling_of(choice.sampling),
        workers=choice.readers,
        batch_size=choice.batch_size,
        feature_config=choice.feature_config,
        feature_cache=Path(choice.data) / _FEATURES,
        backend=choice.backend,
    )
    inferencer.use_prompts(choice.prompts, choice.negatives)
    if choice.boxes:
        inferencer.box_finder()
    return inferencer


def describe(inferencer: 'VADInferencer') -> dict[str, Any]:
    """What scores, for the pages: only the names of files, not their folders."""
    run = public_run(inferencer.run_info())
    chosen = inferencer.chosen_thresholds()
    return {
        'model': run.model,
        'config': run.config,
        'checkpoint': run.checkpoint,
        'device': str(inferencer.device),
        'frames': inferencer.sampled,
        'prompts': list(run.prompts),
        'threshold': chosen.high,
        'is_calibrated': not chosen.source.startswith('not calibrated'),
        'false_alarms_per_hour': chosen.false_alarms_per_hour,
    }


def public_run(run: 'RunInfo') -> 'RunInfo':
    """The record of a run without folders of this machine."""
    calibration = run.calibration
    if calibration is not None:
        calibration = replace(calibration, footage=Path(calibration.footage).name)
    return replace(run, config=Path(run.config).name, checkpoint=Path(run.checkpoint).name, calibration=calibration)


def score_upload(
    inferencer: 'VADInferencer',
    video: Path,
    name: str,
    out: Path,
    boxes: bool = False,
    tell: Callable[[str, float | None], None] = lambda stage, share: None,
) -> dict[str, Any]:
    """Score a video, and write its result and its page.

    Args:
        inferencer (VADInferencer): The model.
        video (Path): The file.
        name (str): Its name for people; a file name without folders.
        out (Path): Folder of the result; it is emptied first.
        boxes (bool): Find boxes of the events.
        tell (Callable): Gets a stage (``scoring`` or ``report``) and the share of it that is done, or None.

    Returns:
        dict[str, Any]: The outcome, which is also in ``outcome.json``: ``summary`` and ``page``, or ``error``.
    """
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir(parents=True)
    outcome: dict[str, Any]
    try:
        outcome = _score(inferencer, video, name, out, boxes, tell)
    except VADLabError as error:
        outcome = _failed('unreadable', str(error), video, name)
    except OSError as error:
        outcome = _failed('no_room' if error.errno in DISK_IS_FULL else 'internal', user_message(error), video, name)
    except Exception as error:  # a fault of the program: the job ends with its name, and the service goes on
        traceback.print_exc(file=sys.stderr)
        outcome = _failed('internal', f'{type(error).__name__}: {user_message(error)}', video, name)
    finally:
        forget_features(inferencer)
    try:
        files = [path for path in out.rglob('*') if path.is_file()]
        for folder in (out, *(path for path in out.rglob('*') if path.is_dir())):
            sync_folder(folder, [path for path in files if path.parent == folder])
        write_json(out / OUTCOME, outcome)
        sync_folder(out, [out / OUTCOME])
    except OSError as error:
        outcome = _failed('no_room', f'The result cannot be written: {user_message(error)}', video, name)
        shutil.rmtree(out, ignore_errors=True)
    return outcome


def _score(
    inferencer: 'VADInferencer',
    video: Path,
    name: str,
    out: Path,
    boxes: bool,
    tell: Callable[[str, float | None], None],
) -> dict[str, Any]:
    from vadlab.visualization.report.video_report import VideoReport

    tell('scoring', None)
    follow_progress(inferencer, lambda share: tell('scoring', share))
    (result,) = inferencer(str(video), *inferencer.prompts, boxes=boxes)
    if result.error is not None:
        return _failed('unreadable', result.error, video, name)
    tell('report', None)
    result.name, result.path = name, video.name
    write_json(out / RESULT, result_document(result))
    write_json(out / FRAMES, {'times_s': result.times.tolist(), 'scores': result.scores.tolist()})
    with contextlib.chdir(video.parent), VideoReport(out / REPORT, public_run(inferencer.run_info())) as report:
        page = report.add(result)
    labels = list(dict.fromkeys(event.label for event in result.events if event.label))
    summary = {
        'events': len(result.events),
        'event_s': round(sum(event.end_s - event.start_s for event in result.events), 3),
        'highest_score': float(result.scores.max()) if len(result.scores) else None,
        'labels': labels[:20],
    }
    return {'summary': summary, 'page': page.relative_to(out / REPORT).as_posix()}


def result_document(result: 'VideoResult') -> dict[str, Any]:
    """The result of a video as JSON, without the score of every frame."""
    boxes = []
    if result.boxes is not None:
        count = min(len(result.boxes.frame_inds), _MOST_BOXES)
        boxes = [
            {
                'frame': int(result.boxes.frame_inds[i]),
                'xyxy': [round(float(value), 1) for value in result.boxes.boxes_xyxy[i]],
                'score': float(result.boxes.scores[i]),
                'label': result.boxes.labels[i],
                'track': int(result.boxes.track_ids[i]),
            }
            for i in range(count)
        ]
    return {
        'name': result.name,
        'fps': float(result.fps),
        'width': result.size[1],
        'height': result.size[0],
        'frames': len(result.scores),
        'duration_s': result.duration_s,
        'highest_score': float(result.scores.max()) if len(result.scores) else None,
        'threshold': None if result.threshold is None else asdict(result.threshold),
        'events': [asdict(event) for event in result.events],
        'classes': list(result.classes),
        'boxes': boxes,
    }


def _failed(code: str, message: str, video: Path, name: str) -> dict[str, Any]:
    # The message names the stored file; people know their own name for it.
    text = message.replace(str(video), name)
    return {'error': {'code': code, 'message': printable(shortened_message(text))}}


class CountedReader:
    """A reader of sampled frames that tells which share of them the model has got.

    Args:
        reader (Any): :class:`~vadlab.apis.inferencers.frame_reader.FrameReader`.
        tell (Callable): Gets the share, in 0..1.
    """

    def __init__(self, reader: Any, tell: Callable[[float], None]) -> None:
        self._reader, self.tell = reader, tell

    def __getattr__(self, name: str) -> Any:
        return getattr(self._reader, name)

    def __call__(self, sources: Any, **how: Any) -> Iterator[Any]:
        """What the reader yields. Frames count when the next item is asked for, which is after they were embedded."""
        done = total = 0
        for item in self._reader(sources, **how):
            yield item
            if hasattr(item, 'frame_inds'):
                total += len(set(item.frame_inds.tolist()))
            elif hasattr(item, 'frames'):
                done += len(item.frames)
                self.tell(done / max(total, 1))


def follow_progress(inferencer: 'VADInferencer', tell: Callable[[float], None]) -> None:
    """Call a function with the share of a video that is scored, for methods that score frame by frame."""
    scorer: Any = inferencer.scorer
    if isinstance(getattr(scorer, 'reader', None), CountedReader):
        scorer.reader.tell = tell
    elif hasattr(scorer, 'reader'):
        scorer.reader = CountedReader(scorer.reader, tell)


def forget_features(inferencer: 'VADInferencer') -> None:
    """Remove features of posted videos: nobody asks for them again."""
    folder = getattr(inferencer.scorer, 'folder', None)
    if folder is not None:
        shutil.rmtree(folder, ignore_errors=True)


def main() -> None:
    """Load the model that the argument describes, and answer requests ``{"video", "name", "out"}``."""
    channel = ParentChannel()
    choice = ModelChoice(**json.loads(sys.argv[1]))
    try:
        inferencer = load_inferencer(choice)
    except (VADLabError, OSError) as error:
        channel.tell(refused=user_message(error))
        sys.exit(2)

    def answer(request: dict[str, Any]) -> dict[str, Any]:
        return score_upload(
            inferencer,
            Path(request['video']),
            request['name'],
            Path(request['out']),
            choice.boxes,
            lambda stage, share: channel.tell(progress={'stage': stage, 'share': share}),
        )

    channel.tell(ready=describe(inferencer))
    channel.serve(answer)


if __name__ == '__main__':
    main()
