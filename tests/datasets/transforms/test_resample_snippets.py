import numpy as np
import pytest
import torch

from vadlab.datasets.transforms.resample_snippets import MODES, ResampleSnippets
from vadlab.utils.errors import ConfigError

# Two channels: 0, 1, 2, ... and their squares.
RAMP = np.stack([np.arange(11.0), np.arange(11.0) ** 2], axis=1).astype(np.float32)


def resample(feats, *args, **kwargs):
    feats = feats if isinstance(feats, list) else [feats]
    return ResampleSnippets(*args, **kwargs)(dict(features=feats))['features']


# The numbers that the authors' functions give for RAMP.
def test_segment_mean_equals_rtfms_process_feat():
    found = resample(RAMP, 4, 'segment_mean')[0]
    np.testing.assert_allclose(found, [[0.5, 0.5], [3, 29 / 3], [6, 110 / 3], [9, 245 / 3]], rtol=1e-6)
    short = resample(RAMP[:3], 5, 'segment_mean')[0]
    np.testing.assert_array_equal(short[:, 0], [0, 0, 1, 1, 2])
    np.testing.assert_array_equal(resample(RAMP[:1], 3, 'segment_mean')[0, :, 0], [0, 0, 0])


def test_uniform_equals_vadclips_uniform_extract():
    np.testing.assert_allclose(resample(RAMP, 4, 'uniform')[0, :, 0], [0.5, 3, 6, 9], rtol=1e-6)
    np.testing.assert_array_equal(resample(RAMP, 11, 'uniform')[0], RAMP)
    np.testing.assert_array_equal(resample(RAMP, 64, 'uniform')[0], RAMP)


def test_pick_equals_pel4vads_uniform_extract():
    np.testing.assert_array_equal(resample(RAMP, 4, 'pick')[0, :, 0], [0, 3, 6, 10])
    np.testing.assert_array_equal(resample(RAMP, 11, 'pick')[0], RAMP)


def test_rounded_segment_mean_equals_sultanis_segments():
    # Places 1, 3.5 -> 4, 6, 8.5 -> 9, 11: the eleventh snippet is in none.
    found = resample(RAMP, 4, 'rounded_segment_mean')[0]
    np.testing.assert_array_equal(found[:, 0], [1, 3.5, 6, 8.5])
    unit = resample(RAMP, 4, 'rounded_segment_mean', normalize=True)[0]
    np.testing.assert_allclose(unit, found / np.linalg.norm(found, axis=1, keepdims=True), rtol=1e-6)
    np.testing.assert_array_equal(resample(RAMP[:1], 3, 'rounded_segment_mean')[0], RAMP[[0, 0, 0]])


@pytest.mark.parametrize('total', [1, 5, 31, 32, 33, 64, 100, 257])
def test_means_equal_a_loop_over_segments(total):
    feats = np.random.default_rng(total).normal(size=(total, 3)).astype(np.float32)
    edges = np.linspace(0, total, 33).astype(int)
    loop = [feats[a:b].mean(0) if b > a else feats[a] for a, b in zip(edges[:-1], edges[1:], strict=True)]
    np.testing.assert_allclose(resample(feats, 32, 'segment_mean')[0], loop, atol=1e-6)


def test_half_precision_is_averaged_in_full():
    feats = np.full((4096, 1), 0.1, np.float16)
    found = resample(feats, 1, 'segment_mean')
    assert found.dtype == np.float32
    assert found.item() == pytest.approx(float(np.float16(0.1)), rel=1e-4)


def test_random_takes_neighbours_of_all_places():
    torch.manual_seed(0)
    starts = set()
    for _ in range(200):
        found = resample([RAMP, RAMP + 100], 8, 'random')
        np.testing.assert_array_equal(np.diff(found[0, :, 0]), 1)
        np.testing.assert_array_equal(found[1], found[0] + 100)  # all crops at the same place
        starts.add(int(found[0, 0, 0]))
    assert starts == {0, 1, 2, 3}


def test_jitter_takes_one_of_each_segment():
    torch.manual_seed(0)
    found = np.stack([resample(RAMP, 4, 'jitter')[0, :, 0] for _ in range(200)])
    for column, segment in zip(found.T, ([0, 1], [2, 3, 4], [5, 6, 7], [8, 9, 10]), strict=True):
        assert set(column) == set(segment)


def test_random_modes_follow_torchs_seed():
    for mode in ('random', 'jitter'):
        runs = []
        for _ in range(2):
            torch.manual_seed(3)
            runs.append([resample(RAMP, 4, mode) for _ in range(5)])
        np.testing.assert_array_equal(*runs)
        assert len({run[0, 0, 0] for run in runs[0]}) > 1


@pytest.mark.parametrize('mode', MODES)
def test_files_are_not_written_to(mode, tmp_path):
    np.save(tmp_path / 'a.npy', RAMP.astype(np.float16))
    feats = np.load(tmp_path / 'a.npy', mmap_mode='r')
    found = resample([feats, feats], 4, mode, normalize=True)
    assert found.shape == (2, 4, 2)
    assert found.dtype == np.float32
    assert np.isfinite(found).all()  # the first snippet is all zeros


def test_options_that_cannot_be():
    with pytest.raises(ConfigError, match="no mode 'mean'. Known: segment_mean"):
        ResampleSnippets(4, 'mean')
    with pytest.raises(ConfigError, match='max_snippets must be a whole number >= 1'):
        ResampleSnippets(0)
