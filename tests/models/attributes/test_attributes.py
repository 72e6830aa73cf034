import numpy as np
import pytest
import torch

from vadlab.models.attributes.kind import Kind
from vadlab.models.attributes.person_height import PersonHeight
from vadlab.models.attributes.place import Place
from vadlab.models.attributes.speed import Speed
from vadlab.models.objects.objects import Objects
from vadlab.utils.errors import ConfigError

FRAME = np.zeros((40, 100, 3), np.uint8)
OBJECTS = Objects(np.array([[10, 10, 20, 20]], np.float32), np.array([[0.2, 0.7]], np.float32))


def test_speed_of_the_moving_part_in_heights_of_a_person():
    flow = np.zeros((40, 100, 2), np.float32)
    flow[10:20, 10:15] = (3, 4)  # the left half moves by 5 pixels: the mean is 2.5, the moving part has 5
    speed = Speed()
    measured = speed.measure(FRAME, flow, OBJECTS)
    assert measured.tolist() == [[5, 5]]
    vectors = speed.vectors(measured, OBJECTS.boxes_xyxy, np.array([20.0]))
    assert vectors.tolist() == [[0.25, 0.25, 0.5, 0.5]]
    assert speed.describe(vectors[0]) == '0.250 heights/frame, 0.50 x 0.50 heights'


def test_speed_by_direction():
    flow = np.zeros((40, 100, 2), np.float32)
    flow[10:20, 10:15] = (2, 0.01)  # right
    flow[10:20, 15:20] = (0.01, 4)  # down
    measured = Speed('directions', bins=4, size=False).measure(FRAME, flow, OBJECTS)
    np.testing.assert_allclose(measured, [[1, 2, 0, 0]], atol=1e-3)


def test_speed_without_flow_is_unknown():
    assert np.isnan(Speed().measure(FRAME, None, OBJECTS)).all()
    assert Speed().measure(FRAME, None, Objects.none()).shape == (0, 2)
    with pytest.raises(ConfigError, match="no statistics='mean'"):
        Speed('mean')


def test_kind_and_place():
    kind = Kind(classes=('person', 'bicycle'))
    assert kind.describe(kind.measure(FRAME, None, OBJECTS)[0]) == 'bicycle (0.70)'
    place = Place()
    measured = place.measure(FRAME, None, OBJECTS)
    np.testing.assert_allclose(measured, [[0.15, 0.5]])
    np.testing.assert_allclose(place.vectors(measured, OBJECTS.boxes_xyxy, np.array([5.0])), [[0.15, 0.5, 2, 2]])


def people(scale, count=60, seed=0):
    """Boxes of people whose height is scale * feet + 4, and a few wrong ones."""
    generator = np.random.default_rng(seed)
    feet = generator.uniform(60, 200, count)
    heights = scale * feet + 4
    heights[:5] *= 3
    left = generator.uniform(20, 200, count)
    return np.stack([left, feet - heights, left + heights / 2, feet], axis=1)


def fit(height, clips, boxes, classes=('person',)):
    count = sum(map(len, boxes))
    inds = np.repeat(np.arange(len(clips)), [len(b) for b in boxes])
    scores = np.ones((count, len(classes)))
    height.fit(clips, inds, np.concatenate(boxes), scores, list(classes), np.full((count, 2), 1000))
    return height


def test_height_is_linear_in_the_row_of_the_feet_and_outliers_do_not_count():
    height = fit(PersonHeight(), ['a'], [people(0.2)])
    found = height.heights('b', np.array([[0, 0, 1, 100], [0, 0, 1, 180]]))
    np.testing.assert_allclose(found, [24, 40], rtol=0.03)


def test_each_camera_has_its_line_and_loads_from_a_state():
    height = fit(PersonHeight(scene_pattern=r'(\d+)_'), ['01_1', '02_1'], [people(0.2), people(0.4, seed=1)])
    restored = PersonHeight(scene_pattern=r'(\d+)_')
    restored.load_state_dict(height.state_dict())
    box = np.array([[0, 0, 1, 100.0]])
    np.testing.assert_allclose(restored.heights('01_7', box), [24], rtol=0.03)
    np.testing.assert_allclose(restored.heights('02_7', box), [44], rtol=0.03)
    assert 24 < restored.heights('09_7', box)[0] < 44  # an unknown camera gets the line of all


def test_too_few_people_give_one_height_everywhere(caplog):
    height = fit(PersonHeight(), ['a'], [people(0.2, count=7)])
    assert len(set(height.heights('a', np.array([[0, 0, 1, 60.0], [0, 0, 1, 200.0]])))) == 1
    with pytest.raises(ConfigError, match='has no group'):
        PersonHeight(scene_pattern='abc')


def test_upright_boxes_count_where_there_are_no_classes():
    boxes = people(0.2)
    wide = boxes.copy()
    wide[:, 2] += 500
    height = PersonHeight()
    both = np.concatenate([boxes, wide])
    height.fit(['a'], np.zeros(len(both), int), both, np.zeros((len(both), 0)), [], np.full((len(both), 2), 1000))
    np.testing.assert_allclose(height.heights('a', np.array([[0, 0, 1, 100]])), [24], rtol=0.03)
    assert height.lines.dtype == torch.float64
