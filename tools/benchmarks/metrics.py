"""Metrics at the size of UCF-Crime's test set, compared with scikit-learn (frames) and a plain loop (segments)."""

from typing import Any

import numpy as np

from .harness import Entry, Report, Row, compete, limit
from .plain_segments import Truth, plain_segment_map

REFERENCE = 'scikit-learn'
PLAIN = 'the published loop'
OURS = 'VADLab'

VIDEO_FRAMES = 3824  # average length of a video of UCF-Crime's test set: 239 snippets
NUM_CLASSES = 14
SNIPPET_LEN = 16
IOUS = (0.1, 0.2, 0.3, 0.4, 0.5)
FULL_SIZE = 1_000_000  # below it, fixed costs dominate and the targets do not apply


class MetricJob:
    """AUC and AP of scores that repeat 16 times, as snippet scores do.

    Args:
        kind: ``reference`` or ``ours``.
        frames: Number of frames.
        repeats: Frames of the same score in a row.
    """

    def __init__(self, kind: str, frames: int, repeats: int = SNIPPET_LEN) -> None:
        generator = np.random.default_rng(0)
        self.kind = kind
        self.labels = np.repeat(generator.random(frames // 160 + 1) < 0.1, 160)[:frames]
        snippets = generator.standard_normal(frames // repeats + 1)
        self.scores = np.repeat(snippets, repeats)[:frames] + self.labels
        if kind == 'reference':
            import sklearn.metrics  # noqa: F401
        else:
            import vadlab.evaluation.functional  # noqa: F401

    def run(self) -> dict[str, Any]:
        """Compute both metrics."""
        if self.kind == 'reference':
            from sklearn.metrics import average_precision_score, roc_auc_score

            auc, ap = roc_auc_score(self.labels, self.scores), average_precision_score(self.labels, self.scores)
        else:
            from vadlab.evaluation.functional import average_precision, rank_counts, roc_auc

            counts = rank_counts(self.scores, self.labels)
            auc, ap = roc_auc(counts), average_precision(counts)
        return dict(auc=float(auc), ap=float(ap))


def make_test_set(frames: int, seed: int = 0) -> tuple[list[np.ndarray], list[Truth]]:
    """Class probabilities of snippets, repeated per frame, and the true segments: half of the videos have one.

    Probabilities are random walks, like those of a method, and rise in true segments, so that there are matches.
    """
    generator = np.random.default_rng(seed)
    scores: list[np.ndarray] = []
    truths: list[Truth] = []
    for number in range(max(2, round(frames / VIDEO_FRAMES))):
        snippets = int(generator.integers(40, 2 * VIDEO_FRAMES // SNIPPET_LEN - 40))
        logits = np.cumsum(generator.standard_normal((snippets, NUM_CLASSES)), axis=0) * 0.3
        truth: list[tuple[int, int, int]] = []
        if number % 2:
            index = 1 + number // 2 % (NUM_CLASSES - 1)
            start, end = np.sort(generator.integers(0, snippets, 2))
            logits[start : end + 1, index] += 2
            truth = [(index, int(start) * SNIPPET_LEN + 5, int(end + 1) * SNIPPET_LEN - 3)]
        shares = np.exp(logits - logits.max(axis=1, keepdims=True))
        shares = (shares / shares.sum(axis=1, keepdims=True)).astype(np.float32)
        scores.append(np.repeat(shares, SNIPPET_LEN, axis=0))
        truths.append(truth)
    return scores, truths


class FrameMetricsJob:
    """Every frame-level metric: AUC, AP, Ano-AUC, macro AUC, EER, FAR and mAUC.

    Args:
        kind: ``reference`` or ``ours``.
        frames: Number of frames, about.
    """

    def __init__(self, kind: str, frames: int) -> None:
        self.kind = kind
        self.class_scores, truths = make_test_set(frames)
        self.scores = [1 - scores[:, 0] for scores in self.class_scores]
        self.masks = []
        for scores, truth in zip(self.class_scores, truths, strict=True):
            mask = np.zeros(scores.shape, bool)
            for index, start, end in truth:
                mask[start:end, index] = True
            mask[:, 0] = ~mask.any(axis=1)
            self.masks.append(mask)
        self.labels = [~mask[:, 0] for mask in self.masks]
        if kind == 'reference':
            import sklearn.metrics  # noqa: F401
        else:
            import vadlab.evaluation.functional  # noqa: F401

    def run(self) -> dict[str, Any]:
        """Compute all metrics."""
        return self._reference() if self.kind == 'reference' else self._ours()

    def _reference(self) -> dict[str, Any]:
        from sklearn.metrics import average_precision_score, roc_auc_score, roc_curve

        scores, labels = np.concatenate(self.scores), np.concatenate(self.labels)
        of_classes, masks = np.concatenate(self.class_scores), np.concatenate(self.masks)
        anomalous = [i for i, label in enumerate(self.labels) if label.any()]
        normal = np.concatenate(
            [score for score, label in zip(self.scores, self.labels, strict=True) if not label.any()]
        )
        both = [i for i in anomalous if not self.labels[i].all()]
        fpr, tpr, _ = roc_curve(labels, scores)
        excess = fpr + tpr - 1
        after = int(np.argmax(excess >= 0))
        share = -excess[after - 1] / (excess[after] - excess[after - 1])
        areas = [
            roc_auc_score(masks[:, i], of_classes[:, i]) for i in range(1, masks.shape[1]) if 0 < masks[:, i].mean() < 1
        ]
        return dict(
            auc=float(roc_auc_score(labels, scores)),
            ap=float(average_precision_score(labels, scores)),
            ano_auc=float(
                roc_auc_score(*(np.concatenate([part[i] for i in anomalous]) for part in (self.labels, self.scores)))
            ),
            macro_auc=float(np.mean([roc_auc_score(self.labels[i], self.scores[i]) for i in both])),
            eer=float(fpr[after - 1] + share * (fpr[after] - fpr[after - 1])),
            far=float((normal >= 0.5).mean()),
            mauc=float(np.mean(areas)),
        )

    def _ours(self) -> dict[str, Any]:
        from vadlab.evaluation import functional

        counts = functional.rank_counts(np.concatenate(self.scores), np.concatenate(self.labels))
        areas = functional.class_wise_auc(np.concatenate(self.class_scores), np.concatenate(self.masks))
        return dict(
            auc=functional.roc_auc(counts),
            ap=functional.average_precision(counts),
            ano_auc=functional.ano_auc(self.scores, self.labels),
            macro_auc=functional.macro_auc(self.scores, self.labels),
            eer=functional.equal_error_rate(counts),
            far=functional.false_alarm_rate(self.scores, self.labels),
            mauc=functional.mean_class_auc(areas),
        )


class SegmentJob:
    """Segment mAP at five IoU thresholds, as VadCLIP's published code computes it.

    Args:
        kind: ``reference`` or ``ours``.
        frames: Number of frames, about.
    """

    def __init__(self, kind: str, frames: int) -> None:
        self.kind = kind
        self.scores, self.truths = make_test_set(frames)
        if kind != 'reference':
            import vadlab.evaluation.functional  # noqa: F401

    def run(self) -> dict[str, Any]:
        """Mean average precision at each threshold."""
        if self.kind == 'reference':
            maps = np.array(plain_segment_map(self.scores, self.truths, NUM_CLASSES, IOUS))
        else:
            from vadlab.evaluation.functional import Segments, propose_segments, segment_map

            proposals = [propose_segments(scores) for scores in self.scores]
            maps, _ = segment_map(proposals, [Segments.of(truth) for truth in self.truths], NUM_CLASSES, ious=IOUS)
        return {f'map@{iou:g}': float(value) for iou, value in zip(IOUS, maps, strict=True)}


# The task, its job, the name of the reference, and the target speed-up at full size.
CASES: tuple[tuple[str, str, dict[str, Any], str, float], ...] = (
    ('AUC and AP of {frames:,} frames', 'MetricJob', {}, REFERENCE, 2),
    ('AUC and AP of {frames:,} frames, no two alike', 'MetricJob', {'repeats': 1}, REFERENCE, 2),
    ('all frame-level metrics of {frames:,} frames', 'FrameMetricsJob', {}, REFERENCE, 2),
    ('segment mAP of {frames:,} frames', 'SegmentJob', {}, PLAIN, 20),
)


def run(runs: int = 5, frames: int = 1_109_680) -> Report:
    """Measure the metrics.

    Args:
        runs: Runs per comparison.
        frames: Frames of the test set; the public features of UCF-Crime's 290 videos have 1,109,680.
    """
    report = Report()
    for title, job, options, reference, wanted in CASES:
        first: dict[str, Any] = {}
        entries = [
            Entry(name, f'metrics:{job}', dict(kind=kind, frames=frames, **options), units=frames / 1e6, threads=1)
            for name, kind in ((reference, 'reference'), (OURS, 'ours'))
        ]
        case = title.format(frames=frames)
        rows = compete('metrics', case, entries, runs, reference, 'M frames/s', on_first=first.__setitem__)
        report.rows += rows
        report.errors += _differences(case, reference, first, rows)
        if frames >= FULL_SIZE:
            speed = None if rows[1].ratio is None else 1 / rows[1].ratio.median
            report.targets.append(limit(f'{case}: speed against {reference}', wanted, speed, at_least=True))
    return report


def _differences(case: str, reference: str, first: dict[str, Any], rows: list[Row]) -> list[str]:
    if OURS not in first:
        return [f'metrics: {case}: {rows[1].note}']
    return [
        f'metrics: {case}: {key} is {first[OURS][key]}, {reference} says {value}'
        for key, value in first[reference].items()
        if abs(first[OURS][key] - value) > 1e-12
    ]
