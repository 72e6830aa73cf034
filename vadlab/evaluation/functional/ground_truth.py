"""Frame labels from annotations and frame counts, and matching of different lengths."""

from collections.abc import Mapping

import numpy as np

from vadlab.datasets.formats.temporal_annotations import intervals_to_mask
from vadlab.utils.errors import ConfigError, DataError

LENGTH_POLICIES = ('error', 'truncate', 'pad_last')


def frame_labels(
    annotations: Mapping[str, tuple[str, np.ndarray]], num_frames: Mapping[str, int]
) -> dict[str, np.ndarray]:
    """Labels of the frames of each video: True for anomalous ones.

    Args:
        annotations (Mapping): By video id, the class name and the half-open intervals, shape (K, 2), from
            :func:`vadlab.datasets.formats.temporal_annotations.read_temporal_annotations`.
        num_frames (Mapping[str, int]): Frames of each video. UCF-Crime's usual 1,109,680 frames come from the public
            snippet features, with 16 frames per snippet; published lists of true frame counts differ.

    Returns:
        dict[str, np.ndarray]: By video id, in the order of ``num_frames``: bool, shape (N,).

    Raises:
        DataError: Videos have no annotation, or annotated videos have no frame count.
    """
    for there, elsewhere, lack in (
        (num_frames, annotations, 'have no temporal annotation'),
        (annotations, num_frames, 'are annotated but have no frame count'),
    ):
        missing = [name for name in there if name not in elsewhere]
        if missing:
            raise DataError(f'{len(missing)} of {len(there)} videos {lack} (first: {missing[0]})')
    return {name: intervals_to_mask(annotations[name][1], count) for name, count in num_frames.items()}


def match_lengths(video_id: str, scores: np.ndarray, num_frames: int, policy: str = 'error') -> tuple[np.ndarray, int]:
    """Change the scores of a video to the length of its ground truth, if the policy allows it.

    Args:
        video_id (str): For the message.
        scores (np.ndarray): Shape (N,), or (N, K) for class scores.
        num_frames (int): Frames of the ground truth.
        policy (str): ``error``: the lengths must be equal. ``truncate``: only frames in both count. ``pad_last``: the
            last score is repeated for the remaining frames; scores beyond the ground truth do not count.

    Returns:
        tuple[np.ndarray, int]: The scores, and the number of frames of the ground truth that count.

    Raises:
        ConfigError: ``policy`` is unknown.
        DataError: The lengths differ and ``policy`` is ``error``, or there is no score.
    """
    if policy not in LENGTH_POLICIES:
        raise ConfigError(f'length_policy is {policy!r}; choose one of {", ".join(LENGTH_POLICIES)}')
    if len(scores) == num_frames:
        return scores, num_frames
    if policy == 'error' or len(scores) == 0:
        raise DataError(
            f'{video_id}: {len(scores)} scores for {num_frames} frames of ground truth. If that is intended, choose '
            "length_policy='truncate' or 'pad_last'"
        )
    if len(scores) > num_frames:
        return scores[:num_frames], num_frames
    if policy == 'truncate':
        return scores, len(scores)
    return np.concatenate([scores, np.repeat(scores[-1:], num_frames - len(scores), axis=0)]), num_frames
