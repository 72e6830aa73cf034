from types import SimpleNamespace

import pytest
import torch

from vadlab.engine.hooks import report_hook
from vadlab.engine.hooks.report_hook import ReportHook
from vadlab.structures.video_result import RunInfo


class Videos(list):
    metainfo = {}


@pytest.mark.parametrize(('rank', 'tested', 'written'), [(0, ['a', 'c'], ['a', 'c']), (1, ['b', 'a'], ['b'])])
def test_a_video_that_the_sampler_repeats_is_written_by_one_process(tmp_path, monkeypatch, rank, tested, written):
    """Two processes share three videos: the second one gets the first video again, to fill its last batch."""
    monkeypatch.setattr(report_hook, 'sample_result', lambda sample, names, thresholds: sample['video_id'])
    pages = []
    hook = ReportHook(str(tmp_path), RunInfo('a.py', 'a.pth', 'Model'))
    hook._report = SimpleNamespace(add=lambda video, true_class: pages.append(video))
    runner = SimpleNamespace(world_size=2, rank=rank, test_dataloader=SimpleNamespace(dataset=Videos('abc')))
    for name in tested:
        hook.after_test_iter(runner, 0, outputs=[{'video_id': name, 'pred_scores': torch.zeros(2)}])
    assert pages == written
