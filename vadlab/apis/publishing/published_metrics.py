"""Metrics of a model that is published: its own, those of other seeds, and the blanked control."""

import math
import os
from collections.abc import Sequence
from typing import Any

from vadlab.utils.errors import DataError
from vadlab.utils.json_file import read_json, shape_fault

_SHAPE = {'metrics': {str: Any}, 'protocol': {str: str}, 'versions': {str: str}, 'weights?': str}


def read_report(path: str | os.PathLike) -> dict[str, Any]:
    """A file that ``tools/test.py --out`` wrote.

    Raises:
        MissingFileError: There is no such file.
        DataError: It is not such a file.
    """
    content = read_json(path)
    if fault := shape_fault(content, _SHAPE):
        raise DataError(f'{path} is not a metrics file of tools/test.py --out: {fault}')
    wrong = [
        name
        for name, value in content['metrics'].items()
        if value is not None and (isinstance(value, bool) or not isinstance(value, int | float))
    ]
    if wrong:
        raise DataError(f'{path} is not a metrics file of tools/test.py --out: {wrong[0]} is not a number')
    return content


def published_metrics(
    weights: str, own: str | os.PathLike | None, others: Sequence[str] = (), blanked: str | None = None
) -> dict[str, Any] | None:
    """The content of ``metrics.json``; None without metrics.

    Args:
        weights (str): Identifies the weights, see :func:`~vadlab.checkpoints.weights_hash.weights_sha256`.
        own (str | PathLike | None): Metrics of these weights.
        others (Sequence[str]): Metrics of the same experiment with other seeds.
        blanked (str | None): Metrics of the control, which was trained and tested on blanked frames.

    Raises:
        DataError: A file is damaged, was made with other weights or under another protocol.
    """
    if own is None:
        if others or blanked:
            raise DataError('--seeds and --blanked go with --metrics, the metrics of these weights.')
        return None
    report = read_report(own)
    if report.get('weights') != weights:
        found = 'other weights' if report.get('weights') else 'unknown weights (by an earlier version)'
        raise DataError(
            f'{own} was made with {found}, not with this checkpoint. Test it: python tools/test.py CONFIG CHECKPOINT '
            f'--out {own}'
        )
    content = {
        'metrics': report['metrics'],
        'protocol': report['protocol'],
        'versions': report['versions'],
        'weights': weights,
    }
    reports = [report, *map(read_report, others)]
    control = read_report(blanked) if blanked else None
    for path, other in (*zip(others, reports[1:], strict=True), (blanked, control)):
        if other is not None and other['protocol'] != report['protocol']:
            changed = sorted(k for k in report['protocol'] if other['protocol'].get(k) != report['protocol'][k])
            raise DataError(f'{path} has another protocol than {own}: {", ".join(changed[:3]) or "other metrics"}')
    if others:
        content['seeds'] = [one['metrics'] for one in reports]
        content['mean'], content['std'] = _spread([one['metrics'] for one in reports])
    if control is not None:
        content['blanked'] = control['metrics']
    return content


def _spread(runs: Sequence[dict[str, float | None]]) -> tuple[dict[str, float | None], dict[str, float | None]]:
    """Mean and sample standard deviation of each metric; None if a run does not have it."""
    means: dict[str, float | None] = {}
    deviations: dict[str, float | None] = {}
    for name in runs[0]:
        values = [value for run in runs if (value := run.get(name)) is not None]
        means[name] = deviations[name] = None
        if len(values) == len(runs):
            mean = math.fsum(values) / len(values)
            means[name] = mean
            deviations[name] = math.sqrt(math.fsum((value - mean) ** 2 for value in values) / (len(values) - 1))
    return means, deviations
