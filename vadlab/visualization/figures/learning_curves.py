"""Reading what MMEngine's local backend wrote of a run."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from vadlab.utils.errors import DataError, MissingFileError
from vadlab.utils.json_file import read_json_lines


@dataclass(frozen=True)
class LearningCurve:
    """A metric in the course of one training run.

    Attributes:
        label (str): Name in the legend; runs of the same label (seeds) are drawn with their mean.
        minutes (np.ndarray): Training time of each value, ascending, shape (K,).
        values (np.ndarray): Shape (K,).
    """

    label: str
    minutes: np.ndarray
    values: np.ndarray


def _records(path: Path) -> list[dict[str, Any]]:
    """The lines of a ``scalars.json``; a last line that a killed run left unfinished is dropped."""
    # A loss that is not finite is logged as NaN.
    return [record for _, record in read_json_lines(path, is_finite=False) if isinstance(record, dict)]


def read_learning_curve(run_dir: str | Path, key: str = 'frame/auc', label: str | None = None) -> LearningCurve:
    """A metric against the time spent in training iterations (validation and checkpoints do not count).

    The time is the sum over the logged iterations of their mean time, so it is exact where the log's ``window_size`` is
    its interval, as in our default runtime. Where a run was resumed, what it repeats counts once.

    Args:
        run_dir (str | Path): A work dir with ``*/vis_data/scalars.json``, or such a file.
        key (str): The metric.
        label (str | None): Name of the run; the folder's name where None.

    Returns:
        LearningCurve: Values in the order they were measured.

    Raises:
        MissingFileError: No log there.
        DataError: The log cannot be read, or holds no such metric; the message lists those that it holds.
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
    # Iteration up to which time is known, and the seconds until then.
    clock = [(0, 0.0)]
    for file in files:
        first_of_file = True
        for record in _records(file):
            if isinstance(record.get('iter'), int) and isinstance(record.get('time'), int | float):
                iteration = record['iter']
                if first_of_file:
                    # A resumed run goes on from an earlier iteration: forget what came after that.
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
