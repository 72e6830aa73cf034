"""Measures on class probabilities of whole clips, with one or several labels per clip."""

from collections.abc import Sequence

import numpy as np

from vadlab.utils.errors import DataError

from .ranking import precision_recall_curve, rank_counts


def label_matrix(labels: np.ndarray, num_classes: int) -> np.ndarray:
    """Labels as a bool matrix.

    Args:
        labels (np.ndarray): Class indices, integers of shape (N,), or already bool or 0 / 1 of shape (N, C).
        num_classes (int): C.

    Returns:
        np.ndarray: bool, shape (N, C).

    Raises:
        DataError: Indices are outside 0..C-1, shapes are wrong, or a matrix has other values than 0 and 1.
    """
    labels = np.asarray(labels)
    if labels.ndim == 1:
        if len(labels) and not (labels.min() >= 0 and labels.max() < num_classes):
            raise DataError(f'labels are {labels.min()}..{labels.max()}; of {num_classes} classes they are 0 and more')
        return labels[:, None].astype(np.int64) == np.arange(num_classes)
    if labels.ndim != 2 or labels.shape[1] != num_classes or not ((labels == 0) | (labels == 1)).all():
        raise DataError(f'labels have the shape {labels.shape}; expected (N,) indices or (N, {num_classes}) of 0 and 1')
    return labels.astype(bool)


def top_1(scores: np.ndarray, labels: np.ndarray) -> float:
    """Top-1 accuracy: share of clips whose highest-scoring class is (one of) their labels; the first of equal scores.

    Args:
        scores (np.ndarray): Scores of any scale, higher is more likely, shape (N, C), N > 0.
        labels (np.ndarray): Labels as for :func:`label_matrix`; a clip without a label is never correct.

    Raises:
        DataError: There is no clip, the shapes do not match, or scores are not finite.
    """
    scores, truth = _checked(scores, labels)
    return float(truth[np.arange(len(scores)), scores.argmax(axis=1)].mean())


def predicted_labels(scores: np.ndarray, multi_label: bool = False, threshold: float = 0.5) -> np.ndarray:
    """Mask of the predicted classes.

    Args:
        scores (np.ndarray): Probabilities, shape (N, C).
        multi_label (bool): Whether to predict every class with at least ``threshold``, instead of the highest one.
        threshold (float): 0..1.

    Returns:
        np.ndarray: bool, shape (N, C).
    """
    scores = np.asarray(scores)
    return scores >= threshold if multi_label else label_matrix(scores.argmax(axis=1), scores.shape[1])


def class_f1(predicted: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """F1 per class: 2 TP / (2 TP + FP + FN).

    Args:
        predicted (np.ndarray): bool, shape (N, C), from :func:`predicted_labels`.
        labels (np.ndarray): Labels as for :func:`label_matrix`.

    Returns:
        np.ndarray: float64, shape (C,); NaN for a class without clips, since every prediction of it is wrong.
    """
    predicted, truth = _checked(predicted, labels)
    positives = truth.sum(axis=0)
    with np.errstate(invalid='ignore'):
        values = 2 * (predicted & truth).sum(axis=0) / (predicted.sum(axis=0) + positives)
    return np.where(positives > 0, values, np.nan)


def class_average_precision(scores: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Step-wise average precision per class against all others, as in scikit-learn.

    Args:
        scores (np.ndarray): Shape (N, C), N > 0.
        labels (np.ndarray): Labels as for :func:`label_matrix`.

    Returns:
        np.ndarray: float64, shape (C,); NaN for a class without clips.
    """
    scores, truth = _checked(scores, labels)
    values = np.full(scores.shape[1], np.nan)
    for index in np.flatnonzero(truth.any(axis=0)):
        precision, recall = precision_recall_curve(rank_counts(np.ascontiguousarray(scores[:, index]), truth[:, index]))
        values[index] = float(np.dot(np.diff(recall), precision[1:]))
    return values


def mean_over_classes(values: np.ndarray) -> tuple[float, int]:
    """Mean over the classes whose value is not NaN, and the number of other classes; NaN if all are NaN."""
    known = values[~np.isnan(values)]
    return (float(known.mean()) if len(known) else float('nan')), int(len(values) - len(known))


def confusion_matrix(scores: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Confusion matrix of clips.

    Args:
        scores (np.ndarray): Shape (N, C); the class with the highest score is the prediction.
        labels (np.ndarray): Labels as for :func:`label_matrix`. A clip with several labels counts once per label, and
            as correct if the prediction is one of them.

    Returns:
        np.ndarray: int64, shape (C, C): rows are labels, columns are predictions.
    """
    scores, truth = _checked(scores, labels)
    decided = scores.argmax(axis=1)
    rows, classes = np.nonzero(truth)
    right = truth[rows, decided[rows]]
    matrix = np.zeros((scores.shape[1], scores.shape[1]), dtype=np.int64)
    np.add.at(matrix, (classes, np.where(right, classes, decided[rows])), 1)
    return matrix


def _checked(scores: np.ndarray, labels: np.ndarray | Sequence[int]) -> tuple[np.ndarray, np.ndarray]:
    scores = np.asarray(scores)
    if scores.ndim != 2 or scores.size == 0:
        raise DataError(f'class scores have the shape {scores.shape}; expected (N, C), a row for each clip')
    if scores.dtype.kind == 'f' and not np.isfinite(scores).all():
        bad = int((~np.isfinite(scores)).any(axis=1).sum())
        raise DataError(f'{bad} of {len(scores)} clips have scores that are NaN or infinite; the model has diverged')
    truth = label_matrix(np.asarray(labels), scores.shape[1])
    if len(truth) != len(scores):
        raise DataError(f'{len(scores)} clips have scores, {len(truth)} have labels')
    return scores, truth
