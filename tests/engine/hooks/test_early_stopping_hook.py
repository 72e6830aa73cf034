"""Ending a training early."""

from types import SimpleNamespace

import pytest
from mmengine.logging import MMLogger

from vadlab.engine.hooks.early_stopping_hook import EarlyStoppingHook
from vadlab.utils.errors import ConfigError


def runner_at(epoch, resume=False):
    logger = MMLogger.get_instance('early_stopping')
    return SimpleNamespace(train_loop=SimpleNamespace(stop_training=False), epoch=epoch, logger=logger, _resume=resume)


def stops_after(hook, scores):
    """The epoch that the training ends with, of scores of epochs 1, 2, ...; None: it does not."""
    for epoch, score in enumerate(scores, 1):
        runner = runner_at(epoch)
        hook.after_val_epoch(runner, {'caption/cider_d': score})
        if runner.train_loop.stop_training:
            return epoch
    return None


def test_training_ends_after_patience_validations_without_a_gain():
    assert stops_after(EarlyStoppingHook('caption/cider_d', patience=2), [1, 2, 1.9, 1.8, 1.7]) == 4


def test_a_score_that_only_holds_has_not_risen():
    assert stops_after(EarlyStoppingHook('caption/cider_d', patience=3), [2] * 20) == 4


def test_training_does_not_end_before_min_epochs():
    scores = [3, *[1] * 20]
    assert stops_after(EarlyStoppingHook('caption/cider_d', patience=5, min_epochs=15), scores) == 15


def test_gain_starts_the_count_anew():
    scores = [1, 0.5, 1.1, 0.5, 1.2, 0.5, 1.3]
    assert stops_after(EarlyStoppingHook('caption/cider_d', patience=2), scores) is None


def test_unknown_metric_names_the_nearest():
    hook = EarlyStoppingHook('caption/cider_e')
    with pytest.raises(ConfigError, match='caption/cider_d'):
        hook.check_metrics(['caption/cider_d', 'caption/bleu1'])


@pytest.mark.parametrize(('resume', 'epochs_left'), [(True, 1), (False, 3)])
def test_only_a_resumed_run_goes_on_counting(resume, epochs_left):
    first = EarlyStoppingHook('caption/cider_d', patience=2)
    assert stops_after(first, [1, 0.5]) is None
    checkpoint = {}
    first.before_save_checkpoint(runner_at(2), checkpoint)
    second = EarlyStoppingHook('caption/cider_d', patience=2)
    second.after_load_checkpoint(runner_at(2, resume), checkpoint)
    assert stops_after(second, [0.4, 0.3, 0.2]) == epochs_left
