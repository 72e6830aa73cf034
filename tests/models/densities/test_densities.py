import numpy as np
import pytest
import torch
from scipy.spatial.distance import cdist
from scipy.stats import multivariate_normal

from vadlab.models.densities.class_rarity import ClassRarity
from vadlab.models.densities.gaussian_mixture import GaussianMixtureDensity
from vadlab.models.densities.nearest_neighbours import NearestNeighbourDensity, coreset
from vadlab.utils.errors import ConfigError

RNG = np.random.default_rng(0)
TRAIN = np.concatenate([RNG.normal(0, 1, (80, 3)), RNG.normal(6, 0.5, (60, 3))])
CLIPS = np.repeat(np.arange(7), 20)
TEST = RNG.normal(2, 4, (25, 3))


def test_mixture_equals_scipys_sum_of_gaussians():
    density = GaussianMixtureDensity(components=2, standardize=False, calibration='none')
    density.fit(TRAIN, CLIPS)
    total = np.zeros(len(TEST))
    for weight, mean, root in zip(density.log_weights.exp(), density.means, density.precisions, strict=True):
        covariance = np.linalg.inv((root @ root.T).numpy())
        total += float(weight) * multivariate_normal.pdf(TEST, mean.numpy(), covariance)
    np.testing.assert_allclose(density.scores(TEST), -np.log(total), rtol=1e-8)


def test_mixture_is_invariant_to_units_and_restores_from_a_state():
    density = GaussianMixtureDensity(components=2)
    density.fit(TRAIN, CLIPS)
    scaled = GaussianMixtureDensity(components=2)
    scaled.fit(TRAIN * [1, 100, 0.01], CLIPS)
    np.testing.assert_allclose(density.scores(TEST), scaled.scores(TEST * [1, 100, 0.01]), rtol=1e-6)
    restored = GaussianMixtureDensity(components=2)
    restored.load_state_dict(density.state_dict())
    assert (restored.scores(TEST) == density.scores(TEST)).all()


def test_calibrations_by_hand():
    for calibration, expected in (('log', np.log1p), ('minmax', None), ('range', None)):
        density = GaussianMixtureDensity(components=1, calibration=calibration)
        density.fit(TRAIN, CLIPS)
        raw_train, raw = density.raw_scores(TRAIN), density.raw_scores(TEST)
        low, high = raw_train.min(), np.percentile(raw_train, 100 if calibration == 'range' else 99.9)
        by_hand = expected((raw - low).clip(0)) if expected else (raw - low) / (high - low)
        np.testing.assert_allclose(density.scores(TEST), by_hand, rtol=1e-9)
    with pytest.raises(ConfigError, match="no calibration='zscore'. Known: log, minmax, range, none"):
        GaussianMixtureDensity(calibration='zscore')


def test_unknown_vectors_score_as_the_most_normal_one():
    density = GaussianMixtureDensity()
    density.fit(TRAIN, CLIPS)
    scores = density.scores(np.array([[np.nan, 0, 0], [50, 50, 50]]))
    assert scores[0] == 0
    assert scores[1] > 1


def test_mixture_of_few_or_equal_vectors():
    for vectors in (np.ones((1, 3)), np.ones((30, 3)), TRAIN[:2]):
        density = GaussianMixtureDensity()
        density.fit(vectors, np.zeros(len(vectors)))
        assert np.isfinite(density.scores(TEST)).all()


@pytest.mark.parametrize('backend', ['torch', 'faiss'])
def test_neighbours_equal_scipys_distances(backend):
    if backend == 'faiss':
        pytest.importorskip('faiss')
    density = NearestNeighbourDensity(neighbours=3, backend=backend, calibration='none')
    density.fit(TRAIN, CLIPS)
    far = np.sort(cdist(TEST.astype(np.float32), TRAIN.astype(np.float32)) ** 2, axis=1)
    np.testing.assert_allclose(density.scores(TEST), far[:, :3].mean(axis=1), rtol=1e-4, atol=1e-6)


def test_neighbours_are_calibrated_on_other_clips():
    density = NearestNeighbourDensity(backend='torch', calibration='none')
    train_scores = density.learn(TRAIN, CLIPS, 0)
    far = cdist(TRAIN, TRAIN) ** 2
    far[CLIPS[:, None] == CLIPS[None]] = np.inf
    np.testing.assert_allclose(train_scores, far.min(axis=1), rtol=1e-3, atol=1e-5)
    one_clip = NearestNeighbourDensity(backend='torch').learn(TRAIN, np.zeros(len(TRAIN)), 0)
    np.fill_diagonal(far := cdist(TRAIN, TRAIN) ** 2, np.inf)
    np.testing.assert_allclose(one_clip, far.min(axis=1), rtol=1e-3, atol=1e-5)


def test_coreset_covers_every_cluster():
    centres = np.array([[0, 0], [10, 0], [0, 10], [10, 10]])
    points = np.concatenate([centre + RNG.normal(0, 0.1, (50 if i else 5, 2)) for i, centre in enumerate(centres)])
    chosen = coreset(points, 4)
    assert sorted(map(tuple, (points[chosen] / 10).round().tolist())) == [(0, 0), (0, 1), (1, 0), (1, 1)]
    assert coreset(points[:3], 4).tolist() == [0, 1, 2]
    density = NearestNeighbourDensity(max_vectors=4, backend='torch')
    density.fit(points, np.arange(len(points)))
    assert density.vectors.shape == (4, 2)


def test_a_class_is_rare_where_it_was_not_seen():
    density = ClassRarity()
    density.fit(np.array([[0.9, 0.0, 0.1]] * 3), np.zeros(3))
    assert density.rarity.tolist() == pytest.approx([0, 1, 8 / 9])
    assert density.scores(np.array([[0.8, 0, 0], [0.1, 0.7, 0]])).tolist() == pytest.approx([0, 0.7])
    assert density.rarity.dtype == torch.float64
