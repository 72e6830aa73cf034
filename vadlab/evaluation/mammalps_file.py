"""Writing results in the format of MammAlps' first benchmark, for its own evaluation."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from vadlab.utils.atomic import write_text
from vadlab.utils.errors import DataError

_CLIPPED = 1e-7


def write_mammalps_results(
    path: str | Path,
    clip_ids: Sequence[str],
    scores: Mapping[str, np.ndarray],
    labels: Mapping[str, np.ndarray],
    multi_label: Mapping[str, bool],
    segments: Sequence[int] | None = None,
) -> None:
    """Write a table without header: id, sample id, segment id, then arrays in brackets, predictions before labels.

    MammAlps (Gabeff et al., CVPR 2025, arXiv:2503.18223) reads integer ids, and expects heads in the order activity,
    actions, species. For multi-label heads, it counts predictions above 0 as labels, so these are written as log-odds.

    Args:
        path (str | Path): Tab-separated text file; written atomically.
        clip_ids (Sequence[str]): Ids of N clips; if any of them is not a whole number, positions in the list are
            written instead.
        scores (Mapping[str, np.ndarray]): Probabilities per head, in the order of the columns, shape (N, C).
        labels (Mapping[str, np.ndarray]): Labels per head, bool, shape (N, C).
        multi_label (Mapping[str, bool]): Whether a head is multi-label.
        segments (Sequence[int] | None): Number of each row's part of its clip; 0 if None.

    Raises:
        DataError: A head or a row is missing on one side.
    """
    if set(scores) != set(labels) or any(len(v) != len(clip_ids) for v in (*scores.values(), *labels.values())):
        sizes = {name: (len(scores.get(name, ())), len(labels.get(name, ()))) for name in {*scores, *labels}}
        raise DataError(f'{len(clip_ids)} clips, but heads have (scores, labels) of {sizes}')
    numbers = [int(name) for name in clip_ids] if all(name.isdecimal() for name in clip_ids) else range(len(clip_ids))
    lines = []
    for row, number in enumerate(numbers):
        arrays = [_predictions(values[row], multi_label[name]) for name, values in scores.items()]
        arrays += [labels[name][row].astype(int).tolist() for name in scores]
        segment = segments[row] if segments is not None else 0
        lines.append('\t'.join([str(row), str(number), str(segment), *(f'[{_joined(array)}]' for array in arrays)]))
    write_text(path, '\n'.join(lines) + '\n')


def _predictions(scores: np.ndarray, multi_label: bool) -> list[float]:
    if not multi_label:
        return [float(value) for value in scores]
    clipped = np.clip(scores.astype(np.float64), _CLIPPED, 1 - _CLIPPED)
    return [float(value) for value in np.log(clipped / (1 - clipped))]


def _joined(values: Sequence[float]) -> str:
    return ', '.join(f'{value:.8g}' for value in values)
