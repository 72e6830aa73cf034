"""Methods side by side: means over seeds, and what is left of them without pixels."""

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
}
MAIN = 'frame/auc'


@dataclass
class MethodResult:
    """What one method reached.

    Attributes:
        name (str): For the table.
        trained (bool): False for a floor that learns nothing from the videos.
        reports (list[dict]): What ``tools/test.py --out`` wrote, a report for each seed.
        blanked (list[dict]): The same for the control; empty where there is none.
    """

    name: str
    trained: bool = True
    reports: list[dict[str, Any]] = field(default_factory=list)
    blanked: list[dict[str, Any]] = field(default_factory=list)


def mean_and_spread(reports: Sequence[dict[str, Any]], key: str) -> tuple[float, float] | None:
    """Mean and sample standard deviation of a metric over seeds.

    Args:
        reports (Sequence[dict]): With ``metrics``.
        key (str): The metric, such as ``frame/auc``.

    Returns:
        tuple[float, float] | None: The spread is NaN for a single seed; None where a report lacks the metric or where
        it is not defined (null).
    """
    values = [report['metrics'].get(key) for report in reports]
    if not values or any(value is None for value in values):
        return None
    return statistics.fmean(values), statistics.stdev(values) if len(values) > 1 else math.nan


def comparison_markdown(results: Sequence[MethodResult], seeds: Sequence[int]) -> str:
    """A Markdown table of methods, and below it how the numbers came about.

    Args:
        results (Sequence[MethodResult]): A row each, in this order.
        seeds (Sequence[int]): Of the trained methods.

    Returns:
        str: Ends with a line break.
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
        notes.append('Each run is tested with its last weights, not with the best on any test.')
    if control:
        notes.append('Blanked: trained and tested on features of frames without content; 0.5 is chance.')
    protocols = {key: _protocols(results, key) for key in columns}
    unlike = [columns[key] for key, ways in protocols.items() if len(ways) > 1]
    if unlike:
        notes.append(f'Not computed alike for all methods, so compare with care: {", ".join(unlike)}.')
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
