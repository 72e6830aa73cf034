"""Scores of AI-VAD's code, computed here from its description, on random vectors."""

import numpy as np
import torch
from scipy.ndimage import gaussian_filter1d
from scipy.spatial.distance import cdist
from sklearn.mixture import GaussianMixture

from vadlab.models.detectors.attribute_detector import AttributeDetector
from vadlab.models.detectors.clip_objects import ClipObjects

RNG = np.random.default_rng(3)
FRAMES = 12


def clip(shift=0.0):
    """Random vectors of one to four objects in every frame."""
    counts = RNG.integers(1, 5, FRAMES)
    frames = np.repeat(np.arange(FRAMES), counts)
    total = len(frames)
    measured = {
        'velocity': (RNG.normal(size=(total, 4)) + shift).astype(np.float32),
        'look': (RNG.normal(size=(total, 16)) + shift).astype(np.float32),
    }
    boxes = np.tile(np.array([[5, 5, 9, 20]], np.float32), (total, 1))
    return ClipObjects(FRAMES, (64, 64), frames, boxes, np.zeros((total, 0)), measured, np.zeros(0, np.int64))


def per_frame(values, frames):
    return np.array([values[frames == frame].max() for frame in range(FRAMES)])


def test_frame_scores_equal_the_formula_of_the_authors_code():
    train, test = [clip() for _ in range(4)], [clip(0.3) for _ in range(2)]
    plain = dict(type='Kind')
    mixture = dict(
        type='GaussianMixtureDensity', components=5, standardize=False, regularization=1e-6, calibration='minmax'
    )
    model = AttributeDetector(
        objects=dict(type='MotionBlobs'),
        flow=dict(type='DISFlow'),
        attributes=dict(
            velocity=dict(attribute=plain, density=mixture),
            look=dict(attribute=plain, density=dict(type='NearestNeighbourDensity', calibration='minmax')),
        ),
        top_objects=1,
        combine='attributes',
        smoothing='none',
    )
    model._gathered = {str(i): found for i, found in enumerate(train)}
    model.fit()

    velocity = [found.measured['velocity'] for found in train]
    gmm = GaussianMixture(5, random_state=0).fit(np.concatenate(velocity).astype(np.float64))
    v_train = -gmm.score_samples(np.concatenate(velocity).astype(np.float64))
    look = [found.measured['look'] for found in train]
    l_train = np.concatenate(
        [
            (cdist(one, np.concatenate([other for j, other in enumerate(look) if j != i])) ** 2).min(axis=1)
            for i, one in enumerate(look)
        ]
    )
    for i, found in enumerate(test):
        scores = []
        for trained, raw in (
            (v_train, -gmm.score_samples(found.measured['velocity'].astype(np.float64))),
            (l_train, (cdist(found.measured['look'], np.concatenate(look)) ** 2).min(axis=1)),
        ):
            low, high = trained.min(), np.percentile(trained, 99.9)
            scores.append((per_frame(raw, found.frame_inds) - low) / (high - low))
        expected = np.sum(scores, axis=0)
        np.testing.assert_allclose(model._score_clip(f'test{i}', found)['frames'], expected, rtol=1e-4, atol=1e-5)
        assert gaussian_filter1d(expected, 3).shape == (FRAMES,)
    assert isinstance(model.densities['look'].vectors, torch.Tensor)


def test_frame_scores_equal_the_formula_of_anomalib():
    """Euclidean distances, lowest and highest training score of each attribute, sum of the highest regions."""
    train, test = [clip() for _ in range(4)], [clip(0.3) for _ in range(2)]
    plain = dict(type='Kind')
    near = dict(type='NearestNeighbourDensity', calibration='range', distance='euclidean')
    mixture = dict(
        type='GaussianMixtureDensity', components=2, standardize=False, regularization=1e-6, calibration='range'
    )
    model = AttributeDetector(
        objects=dict(type='MotionBlobs'),
        flow=dict(type='DISFlow'),
        attributes=dict(velocity=dict(attribute=plain, density=mixture), look=dict(attribute=plain, density=near)),
        top_objects=1,
        combine='attributes',
        smoothing='none',
    )
    model._gathered = {str(i): found for i, found in enumerate(train)}
    model.fit()
    velocity = np.concatenate([found.measured['velocity'] for found in train]).astype(np.float64)
    gmm = GaussianMixture(2, random_state=0).fit(velocity)
    look = [found.measured['look'] for found in train]
    raw = {
        'velocity': (-gmm.score_samples(velocity), lambda v: -gmm.score_samples(v.astype(np.float64))),
        'look': (
            np.concatenate(
                [
                    cdist(one, np.concatenate([other for j, other in enumerate(look) if j != i])).min(axis=1)
                    for i, one in enumerate(look)
                ]
            ),
            lambda v: cdist(v, np.concatenate(look)).min(axis=1),
        ),
    }
    for i, found in enumerate(test):
        expected = np.zeros(FRAMES)
        for key, (trained, score) in raw.items():
            scaled = (score(found.measured[key]) - trained.min()) / (trained.max() - trained.min())
            expected += per_frame(scaled, found.frame_inds)
        np.testing.assert_allclose(model._score_clip(f'test{i}', found)['frames'], expected, rtol=1e-4, atol=1e-5)
