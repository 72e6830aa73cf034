import math

import numpy as np
import pytest

from vadlab.simulators.common import person
from vadlab.simulators.common.person import Look, Pose, draw_person
from vadlab.simulators.common.scene import Scene
from vadlab.simulators.common.vehicle import Vehicle, draw_vehicle
from vadlab.simulators.surveillance import effects
from vadlab.simulators.surveillance.everyday.passer import ACTS, Passer
from vadlab.simulators.surveillance.ground import walkable
from vadlab.simulators.surveillance.stage import Stage

POSES = (
    'stand',
    'walk',
    'punch',
    'grapple',
    'kick',
    'hands_up',
    'kneel_hands_up',
    'aim',
    'swing',
    'reach',
    'lie',
    'sit',
)


def painted(image):
    """Bounding box of the pixels that are no longer 128."""
    ys, xs = np.nonzero((image != 128).any(2))
    return xs.min(), ys.min(), xs.max() + 1, ys.max() + 1


def blank():
    return np.full((240, 320, 3), 128, np.uint8)


@pytest.mark.parametrize('facing', [1, -1])
@pytest.mark.parametrize('pose', POSES)
def test_box_of_a_person_equals_what_was_painted(pose, facing):
    image = blank()
    look = Look.sample(np.random.default_rng(1))
    box = draw_person(image, look, 160, 200, 120, facing, getattr(person, pose)(0.7)).box
    assert np.abs(np.array(box) - painted(image)).max() <= 5


def test_person_upright_has_the_height_asked_for():
    image = blank()
    draw_person(image, Look.sample(np.random.default_rng(0)), 160, 200, 120, 1, Pose())
    x0, y0, x1, y1 = painted(image)
    assert y1 - y0 == pytest.approx(120, abs=8)
    assert y1 == pytest.approx(200, abs=6)
    assert x1 - x0 < 70


def test_poses_differ_as_they_should():
    def parts(pose):
        return draw_person(blank(), Look.sample(np.random.default_rng(0)), 160, 200, 120, 1, pose)

    up, aim, lying = parts(person.hands_up(0)), parts(person.aim(0)), parts(person.lie(0))
    assert up.near_hand[1] < up.head[1]  # above the head
    assert aim.near_hand[0] > 160 + 30  # stretched out to where the person faces
    assert lying.box[2] - lying.box[0] > 1.5 * (lying.box[3] - lying.box[1])


@pytest.mark.parametrize('damage', [0.0, 1.0])
def test_box_of_a_vehicle_holds_what_was_painted(damage):
    rng = np.random.default_rng(2)
    for _ in range(5):
        image = blank()
        box = draw_vehicle(image, Vehicle.sample(rng), 160, 180, 1, 0.2 * damage, damage, rng.random((16, 2)))
        x0, y0, x1, y1 = painted(image)
        assert box[0] <= x0 + 3
        assert box[1] <= y0 + 3
        assert box[2] >= x1 - 4
        assert box[3] >= y1 - 4


def test_vehicle_turned_over_still_stands_on_the_ground():
    vehicle = Vehicle.sample(np.random.default_rng(0))
    image = blank()
    draw_vehicle(image, vehicle, 160, 180, 1, tilt=math.pi)
    assert painted(image)[3] == pytest.approx(180, abs=4)


def test_fire_is_orange_and_inside_its_box():
    image = np.zeros((240, 320, 3), np.uint8)
    x0, y0, x1, y1 = effects.draw_fire(image, 160, 200, 80, 90, np.random.default_rng(0))
    inside = image[round(y0) : round(y1), round(x0) : round(x1)]
    red, green, blue = inside[inside[..., 0] > 180].mean(0)
    assert red > 220
    assert red > green > blue
    assert y1 == 200
    assert y1 - y0 == 90


def test_smoke_beyond_the_picture_is_cut_off():
    image = blank()
    effects.draw_smoke(image, 2, 3, 90, 0.0, 40)
    effects.draw_smoke(image, 900, -400, 90, 0.0, 40)
    assert (image != 128).any()
    assert (image[150:] == 128).all()


@pytest.mark.parametrize('act', ACTS)
def test_everyday_act_moves_smoothly(act):
    scene = Scene.make(0)
    passer = Passer.sample(np.random.default_rng(4), walkable(scene), act)
    steps = np.abs(np.diff([passer.place(f)[0] for f in range(300)]))
    assert np.sort(steps)[-3] < 5  # pixels a frame; who walks past begins anew on the other side, off screen
    stage = Stage(scene, 10, 30.0, np.random.default_rng(0))
    passer.draw(stage, 'who')
    image, boxes = stage.shoot()
    assert set(boxes) == {'who'}
    assert image.shape == (240, 320, 3)


def test_what_is_further_down_covers_what_is_further_up():
    stage = Stage(Scene.make(0), 0, 30.0, np.random.default_rng(0))
    order = []
    for y in (200, 180, 220):
        stage.put(y, lambda image, y=y: order.append(y))
    stage.shoot()
    assert order == [180, 200, 220]
