"""The calibration of a checkpoint: a small JSON file beside it."""

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from vadlab.structures.video_result import Calibration, Thresholds, calibration_of, thresholds_of
from vadlab.utils.errors import DataError
from vadlab.utils.json_file import read_json, shape_fault, write_json

#: Thresholds of probabilities without a calibration.
UNCALIBRATED = Thresholds(0.5, 0.5, 0.0, 0.0, 'not calibrated: a probability of 0.5')


@dataclass(frozen=True)
class CalibrationFile:
    """Thresholds of one checkpoint with one set of prompts.

    Attributes:
        path (Path): The file.
        thresholds (Thresholds): Thresholds of events.
        calibration (Calibration): The false alarms on normal footage.
        weights (str): Identifies the weights.
        sampled (str): Which frames the model saw.
        prompts (tuple[str, ...]): Prompts; empty for the classes of the config.
        scoring (str): Identifies the settings of the score head, see :func:`scoring_id`; empty if not known.
    """

    path: Path = field(compare=False)
    thresholds: Thresholds
    calibration: Calibration
    weights: str
    sampled: str
    prompts: tuple[str, ...] = ()
    scoring: str = ''

    def why_other(self, weights: str, sampled: str | None = None, scoring: str = '') -> str:
        """Reason why the calibration is not valid for these weights, frames and settings; empty if it is valid."""
        if self.weights != weights:
            return 'it was made with other weights. Calibrate again: python tools/calibrate.py'
        if sampled is not None and self.sampled != sampled:
            return f'it was made with {self.sampled}, not {sampled}. Calibrate again with the same frames'
        if scoring and self.scoring and self.scoring != scoring:
            return 'it was made with other settings of score_head. Calibrate again: python tools/calibrate.py'
        return ''

    def save(self) -> None:
        """Write the file."""
        content = asdict(self)
        del content['path']
        write_json(self.path, content)

    @classmethod
    def load(cls, path: str | os.PathLike) -> 'CalibrationFile':
        """Read a file that :meth:`save` wrote.

        Raises:
            MissingFileError: There is no such file.
            DataError: It is damaged.
        """
        content = read_json(path)
        texts = dict.fromkeys(('weights', 'sampled', 'scoring'), str)
        shape = {'thresholds': Any, 'calibration': Any, 'prompts': [str], **texts}
        if isinstance(content, dict):
            content.setdefault('scoring', '')  # files of version 0.1.0
        if fault := shape_fault(content, shape):
            raise DataError(f'{path} is not a calibration: {fault}')
        thresholds = thresholds_of(content['thresholds'], str(path))
        calibration = calibration_of(content['calibration'], str(path))
        assert thresholds is not None
        assert calibration is not None
        return cls(
            Path(path),
            thresholds,
            calibration,
            content['weights'],
            content['sampled'],
            tuple(content['prompts']),
            content['scoring'],
        )


def scoring_id(model: Mapping[str, Any]) -> str:
    """Identifies the settings of a score head, which scores depend on beside the weights; empty without one.

    Args:
        model (Mapping[str, Any]): The ``model`` of a config.
    """
    head = model.get('score_head')
    return hashlib.sha256(json.dumps(head, sort_keys=True, default=str).encode()).hexdigest()[:16] if head else ''


def calibration_path(
    checkpoint: str | os.PathLike,
    config: str | os.PathLike,
    prompts: Sequence[str] | None = None,
    negatives: Sequence[str] | None = None,
) -> Path:
    """Path of the calibration: ``epoch_6.calibration.json`` beside ``epoch_6.pth``.

    Each set of prompts has its own file. That of an exported folder is in it. Without a checkpoint, the file is in the
    folder of the config's runs.

    >>> calibration_path('runs/epoch_6.pth', 'configs/fgclip_demo.py').as_posix()
    'runs/epoch_6.calibration.json'
    >>> calibration_path('', 'configs/zero_shot_clip_demo.py').as_posix()
    'work_dirs/zero_shot_clip_demo/none.calibration.json'
    """
    part = ''
    if prompts is not None:
        text = json.dumps([list(prompts), None if negatives is None else list(negatives)])
        part = f'.{hashlib.sha256(text.encode()).hexdigest()[:8]}'
    file = Path(checkpoint) if checkpoint else Path('work_dirs') / Path(config).stem / 'none'
    if checkpoint and file.is_dir():
        return file / f'calibration{part}.json'
    return file.with_name(f'{file.stem if checkpoint else file.name}{part}.calibration.json')


def find_calibration(
    checkpoint: str | os.PathLike,
    config: str | os.PathLike,
    prompts: Sequence[str] | None = None,
    negatives: Sequence[str] | None = None,
) -> CalibrationFile | None:
    """The calibration of a checkpoint; None if it was not calibrated.

    Raises:
        DataError: The file is damaged.
    """
    path = calibration_path(checkpoint, config, prompts, negatives)
    return CalibrationFile.load(path) if path.is_file() else None
