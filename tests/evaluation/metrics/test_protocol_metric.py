import logging

import numpy as np
import pytest
from mmengine.evaluator import BaseMetric

from vadlab.evaluation.metrics.frame_score_metric import FrameScoreMetric
from vadlab.registry import METRICS


@pytest.mark.parametrize(
    ('off_by', 'level'), [([0, 15], logging.INFO), ([0, 15, 16], logging.WARNING)], ids=['tail', 'mismatch']
)
def test_only_a_snippet_or_more_of_other_length_is_a_warning(off_by, level, monkeypatch):
    said = []
    metric = FrameScoreMetric()
    monkeypatch.setattr(metric, 'log', lambda message, level: said.append((message, level)))
    metric.log_other_lengths(off_by, 'truncate')
    metric.log_other_lengths([0, 0], 'truncate')
    ((message, said_level),) = said
    assert said_level == level
    assert message.startswith(f'{len(off_by) - 1} of {len(off_by)} videos had scores of another length')


def test_metrics_whose_modules_load_without_mmengine_are_metrics_of_mmengine():
    for name in ('FrameScoreMetric', 'SegmentMetric', 'SpaceMetric', 'VideoScoreMetric', 'CaptionMetric'):
        assert issubclass(METRICS.get(name), BaseMetric)
    assert isinstance(METRICS.build({'type': 'FrameScoreMetric'}), FrameScoreMetric)


def test_numbers_of_this_process_equal_those_that_mmengine_gathers():
    metric = FrameScoreMetric(rank_by='scores', prefix='test')
    sample = {
        'video_id': 'a',
        'total_frames': 4,
        'gt_intervals': [(1, 3)],
        'pred_scores': np.array([0.1, 0.7, 0.2, 0.3]),
    }
    metric.process({}, [sample])
    numbers = metric.numbers()
    assert numbers['test/auc'] == 0.75
    assert len(metric.results) == 1
    gathered = metric.evaluate(1)
    assert gathered.keys() == numbers.keys()
    np.testing.assert_equal(list(gathered.values()), list(numbers.values()))
    assert metric.results == []
