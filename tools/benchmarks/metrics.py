"""Frame-level AUC and AP of UCF-Crime's test set, against scikit-learn."""

from typing import Any

import numpy as np

from .harness import Entry, Report, compete

REFERENCE = 'scikit-learn'


class MetricJob:
    """AUC and AP of scores that repeat 16 times, as snippet scores do.

    Args:
        kind: ``reference`` or ``ours``.
        frames: Number of frames.
    """

    def __init__(self, kind: str, frames: int) -> None:
        generator = np.random.default_rng(0)
        self.kind = kind
        self.labels = np.repeat(generator.random(frames // 160 + 1) < 0.1, 160)[:frames]
        snippets = generator.standard_normal(frames // 16 + 1)
        self.scores = np.repeat(snippets, 16)[:frames] + self.labels
        if kind == 'reference':
            import sklearn.metrics  # noqa: F401
        else:
            import vadlab.evaluation.functional  # noqa: F401

    def run(self) -> dict[str, Any]:
        """Both figures."""
        if self.kind == 'reference':
            from sklearn.metrics import average_precision_score, roc_auc_score

            auc, ap = roc_auc_score(self.labels, self.scores), average_precision_score(self.labels, self.scores)
        else:
            from vadlab.evaluation.functional import average_precision, rank_counts, roc_auc

            counts = rank_counts(self.scores, self.labels)
            auc, ap = roc_auc(counts), average_precision(counts)
        return dict(auc=float(auc), ap=float(ap))


def run(runs: int = 5, frames: int = 1_109_680) -> Report:
    """Measure the metrics.

    Args:
        runs: Turns.
        frames: Frames of the test set; 290 videos of UCF-Crime have 1,109,680.
    """
    report = Report()
    first: dict[str, Any] = {}
    entries = [
        Entry(name, 'metrics:MetricJob', dict(kind=kind, frames=frames), units=frames / 1e6, threads=1)
        for name, kind in ((REFERENCE, 'reference'), ('VADLab', 'ours'))
    ]
    case = f'AUC and AP of {frames:,} frames'
    report.rows += compete('metrics', case, entries, runs, REFERENCE, 'M frames/s', on_first=first.__setitem__)
    for key in ('auc', 'ap'):
        if 'VADLab' not in first:
            report.errors.append(f'metrics: {report.rows[1].note}')
            break
        if abs(first['VADLab'][key] - first[REFERENCE][key]) > 1e-9:
            report.errors.append(f'metrics: {key} is {first["VADLab"][key]}, scikit-learn says {first[REFERENCE][key]}')
    return report
