import copy

import numpy as np
import pytest

from tests.models.objects.test_objects import write_onnx
from vadlab.models.attributes.pose import Pose, heatmap_points, simcc_points
from vadlab.models.objects.objects import Objects
from vadlab.utils.errors import ConfigError, DataError, MissingFileError

SIZE = (64, 48)  # height and width of the network's input
BOX = np.array([[20, 10, 44, 58]], np.float32)
PEOPLE = Objects(BOX, np.array([[0.1, 0.8]], np.float32))


def write_pose(path, layout, batch=1, size=SIZE):
    """A pose model of three keypoints: the reddest, the greenest and the bluest place of the picture."""
    onnx = pytest.importorskip('onnx')
    from onnx import TensorProto, helper

    picture = helper.make_tensor_value_info('picture', TensorProto.FLOAT, [batch, 3, *size])
    if layout == 'heatmap':
        nodes = [
            helper.make_node('AveragePool', ['picture'], ['maps'], kernel_shape=[2, 2], strides=[2, 2]),
        ]
        outputs = [helper.make_tensor_value_info('maps', TensorProto.FLOAT, [batch, 3, SIZE[0] // 2, SIZE[1] // 2])]
    else:
        nodes = [
            helper.make_node('ReduceMax', ['picture'], ['x'], axes=[2], keepdims=0),
            helper.make_node('ReduceMax', ['picture'], ['y'], axes=[3], keepdims=0),
        ]
        outputs = [
            helper.make_tensor_value_info(name, TensorProto.FLOAT, [batch, 3, n])
            for name, n in (('x', SIZE[1]), ('y', SIZE[0]))
        ]
    graph = helper.make_graph(nodes, 'pose', [picture], outputs)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid('', 13)], ir_version=8)
    onnx.save(model, str(path))
    return str(path)


def dots(box, places, shape=(80, 100)):
    """A black frame with a red, a green and a blue dot of five pixels at shares of a box."""
    frame = np.zeros((*shape, 3), np.uint8)
    for channel, (x, y) in enumerate(places):
        column, row = box[0] + x * (box[2] - box[0]), box[1] + y * (box[3] - box[1])
        frame[round(row) - 2 : round(row) + 3, round(column) - 2 : round(column) + 3, channel] = 255
    return frame


PLACES = [(0.25, 0.25), (0.75, 0.5), (0.5, 0.875)]


@pytest.mark.parametrize('batch', [1, 2, 'N'])
@pytest.mark.parametrize('layout', ['heatmap', 'simcc'])
def test_keypoints_are_found_where_the_dots_were_painted(tmp_path, layout, batch):
    pose = Pose(
        write_pose(tmp_path / 'a.onnx', layout, batch),
        keypoints=3, mean=(0, 0, 0), std=(255, 255, 255), classes=('cat', 'person'), score_thr=0.1,
    )  # fmt: skip
    boxes = np.concatenate([BOX, BOX + [30, 5, 30, 5], BOX])
    frame = np.maximum(dots(boxes[0], PLACES), dots(boxes[1], PLACES[::-1]))
    scores = np.array([[0.1, 0.8], [0.1, 0.8], [0.9, 0.1]], np.float32)  # two people and a cat
    found = copy.deepcopy(pose).measure(frame, None, Objects(boxes, scores))
    assert found.shape == (3, 6)
    pixel = 1 / 24  # of the box's width
    np.testing.assert_allclose(found[0].reshape(3, 2), PLACES, atol=1.5 * pixel)
    assert np.isnan(found[2]).all()
    assert '3 keypoints over 0.' in pose.describe(found[0])
    # Without classes, every object gets a pose. No objects, no poses.
    assert np.isfinite(pose.measure(frame, None, Objects(boxes[:1], np.zeros((1, 0), np.float32)))).all()
    assert pose.measure(frame, None, Objects.none(2)).shape == (0, 6)
    assert np.isnan(pose.measure(np.zeros_like(frame), None, PEOPLE)).all()  # no dot, no confidence


def test_boxes_with_keypoints_are_matched_with_the_objects(tmp_path):
    # Two classes and two keypoints: 4 + 2 + 6 numbers for each of 20 boxes. The frame of 32 x 64 pixels is shown at its
    # own size, with 16 rows of padding above and below.
    output = np.zeros((1, 12, 20))
    output[0, :, 3] = [20, 32, 16, 20, 0, 0.6, 16, 27, 0.9, 24, 37, 0.9]
    output[0, :, 4] = [21, 32, 16, 20, 0, 0.9, 14, 26, 0.9, 24, 38, 0.9]  # more confident, as near
    output[0, :, 5] = [50, 32, 16, 20, 0, 0.9, 1, 1, 0.9, 1, 1, 0.9]  # elsewhere
    pose = Pose(write_onnx(tmp_path / 'a.onnx', output, size=(64, 64)), keypoints=2, score_thr=0.5)
    boxes = np.array([[12, 6, 28, 26], [30, 6, 38, 26]], np.float32)
    found = pose.measure(np.zeros((32, 64, 3), np.uint8), None, Objects(boxes, np.zeros((2, 0))))
    np.testing.assert_allclose(found[0], [2 / 16, 4 / 20, 12 / 16, 16 / 20], atol=1e-6)
    assert np.isnan(found[1]).all()


def test_positions_by_hand():
    maps = np.zeros((1, 2, 4, 3), np.float32)
    maps[0, 0, 2, 1], maps[0, 0, 2, 2], maps[0, 0, 1, 1] = 0.9, 0.5, 0.4
    maps[0, 1, 0, 2] = 0.7  # at the border there is no neighbour
    points, sure = heatmap_points(maps, (16, 12))
    np.testing.assert_allclose(points, [[[(1.5 + 0.25) * 4, (2.5 - 0.25) * 4], [2.5 * 4, 0.5 * 4]]])
    np.testing.assert_allclose(sure, [[0.9, 0.7]], rtol=1e-6)
    points, sure = simcc_points(np.eye(8)[None, 3:4], 0.5 * np.eye(6)[None, 1:2], (3, 4))
    np.testing.assert_allclose(points, [[[3.5 / 2, 1.5 / 2]]])
    np.testing.assert_allclose(sure, [[0.5]])


def test_files_that_are_no_pose_model(tmp_path):
    with pytest.raises(MissingFileError, match=r'no pose model .*pose_model=FILE'):
        Pose(str(tmp_path / 'none.onnx')).open()
    path = write_pose(tmp_path / 'a.onnx', 'heatmap')
    with pytest.raises(DataError, match=r'is not a pose model of 17 keypoints: its outputs have the shapes \[1, 3, 32'):
        Pose(path).open()
    with pytest.raises(DataError, match='is not a simcc pose model of 3 keypoints'):
        Pose(path, layout='simcc', keypoints=3).open()
    with pytest.raises(ConfigError, match=r"no layout='map'. Known: auto"):
        Pose(path, layout='map')
    with pytest.raises(ConfigError, match=r'input_size=\(9, 9\), but .* takes \(64, 48\)'):
        Pose(path, keypoints=3, input_size=[9, 9]).open()
    path = write_pose(tmp_path / 'b.onnx', 'simcc', size=('h', 'w'))
    with pytest.raises(ConfigError, match='takes pictures of any size. Set input_size'):
        Pose(path, keypoints=3).open()
    wide = Pose(path, keypoints=3, input_size=SIZE, mean=(0, 0, 0), std=(255, 255, 255), score_thr=0.1)
    assert np.isfinite(wide.measure(dots(BOX[0], PLACES), None, PEOPLE)).all()
