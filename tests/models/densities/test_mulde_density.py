import numpy as np
import pytest
import torch

from vadlab.models.densities.mulde_density import MULDEDensity
from vadlab.utils.errors import ConfigError


def normal(count=300):
    return np.random.default_rng(0).normal(size=(count, 2)) * [2.0, 0.1] + [5.0, 1.0]


def fitted(seed=0):
    density = MULDEDensity(
        units=(32, 32), steps=250, batch_size=128, lr=3e-3, sigma_low=0.05, num_scales=4, components=2
    )
    density.fit(normal(), np.zeros(300, int), seed)
    return density


@pytest.fixture(scope='module')
def density():
    return fitted()


def test_score_grows_with_the_distance_from_training_by_its_own_scale(density):
    # In deviations of the training: none, 3 along the narrow axis, 3 along the wide one, 8.
    scores = density.scores(np.array([[5.0, 1.0], [5.0, 1.3], [11.0, 1.0], [21.0, 1.0]]))
    assert scores[0] < np.median(density.scores(normal()))
    assert min(scores[1:3]) > np.percentile(density.scores(normal()), 90)
    assert scores[3] > scores[2]


def test_the_same_seed_gives_the_same_scores_and_leaves_the_generator_alone(density):
    torch.manual_seed(7)
    expected = torch.rand(2)
    torch.manual_seed(7)
    again = fitted()
    assert torch.equal(torch.rand(2), expected)
    np.testing.assert_array_equal(again.scores(normal(9)), density.scores(normal(9)))
    assert not np.array_equal(fitted(seed=1).scores(normal(9)), density.scores(normal(9)))


def test_state_is_in_the_state_dict(density):
    other = MULDEDensity(units=(32, 32), sigma_low=0.05, num_scales=4, components=2)
    other.load_state_dict(density.state_dict())
    np.testing.assert_array_equal(other.scores(normal(9)), density.scores(normal(9)))


def test_options_that_cannot_be_used_are_refused():
    for options in (dict(steps=0), dict(sigma_low=2.0), dict(units=(8, 0))):
        with pytest.raises(ConfigError, match='MULDEDensity'):
            MULDEDensity(**options)
