import sys

import hypothesis.strategies as st
import pytest
import torch
from hypothesis import example, given
from mmcv.ops import roi_align

from vadlab.models.layers.roi_align import RoIAlign, mmcv_ops_problem, plain_roi_align


@pytest.fixture(autouse=True)
def _fresh_answers():
    mmcv_ops_problem.cache_clear()
    yield
    mmcv_ops_problem.cache_clear()


def _near(side):
    """Start of a box along a side of that many cells: also outside the map, often on the border of a cell."""
    return st.one_of(st.integers(-2 * side, 2 * side).map(float), st.floats(-2 * side, 2 * side, width=32))


def _extents(side):
    return st.one_of(st.just(0.0), st.integers(0, 3 * side).map(float), st.floats(0, 3 * side, width=32))


@st.composite
def _cases(draw):
    maps, height, width = draw(st.integers(1, 3)), draw(st.integers(1, 9)), draw(st.integers(1, 9))
    rois = []
    for _ in range(draw(st.integers(1, 6))):
        x, y = draw(_near(width)), draw(_near(height))
        row = draw(st.integers(0, maps - 1))
        rois.append([float(row), x, y, x + draw(_extents(width)), y + draw(_extents(height))])
    options = dict(
        output_size=draw(st.integers(1, 3)), sampling_ratio=draw(st.integers(0, 3)), aligned=draw(st.booleans())
    )
    return (maps, height, width), rois, options, draw(st.sampled_from([torch.float32, torch.float64]))


ALL_OF_IT = dict(output_size=1, sampling_ratio=0, aligned=True)


@given(_cases())
@example(((1, 2, 2), [[0, 0, 0, 2, 2]], ALL_OF_IT, torch.float32))
@example(((2, 3, 4), [[1, 1, 1, 1, 3], [1, 0, 2, 3, 2]], ALL_OF_IT, torch.float32))  # one empty, one not
@example(((1, 3, 3), [[0, -9, -9, -5, -5], [0, -9, -9, 9, 9], [0, 2, 2, 3.5, 3.5]], ALL_OF_IT, torch.float32))
def test_plain_equals_mmcv(case):
    (maps, height, width), rois, options, dtype = case
    torch.manual_seed(0)
    values = torch.randn(maps, 2, height, width, dtype=dtype)
    rois = torch.tensor(rois, dtype=dtype)
    theirs, ours = (values.clone().requires_grad_() for _ in range(2))
    expected = roi_align(
        theirs, rois, options['output_size'], 1.0, options['sampling_ratio'], 'avg', options['aligned']
    )
    found = plain_roi_align(ours, rois, **options)
    weight = torch.randn_like(expected)
    (expected * weight).sum().backward()
    (found * weight).sum().backward()
    for mine, its in ((found, expected), (ours.grad, theirs.grad)):
        torch.testing.assert_close(mine, its, rtol=0, atol=1e-6 * max(1.0, float(its.detach().abs().max())))


def test_no_boxes_give_no_features_and_no_gradient():
    maps = torch.randn(2, 3, 4, 5, requires_grad=True)
    pooled = plain_roi_align(maps, torch.zeros(0, 5), output_size=2)
    assert pooled.shape == (0, 3, 2, 2)
    pooled.sum().backward()
    assert not maps.grad.any()


@pytest.fixture(params=['mmcv', 'plain'])
def op(request, monkeypatch):
    """Run with each of the two implementations."""
    if request.param == 'plain':
        monkeypatch.setitem(sys.modules, 'mmcv.ops', None)
    assert bool(mmcv_ops_problem('cpu')) == (request.param == 'plain')


@pytest.mark.usefixtures('op')
@pytest.mark.parametrize(
    ('dtype', 'expected'), [(torch.bfloat16, torch.float32), (torch.float32, torch.float32), (torch.float64,) * 2]
)
def test_features_are_float32_or_float64(dtype, expected):
    maps = torch.arange(4, dtype=dtype).view(1, 1, 2, 2)
    pooled = RoIAlign()(maps, torch.tensor([[0.0, 0, 0, 2, 2]]))
    assert pooled.dtype == expected
    assert pooled.flatten().tolist() == [1.5]


@pytest.mark.usefixtures('op')
def test_memory_layout_does_not_matter():
    torch.manual_seed(0)
    maps = torch.randn(2, 4, 5, 3).movedim(-1, 1)  # a transposed view, as a projection over channels returns
    rois = torch.tensor([[0.0, 0.5, 0.5, 3.0, 2.5], [1.0, 0, 0, 4.0, 4.0]])
    pooled = RoIAlign()(maps, rois)
    assert torch.equal(pooled, RoIAlign()(maps.contiguous(), rois))
    assert torch.equal(pooled, RoIAlign()(maps, rois.T.contiguous().T))


@pytest.mark.usefixtures('op')
def test_runs_outside_of_mixed_precision():
    maps = torch.randn(1, 2, 7, 7)
    rois = torch.tensor([[0.0, 0.3, 0.3, 5.1, 6.2]])
    with torch.autocast('cpu', torch.bfloat16):
        pooled = RoIAlign()(maps, rois)
    assert torch.equal(pooled, RoIAlign()(maps, rois))


def test_missing_ops_message_tells_how_to_build_them(monkeypatch):
    monkeypatch.setitem(sys.modules, 'mmcv.ops', None)
    assert 'make install' in mmcv_ops_problem('cpu')


def test_ops_without_a_device_are_named(monkeypatch):
    def fail(*args):
        raise RuntimeError('roi_align_forward_impl: implementation for device cuda:0 not found.\nmore')

    monkeypatch.setattr('mmcv.ops.roi_align', fail)
    problem = mmcv_ops_problem('cpu')
    assert 'no ops for cpu (roi_align_forward_impl: implementation for device cuda:0 not found.)' in problem
    assert 'make install' in problem


def test_mmcv_is_used_where_it_runs(monkeypatch):
    calls = []
    monkeypatch.setattr('mmcv.ops.roi_align', lambda *args: calls.append(args) or roi_align(*args))
    RoIAlign()(torch.ones(1, 1, 2, 2), torch.tensor([[0.0, 0, 0, 2, 2]]))
    assert calls
