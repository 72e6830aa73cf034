import numpy as np
import pytest
from scipy.ndimage import gaussian_filter1d

from vadlab.evaluation.functional.smoothing import FrameSmoothing, normalize_clip
from vadlab.utils.errors import ConfigError

SCORES = np.random.default_rng(0).normal(size=40)


@pytest.mark.parametrize('sigma', [0.5, 3, 7, 20])
def test_gaussian_equals_scipys(sigma):
    found = FrameSmoothing.parse(f'gaussian({sigma})')(SCORES)
    np.testing.assert_allclose(found, gaussian_filter1d(SCORES, sigma, mode='nearest'), rtol=1e-9, atol=1e-12)


def test_causal_by_hand_and_without_the_future():
    causal = FrameSmoothing.parse('causal(2)')
    weights = np.exp(-0.5 * (np.arange(9) / 2) ** 2)
    weights /= weights.sum()
    assert causal(SCORES)[20] == pytest.approx(weights @ SCORES[20:11:-1])
    changed = SCORES.copy()
    changed[21:] = 100
    np.testing.assert_array_equal(causal(changed)[:21], causal(SCORES)[:21])
    np.testing.assert_allclose(causal(np.full(5, 3.0)), 3)


def test_parsing():
    assert [FrameSmoothing.parse(text).key for text in (None, 'none', 'causal(7)')] == [
        'unsmoothed', 'unsmoothed', 'causal7',
    ]  # fmt: skip
    assert FrameSmoothing.parse('none')(SCORES) is not None
    assert len(FrameSmoothing.parse('gaussian(7)')(np.zeros(0))) == 0
    for text in ('gaussian', 'gaussian(0)', 'mean(3)', 'causal(-1)'):
        with pytest.raises(ConfigError, match='choose none, gaussian'):
            FrameSmoothing.parse(text)


def test_clips_are_scaled_by_their_own_range():
    assert normalize_clip(np.array([2.0, 4, 3])).tolist() == [0, 1, 0.5]
    assert normalize_clip(np.full(3, 7.0)).tolist() == [0, 0, 0]
