"""Measure what each modality adds: test one trained model with single modalities and with all."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from vadlab.engine.runner import VADRunner
from vadlab.evaluation.functional import classification
from vadlab.evaluation.metrics.classification_metric import ClassificationMetric, HeadPredictions
from vadlab.utils.errors import ConfigError, DataError, MissingFileError
from vadlab.utils.json_file import read_json

ALL = 'all classes'
Subsets = Mapping[str, Mapping[str, Sequence[str]]]  # name of a subset -> head -> its classes


@dataclass(frozen=True)
class AblationRow:
    """Top-1 of a head on the clips of some classes.

    Attributes:
        method (str): Name of the experiment.
        head (str): Name of the head.
        subset (str): Classes of the row: :data:`ALL`, or the name of a subset.
        clips (int): Number of clips of these classes.
        top1 (dict[str, float]): Top-1 by the modalities given to the model: ``video``, ``audio``, ``video and audio``.
    """

    method: str
    head: str
    subset: str
    clips: int
    top1: dict[str, float]

    @property
    def gain(self) -> float:
        """Gain of all modalities together over the best single one."""
        *single, together = self.top1.values()
        return together - max(single)


def read_subsets(paths: Sequence[str | Path]) -> dict[str, dict[str, list[str]]]:
    """Read files with lists of classes per head, ``{"species": ["dusky whistler", ...]}``; keys are the file stems.

    Raises:
        MissingFileError: A file does not exist.
        DataError: A file is not JSON, or has another form.
    """
    subsets = {}
    for path in map(Path, paths):
        if not path.is_file():
            raise MissingFileError(f'--subset {path}: there is no such file.')
        content = read_json(path)
        is_subset = isinstance(content, dict) and all(isinstance(v, list) and v for v in content.values())
        if not is_subset or not all(isinstance(name, str) for v in content.values() for name in v):
            raise DataError(f'--subset {path} must hold lists of classes by head: {{"species": ["...", "..."]}}.')
        subsets[path.stem.replace('_', ' ')] = content
    return subsets


def tested_with_each(runner: VADRunner) -> dict[str, dict[str, HeadPredictions]]:
    """Test a built experiment with every single modality of its model, then with all.

    Args:
        runner (VADRunner): A runner whose evaluator has a :class:`~vadlab.evaluation.metrics.ClassificationMetric`.

    Returns:
        dict: The predictions by modalities and by head.

    Raises:
        ConfigError: The model does not have several modalities, or there is no ClassificationMetric.
    """
    model = runner.bare_model
    names = tuple(getattr(model, 'modalities', ()))
    if len(names) < 2:
        raise ConfigError(
            f'{type(model).__name__} of this config uses {" and ".join(names) or "no named modalities"}: there is '
            'nothing to leave out. Give a config of a model of video and audio.'
        )
    metrics = [metric for metric in runner.test_evaluator.metrics if isinstance(metric, ClassificationMetric)]
    if not metrics:
        raise ConfigError('The config has no ClassificationMetric as test_evaluator, which this tool needs.')
    found = {}
    try:
        for chosen in (*((name,) for name in names), names):
            model.modalities = chosen
            runner.test()
            found[' and '.join(chosen)] = dict(metrics[0].predictions)
    finally:
        model.modalities = names
    return found


def ablation_rows(
    method: str, found: Mapping[str, Mapping[str, HeadPredictions]], subsets: Subsets
) -> list[AblationRow]:
    """Top-1 of every head on all classes, and on the classes of each subset that lists the head.

    Raises:
        DataError: A subset lists an unknown head, or a class that the head does not have.
    """
    rows = []
    heads = next(iter(found.values()))
    for name, classes in subsets.items():
        unknown = [head for head in classes if head not in heads]
        if unknown:
            raise DataError(f'{name} names classes of {unknown[0]!r}; heads of {method} are {", ".join(heads)}.')
    for head in heads:
        tables = {given: of_heads[head] for given, of_heads in found.items()}
        rows.append(_row(method, head, ALL, tables))
        for name, classes in subsets.items():
            if head in classes:
                try:
                    kept = {given: table.of_classes(classes[head]) for given, table in tables.items()}
                except DataError as error:
                    raise DataError(f'{name}, {head}: {error}') from error
                rows.append(_row(method, head, name, kept))
    return rows


def _row(method: str, head: str, subset: str, tables: Mapping[str, HeadPredictions]) -> AblationRow:
    top1 = {given: classification.top_1(table.scores, table.labels) for given, table in tables.items()}
    return AblationRow(method, head, subset, len(next(iter(tables.values())).scores), top1)


def class_recall(table: HeadPredictions) -> np.ndarray:
    """Recall of each class, shape (C,); NaN for classes without clips."""
    matrix = classification.confusion_matrix(table.scores, table.labels)
    totals = matrix.sum(axis=1)
    return np.where(totals > 0, matrix.diagonal() / np.maximum(totals, 1), np.nan)


def ablation_markdown(rows: Sequence[AblationRow], soundless: int) -> str:
    """A Markdown table, followed by the protocol.

    Args:
        rows (Sequence[AblationRow]): Rows of one or several methods.
        soundless (int): Number of test clips without sound.
    """
    given = list(rows[0].top1)
    header = ['method', 'head', 'classes', 'clips', *given, 'gain']
    lines = [header, ['---', '---', '---', *['---:'] * (len(header) - 3)]]
    for row in rows:
        numbers = [f'{row.top1[name]:.3f}' for name in given]
        lines.append([row.method, row.head, row.subset, str(row.clips), *numbers, f'{row.gain:+.3f}'])
    note = (
        'Top-1 of the same trained model: what is not given is masked. On a subset: of the clips of its classes, all '
        'classes to choose from. Gain: of both over the better single one.'
    )
    if soundless:
        note += f' {soundless} clips have no sound: with audio alone nothing but the priors is left for them.'
    return '\n'.join([*(f'| {" | ".join(line)} |' for line in lines), '', note, ''])


def ablation_json(rows: Sequence[AblationRow]) -> list[dict[str, Any]]:
    """The rows as plain values."""
    return [
        {'method': r.method, 'head': r.head, 'classes': r.subset, 'clips': r.clips, 'top1': r.top1, 'gain': r.gain}
        for r in rows
    ]
