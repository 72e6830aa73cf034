"""Warn if validation videos are also in the training set."""

import logging
from typing import Any

from mmengine.hooks import Hook

from vadlab.datasets.sample_ids import sample_ids
from vadlab.registry import HOOKS

_OF_VIDEOS = ('video_id',)


@HOOKS.register_module()
class SplitLeakageHook(Hook):
    """Warns before training if videos of the validation set are also in the training set.

    It is not an error, since a quick experiment may use the same few videos for both.
    """

    def before_train(self, runner: Any) -> None:
        """Compare the ids of the videos, and their paths where training and test clips have the same names."""
        if runner.val_loop is None:
            return
        evaluated = sample_ids(runner.val_loop.dataloader.dataset, _OF_VIDEOS)
        shared = sorted(evaluated & sample_ids(runner.train_loop.dataloader.dataset, _OF_VIDEOS))
        if shared:
            runner.logger.log(
                logging.WARNING,
                f'{len(shared)} of {len(evaluated)} validation videos are also trained on (first: {shared[0]}): '
                'their metrics say nothing about new videos.',
            )
