import logging

import pytest

from vadlab.evaluation.metrics.frame_score_metric import FrameScoreMetric


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
