import numpy as np
import pytest

from vadlab.apis.features.snippet_plan import SnippetPlan
from vadlab.utils.errors import ConfigError


@pytest.mark.parametrize(('total', 'count'), [(16, 1), (31, 1), (32, 2), (1412, 88), (1408, 88), (5, 1), (1, 1)])
def test_public_sets_drop_what_is_left_at_the_end(total, count):
    plan = SnippetPlan(16)
    assert plan.count(total) == count == max(total // 16, 1)
    assert plan.frame_inds(total).shape == (count, 1)


def test_frames_of_a_snippet():
    assert SnippetPlan(16, frames='middle').frame_inds(32)[:, 0].tolist() == [8, 24]
    assert SnippetPlan(16, frames='first').frame_inds(32)[:, 0].tolist() == [0, 16]
    assert SnippetPlan(16, frames='all').frame_inds(32).tolist() == [list(range(16)), list(range(16, 32))]
    assert SnippetPlan(16, frames=4).frame_inds(16).tolist() == [[2, 6, 10, 14]]
    assert SnippetPlan(16, frames=16).offsets.tolist() == list(range(16))


def test_tails():
    assert SnippetPlan(4, frames='all', tail='drop').frame_inds(10).tolist() == [[0, 1, 2, 3], [4, 5, 6, 7]]
    assert SnippetPlan(4, frames='all', tail='pad').frame_inds(10)[-1].tolist() == [8, 9, 9, 9]
    assert SnippetPlan(4, frames='all', tail='shift').frame_inds(10)[-1].tolist() == [6, 7, 8, 9]
    for tail in ('drop', 'pad', 'shift'):
        plan = SnippetPlan(4, frames='all', tail=tail)
        assert plan.count(8) == 2
        assert plan.frame_inds(3).tolist() == [[0, 1, 2, 2]]


def test_stride_smaller_and_larger_than_a_snippet():
    assert SnippetPlan(4, stride=2, frames='first').frame_inds(9)[:, 0].tolist() == [0, 2, 4]
    assert SnippetPlan(4, stride=8, frames='first').frame_inds(20)[:, 0].tolist() == [0, 8, 16]
    assert SnippetPlan(4, stride=8, tail='pad').count(20) == 3


def test_no_frame_lies_outside_the_video():
    for tail in ('drop', 'pad', 'shift'):
        for stride in (3, 5, 9):
            for total in range(1, 40):
                inds = SnippetPlan(5, stride, 'all', tail).frame_inds(total)
                assert inds.min() >= 0
                assert inds.max() < total
                assert (np.diff(inds, axis=1) >= 0).all()


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        (dict(snippet_len=0), 'at least 1'),
        (dict(frames='last'), "frames='last'; give all, middle, first"),
        (dict(frames=17), 'a number from 1 to 16'),
        (dict(tail='keep'), "tail='keep' is not one of drop, pad, shift"),
    ],
)
def test_wrong_settings(options, message):
    with pytest.raises(ConfigError, match=message):
        SnippetPlan(**options)
