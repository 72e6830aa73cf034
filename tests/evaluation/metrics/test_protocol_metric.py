import json
import logging
import os
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest
import torch.distributed as dist
import torch.multiprocessing as mp
from mmengine.evaluator import BaseMetric

from tests.gloo_ranks import end_rank
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


VIDEOS = [
    {
        'video_id': str(i),
        'total_frames': 3,
        'gt_intervals': [(0, 1)] if i else [],
        'pred_scores': np.random.default_rng(i).random(3),
    }
    for i in range(5)
]


def _evaluate_share(rank, folder):
    dist.init_process_group('gloo', f'file://{folder}/store', rank=rank, world_size=2, timeout=timedelta(seconds=300))
    os.chdir('/proc')  # where nobody can write
    metric = FrameScoreMetric(rank_by='scores')
    metric.process({}, [VIDEOS[i] for i in ((0, 2, 4), (1, 3, 0))[rank]])  # as the sampler shares and repeats
    gathered = []
    compute = metric.compute_metrics
    metric.compute_metrics = lambda results: gathered.extend(r['sample_id'] for r in results) or compute(results)
    numbers = metric.evaluate(len(VIDEOS))
    Path(folder, f'{rank}.json').write_text(json.dumps([numbers, gathered, metric.results]))
    end_rank()


def test_two_ranks_in_a_folder_that_cannot_be_written_equal_one_process(tmp_path):
    mp.spawn(_evaluate_share, args=(str(tmp_path),), nprocs=2)
    metric = FrameScoreMetric(rank_by='scores')
    metric.process({}, VIDEOS)
    expected = metric.numbers()
    for rank, order in enumerate((['0', '1', '2', '3', '4'], [])):
        assert json.loads((tmp_path / f'{rank}.json').read_text()) == [expected, order, []]
