"""Reading learning curves from the logs of MMEngine's local backend."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from vadlab.utils.errors import DataError, MissingFileError
from vadlab.utils.json_file import read_json_lines


@dataclass(frozen=True)
class LearningCurve:
    """Values of a metric over one training run.

    Attributes:
        label (str): Name in the legend; runs with the same label (seeds) are drawn with their mean.
        minutes (np.ndarray): Training time of each value, in minutes, ascending, shape (K,).
        values (np.ndarray): Values of the metric, shape (K,).
    """

    label: str
    minutes: np.ndarray
    values: np.ndarray


def _records(path: Path) -> list[dict[str, Any]]:
    """Records of a ``scalars.json``; an incomplete last line, left by a killed run, is skipped."""
    # A loss that is not finite is logged as NaN.
    return [record for _, record in read_json_lines(path, is_finite=False) if isinstance(record, dict)]


def read_learning_curve(run_dir: str | Path, key: str = 'frame/auc', label: str | None = None) -> LearningCurve:
    """Read a metric against the time spent in training iterations, without validation and checkpoints.

    The time is the sum of the mean times of logged iterations, so it is exact if the log's ``window_size`` equals its
    interval, as in our default runtime. Iterations that a resumed run repeats count once.

    Args:
        run_dir (str | Path): A work dir with ``*/vis_data/scalars.json``, or such a file.
        key (str): Key of the metric.
        label (str | None): Name of the run; None for the folder's name.

    Returns:
        LearningCurve: Values in the order of measurement.

    Raises:
        MissingFileError: There is no log.
        DataError: The log cannot be read, or does not have the metric; the message lists the metrics that it has.
    """
    run_dir = Path(run_dir)
    files = [run_dir] if run_dir.is_file() else sorted(run_dir.glob('*/vis_data/scalars.json'))
    if not files:
        raise MissingFileError(
            f'There is no */vis_data/scalars.json in {run_dir}. Give the work dir of a training run.'
        )
    minutes: list[float] = []
    values: list[float] = []
    known: set[str] = set()
    # Last iteration with a known time, and the seconds up to it.
    clock = [(0, 0.0)]
    for file in files:
        first_of_file = True
        for record in _records(file):
            if isinstance(record.get('iter'), int) and isinstance(record.get('time'), int | float):
                iteration = record['iter']
                if first_of_file:
                    # A resumed run continues from an earlier iteration: drop what came after it.
                    clock = [entry for entry in clock if entry[0] < iteration] or clock[:1]
                    while minutes and minutes[-1] * 60 > clock[-1][1] + 1e-9:
                        minutes.pop()
                        values.pop()
                    first_of_file = False
                before, seconds = clock[-1]
                clock.append((iteration, seconds + max(0, iteration - before) * float(record['time'])))
                continue
            known |= {name for name, value in record.items() if isinstance(value, int | float)}
            if isinstance(record.get(key), int | float):
                minutes.append(clock[-1][1] / 60)
                values.append(float(record[key]))
    if not values:
        names = ', '.join(sorted(known - {'time', 'data_time', 'step'})) or 'none'
        raise DataError(f'{run_dir} has no {key!r}. Validation metrics that it holds: {names}')
    return LearningCurve(label or run_dir.resolve().name, np.array(minutes), np.array(values))
