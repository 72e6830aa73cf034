import math

import pytest
import torch
from sklearn.mixture import GaussianMixture as SklearnMixture

from vadlab.models.layers.gaussian_mixture import GaussianMixture
from vadlab.utils.errors import DataError


def vectors():
    generator = torch.Generator().manual_seed(0)
    first = torch.randn(60, 3, generator=generator) @ torch.randn(3, 3, generator=generator)
    return torch.cat([first, torch.randn(40, 3, generator=generator) * 0.1 + 4])


def test_log_density_is_scikit_learns():
    mixture = GaussianMixture(2, 3)
    mixture.fit(vectors())
    peer = SklearnMixture(2, random_state=0).fit(vectors().double().numpy())
    assert mixture(vectors()).tolist() == pytest.approx(peer.score_samples(vectors().double().numpy()).tolist())


def test_before_the_fit_it_is_a_standard_normal_distribution_by_hand():
    found = GaussianMixture(3, 2)(torch.tensor([[0.0, 0.0], [1.0, 2.0]]))
    assert found.tolist() == pytest.approx([-math.log(2 * math.pi), -math.log(2 * math.pi) - 2.5])


def test_state_is_in_the_state_dict():
    fitted, fresh = GaussianMixture(2, 3), GaussianMixture(2, 3)
    fitted.fit(vectors())
    fresh.load_state_dict(fitted.state_dict())
    assert torch.equal(fresh(vectors()), fitted(vectors()))


def test_fewer_vectors_than_components_are_refused():
    with pytest.raises(DataError, match='mixture of 5 components cannot be fitted to 4'):
        GaussianMixture(5, 3).fit(torch.zeros(4, 3))
