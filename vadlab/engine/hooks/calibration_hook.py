"""Measure the scores of training data after each epoch, for models that scale their scores by them."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from mmengine.hooks import Hook

from vadlab.registry import HOOKS
from vadlab.utils.errors import ConfigError

from ..random_state import capture_random_state, restore_random_state


@HOOKS.register_module()
class CalibrationHook(Hook):
    """Calls the model's ``calibrate`` with training samples at the end of each epoch, before validation and saving.

    The samples are spread evenly over the training data, the same in each epoch. The model is in evaluation mode, and
    the random generators are restored afterwards, so that training does not depend on this hook. Every process of a
    distributed run does the same, so that their models stay equal.

    Args:
        num_samples (int): Number of training samples; all of them if there are fewer.
        batch_size (int): Samples per batch.

    Raises:
        ConfigError: The model has no ``calibrate``, or a number is less than 1.
    """

    priority = 'NORMAL'  # before CheckpointHook

    def __init__(self, num_samples: int = 256, batch_size: int = 16) -> None:
        if num_samples < 1 or batch_size < 1:
            raise ConfigError(
                f'CalibrationHook: num_samples={num_samples} and batch_size={batch_size} must be at least 1.'
            )
        self.num_samples = num_samples
        self.batch_size = batch_size

    def before_train(self, runner: Any) -> None:
        """Check that the model can be calibrated, and call its ``prepare``, if it has one and needs it.

        ``prepare`` gets all training samples; a resumed run has the result in its checkpoint.
        """
        if not hasattr(runner.bare_model, 'calibrate'):
            raise ConfigError(
                f'CalibrationHook: {type(runner.bare_model).__name__} has no scores to calibrate. Remove the hook.'
            )
        model = runner.bare_model
        if hasattr(model, 'prepare') and not model.is_prepared:
            state = capture_random_state()
            with torch.no_grad():
                count = model.prepare(self._batches(runner.train_dataloader, len(runner.train_dataloader.dataset)))
            restore_random_state(state)
            runner.logger.info(f'Prepared on {count} training vectors.')

    def after_train_epoch(self, runner: Any) -> None:
        """Calibrate."""
        model, state = runner.bare_model, capture_random_state()
        was_training = model.training
        model.eval()
        try:
            with torch.no_grad():
                count = model.calibrate(self._batches(runner.train_dataloader, self.num_samples))
        finally:
            model.train(was_training)
            restore_random_state(state)
        runner.logger.info(f'Calibrated on {count} training samples.')

    def _batches(self, loader: Any, num_samples: int) -> Iterator[Any]:
        dataset = loader.dataset
        count = min(num_samples, len(dataset))
        inds = np.linspace(0, len(dataset) - 1, count).round().astype(int).tolist()
        for start in range(0, count, self.batch_size):
            yield loader.collate_fn([dataset[i] for i in inds[start : start + self.batch_size]])
