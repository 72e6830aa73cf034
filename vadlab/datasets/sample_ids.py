"""Ids of the samples of a data set, to find samples that two sets share."""

from typing import Any

from mmengine.dataset import BaseDataset


def sample_ids(dataset: Any, keys: tuple[str, ...] = ('video_id', 'clip_id', 'image_id')) -> set[Any]:
    """Ids of a data set's samples; with ``names_repeat``, the paths of its videos instead.

    Args:
        dataset (Any): A data set.
        keys (tuple[str, ...]): Fields that are ids; the first one that a sample has is used.

    Returns:
        set: Empty for a data set without ids.
    """
    if not isinstance(dataset, BaseDataset):
        return set()
    if getattr(dataset, 'names_repeat', False):
        keys = ('video_path',)
    found = set()
    for i in range(len(dataset)):
        sample = dataset.get_data_info(i)
        found.add(next((sample[key] for key in keys if sample.get(key) is not None), None))
    return found - {None}
