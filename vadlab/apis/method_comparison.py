"""Compare methods: means over seeds, and the blanked control."""

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

#: Metric and its heading, in the order of the table's columns.
COLUMNS = {
    'frame/auc': 'frame AUC',
    'frame/ap': 'frame AP',
    'frame/ano_auc': 'Ano-AUC',
    'segment/map': 'segment mAP',
    'video/auc': 'video AUC',
    'video2caption/r@1': 'video R@1',
    'region/r@1': 'region R@1',
    'space/grounding_acc@0.5': 'box IoU >= 0.5',
    'space/grounding_miou': 'box mean IoU',
}
MAIN = 'frame/auc'


@dataclass
class MethodResult:
    """The metrics of one method.

    Attributes:
        name (str): Name in the table.
        trained (bool): False for a baseline without training.
        reports (list[dict]): Contents of ``tools/test.py --out``, one report per seed.
        blanked (list[dict]): The same for the control; empty if there is none.
    """

    name: str
    trained: bool = True
    reports: list[dict[str, Any]] = field(default_factory=list)
    blanked: list[dict[str, Any]] = field(default_factory=list)


def mean_and_spread(reports: Sequence[dict[str, Any]], key: str) -> tuple[float, float] | None:
    """Mean and sample standard deviation of a metric over seeds.

    Args:
        reports (Sequence[dict]): Reports with ``metrics``.
        key (str): The metric, such as ``frame/auc``.

    Returns:
        tuple[float, float] | None: The standard deviation is NaN for a single seed. None if the metric is missing in a
        report or undefined (null).
    """
    values = [report['metrics'].get(key) for report in reports]
    if not values or any(value is None for value in values):
        return None
    return statistics.fmean(values), statistics.stdev(values) if len(values) > 1 else math.nan


def comparison_markdown(results: Sequence[MethodResult], seeds: Sequence[int]) -> str:
    """A Markdown table of methods, followed by the protocol.

    Args:
        results (Sequence[MethodResult]): One row each, in this order.
        seeds (Sequence[int]): Seeds of the trained methods.

    Returns:
        str: Markdown that ends with a line break.
    """
    columns = {k: v for k, v in COLUMNS.items() if any(mean_and_spread(r.reports, k) for r in results)}
    control = any(r.blanked for r in results)
    rows = [['method', *columns.values(), *([f'{COLUMNS[MAIN]}, blanked'] if control else [])]]
    rows.append(['---', *['---:'] * (len(rows[0]) - 1)])
    for result in results:
        cells = [_cell(mean_and_spread(result.reports, key)) for key in columns]
        if control:
            cells.append(_cell(mean_and_spread(result.blanked, MAIN)))
        rows.append([result.name if result.trained else f'{result.name} (not trained)', *cells])
    lines = [f'| {" | ".join(row)} |' for row in rows]
    notes = []
    if len(seeds) > 1:
        notes.append(f'Mean ± standard deviation over the seeds {", ".join(map(str, seeds))}.')
    if any(r.trained for r in results):
        notes.append('Each run is tested with its last checkpoint; no checkpoint is selected by test score.')
    if control:
        notes.append('Blanked: trained and tested on features of frames without content; 0.5 is chance.')
    protocols = {key: _protocols(results, key) for key in columns}
    unlike = [columns[key] for key, ways in protocols.items() if len(ways) > 1]
    if unlike:
        notes.append(f'Computed differently for some methods, so compare with care: {", ".join(unlike)}.')
    return '\n'.join([*lines, '', ' '.join(notes), '', *_legend(protocols)]).rstrip() + '\n'


def _cell(value: tuple[float, float] | None) -> str:
    if value is None:
        return '–'
    mean, spread = value
    return f'{mean:.4f}' if math.isnan(spread) else f'{mean:.4f} ± {spread:.4f}'


def _protocols(results: Sequence[MethodResult], key: str) -> dict[str, list[str]]:
    """How a metric was computed, and for which methods."""
    methods: dict[str, list[str]] = {}
    for result in results:
        text = result.reports[0].get('protocol', {}).get(key) if result.reports else None
        if text:
            methods.setdefault(text, []).append(result.name)
    return methods


def _legend(protocols: dict[str, dict[str, list[str]]]) -> list[str]:
    lines = []
    for key, ways in protocols.items():
        for text, names in ways.items():
            who = f' ({", ".join(names)})' if len(ways) > 1 else ''
            lines.append(f'- {COLUMNS[key]}{who}: {text}')
    return lines
