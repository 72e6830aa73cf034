import itertools

import numpy as np
import pytest

from vadlab.simulators.common.scene import PAINTERS, SCENE_SEEDS, Camera, Scene, scene_seed
from vadlab.utils.errors import ConfigError


def test_splits_share_no_scene():
    for (_, (a, b)), (_, (c, d)) in itertools.combinations(SCENE_SEEDS.items(), 2):
        assert b <= c or d <= a


def test_scene_seed_stays_in_its_split():
    for split, (low, high) in SCENE_SEEDS.items():
        assert scene_seed(split, 0) == low
        assert scene_seed(split, high - low - 1) == high - 1
        with pytest.raises(ConfigError, match='outside'):
            scene_seed(split, high - low)


def test_unknown_split_is_named():
    with pytest.raises(ConfigError, match="no split 'dev'.*train, val, test"):
        scene_seed('dev', 0)


def test_scene_is_a_function_of_its_seed():
    first, again, other = Scene.make(5), Scene.make(5), Scene.make(6)
    assert np.array_equal(first.background, again.background)
    assert first.camera == again.camera
    assert not np.array_equal(first.background, other.background)


@pytest.mark.parametrize('kind', PAINTERS)
def test_every_kind_of_scene_is_painted_with_room_to_stand(kind):
    scene = Scene.make(3, (kind,))
    assert scene.kind == kind
    assert scene.background.shape == (240, 320, 3)
    assert scene.background.std() > 8  # not an empty wall
    assert 120 < scene.floor[0] < scene.floor[1] < 240


def test_unknown_kind_of_scene_is_named():
    with pytest.raises(ConfigError, match="no kind of scene 'moon'.*street"):
        Scene.make(0, ('moon',))


def test_background_cannot_be_drawn_on_by_mistake():
    with pytest.raises(ValueError, match='read-only'):
        Scene.make(0).background[0] = 0


def test_exposure_equals_the_formula():
    camera = Camera(0.8, 1.2, (1.0, 0.9, 1.1), 0.0, False, False, drift=0.1, drift_period_s=4.0)
    image = np.arange(256, dtype=np.uint8).reshape(16, 16, 1).repeat(3, 2)
    level = 0.8 * (1 + 0.1 * np.sin(2 * np.pi * 1.0 / 4.0))
    expected = np.clip(255 * level * (image / 255) ** 1.2 * (1.0, 0.9, 1.1), 0, 255).astype(np.uint8)
    assert np.array_equal(camera.expose(image, seconds=1.0), expected)


def test_noise_has_no_bias_and_grows_with_the_setting():
    grey = np.full((240, 320, 3), 128, np.uint8)
    spread = []
    for noise in (0.2, 0.6):
        camera = Camera(1.0, 1.0, (1, 1, 1), noise, False, False, 0.0, 1.0)
        taken = camera.capture(grey, np.random.default_rng(0)).astype(float)
        assert abs(taken.mean() - 128) < 0.5
        spread.append(taken.std())
    assert spread[1] > 2 * spread[0] > 0


def test_monochrome_camera_takes_away_colour():
    camera = Camera(1.0, 1.0, (1, 1, 1), 0.0, True, False, 0.0, 1.0)
    image = np.zeros((240, 320, 3), np.uint8)
    image[..., 0] = 200
    taken = camera.capture(image, np.random.default_rng(0))
    assert np.array_equal(taken[..., 0], taken[..., 1])
    assert np.array_equal(taken[..., 0], taken[..., 2])
