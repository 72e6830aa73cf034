import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / 'tools'))
from benchmarks import captions


def test_captions_are_those_of_their_seed_and_share_words_with_their_references():
    candidates, references = captions.make_captions(20)
    assert (candidates, references) == captions.make_captions(20)
    assert candidates != captions.make_captions(20, seed=1)[0]
    assert [len(found) for found in references] == [5] * 20


def test_rewards_equal_pycocoevalcap():
    pytest.importorskip('pycocoevalcap')
    reference, ours = (captions.RewardJob(kind, images=6).run() for kind in ('reference', 'ours'))
    assert reference['reward'] > 1
    assert captions.compare(reference, ours, 'case') == []


def test_numbers_that_differ_are_reported():
    right = dict(bleu1=0.5, meteor=0.2)
    assert captions.compare(right, dict(bleu1=0.5, meteor=0.19), 'case') == []
    wrong = captions.compare(right, dict(bleu1=0.50001, meteor=float('nan')), 'case')
    assert [line.split(' is ')[0] for line in wrong] == ['captions, case: bleu1', 'captions, case: meteor']


@pytest.mark.slow
def test_without_the_reference_our_own_times_are_measured(monkeypatch):
    monkeypatch.setattr(captions.importlib.util, 'find_spec', lambda name: None)
    report = captions.run(runs=1, images=4, batch=2, size='tiny', step_batch=2)
    assert [row.name for row in report.rows] == ['VADLab'] * 3
    assert report.errors == []
    assert [target.met for target in report.targets[:2]] == [None, None]
    assert report.targets[-1].met is not None  # the share of a step, which needs no reference


@pytest.mark.slow
def test_share_of_the_rewards_is_measured():
    assert 0 < captions.SelfCriticalJob('tiny', images=2).run()['share'] < 1
