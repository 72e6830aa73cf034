import cv2
import numpy as np
import pytest

from vadlab.models.flow.dis_flow import DISFlow
from vadlab.models.flow.farneback_flow import FarnebackFlow
from vadlab.utils.errors import ConfigError


def texture(shift):
    """Smooth noise, moved to the right by some pixels."""
    noise = np.random.default_rng(0).normal(size=(96, 160)).astype(np.float32)
    smooth = cv2.GaussianBlur(noise, (0, 0), 3)
    picture = ((smooth - smooth.min()) / np.ptp(smooth) * 255).astype(np.uint8)
    return picture[:, 20 - shift : 140 - shift]


@pytest.mark.parametrize('flow', [DISFlow(), DISFlow(scale=0.5), FarnebackFlow(), FarnebackFlow(scale=0.5)])
def test_a_picture_that_moves_by_three_pixels(flow):
    found = flow.flow(texture(0), texture(3))
    assert found.shape == (96, 120, 2)
    inside = found[20:-20, 20:-20]
    np.testing.assert_allclose(np.median(inside, axis=(0, 1)), [3, 0], atol=0.3)


def test_options():
    with pytest.raises(ConfigError, match="no preset='slow'"):
        DISFlow('slow')
    with pytest.raises(ConfigError, match='scale must be in 0..1, not 2'):
        FarnebackFlow(scale=2)
