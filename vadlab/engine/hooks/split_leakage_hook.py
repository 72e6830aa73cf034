"""Warn if validation videos are also in the training set."""

import logging
from typing import Any

from mmengine.dataset import BaseDataset
from mmengine.hooks import Hook

from vadlab.registry import HOOKS


@HOOKS.register_module()
class SplitLeakageHook(Hook):
    """Warns before training if videos of the validation set are also in the training set.

    It is not an error, since a quick experiment may use the same few videos for both.
    """

    def before_train(self, runner: Any) -> None:
        """Compare the ids of the videos, and their paths where training and test clips have the same names."""
        if runner.val_loop is None:
            return
        evaluated = _video_ids(runner.val_loop.dataloader.dataset)
        shared = sorted(evaluated & _video_ids(runner.train_loop.dataloader.dataset))
        if shared:
            runner.logger.log(
                logging.WARNING,
                f'{len(shared)} of {len(evaluated)} validation videos are also trained on (first: {shared[0]}): '
                'their metrics say nothing about new videos.',
            )


def _video_ids(dataset: Any) -> set[str]:
    """Ids of a data set's videos; empty for data sets without ids. With ``names_repeat``, their paths instead."""
    if not isinstance(dataset, BaseDataset):
        return set()
    key = 'video_path' if getattr(dataset, 'names_repeat', False) else 'video_id'
    ids = (dataset.get_data_info(i).get(key) for i in range(len(dataset)))
    return {video_id for video_id in ids if video_id is not None}
