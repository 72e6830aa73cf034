import numpy as np
import pytest

from vadlab.models.objects.motion_blobs import MotionBlobs
from vadlab.models.objects.onnx_detector import ONNXDetector
from vadlab.models.objects.proposal_objects import ProposalObjects
from vadlab.utils.errors import ConfigError, DataError, MissingFileError

FRAME = np.zeros((40, 60, 3), np.uint8)


def test_blobs_are_connected_pixels_that_move_fast_enough():
    flow = np.zeros((40, 60, 2), np.float32)
    flow[10:20, 5:15] = (3, 4)  # 5 pixels per frame
    flow[10:20, 30:40] = (0, 0.5)
    flow[30:32, 50:52] = (9, 0)  # too small
    found = MotionBlobs(min_speed=1, min_area=40, opening=1, closing=1).detect(FRAME, flow)
    assert found.boxes_xyxy.tolist() == [[5, 10, 15, 20]]
    assert found.class_scores.shape == (1, 0)


def test_blobs_against_a_background_that_was_seen_before():
    blobs = MotionBlobs(source='background', min_area=20, opening=1, closing=1)
    still = np.zeros((40, 60, 2), np.float32)
    blobs.start_clip()
    for _ in range(20):
        blobs.detect(FRAME, still)
    new = FRAME.copy()
    new[10:20, 5:15] = 255
    assert blobs.detect(new, still).boxes_xyxy.tolist() == [[5, 10, 15, 20]]


def test_other_source():
    with pytest.raises(ConfigError, match="no source='frames'. Known: flow, background"):
        MotionBlobs(source='frames')


def write_onnx(path, output, size=(64, 64), channels=3):
    """A network that always answers with one array, whatever its input."""
    onnx = pytest.importorskip('onnx')
    from onnx import TensorProto, helper, numpy_helper

    picture = helper.make_tensor_value_info('images', TensorProto.FLOAT, [1, channels, *size])
    answer = helper.make_tensor_value_info('output', TensorProto.FLOAT, list(output.shape))
    nodes = [
        helper.make_node('Constant', [], ['fixed'], value=numpy_helper.from_array(output.astype(np.float32))),
        helper.make_node('ReduceMin', ['images'], ['least'], keepdims=0),
        helper.make_node('Mul', ['least', 'zero'], ['nothing']),
        helper.make_node('Add', ['fixed', 'nothing'], ['output']),
    ]
    zero = numpy_helper.from_array(np.zeros((), np.float32), 'zero')
    graph = helper.make_graph(nodes, 'fixed', [picture], [answer], [zero])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid('', 13)], ir_version=8)
    onnx.save(model, str(path))
    return str(path)


CELLS = 8 * 8 + 4 * 4 + 2 * 2  # of a picture of 64 x 64 pixels at strides of 8, 16 and 32


def test_yolox_boxes_by_hand(tmp_path):
    output = np.zeros((1, CELLS, 5 + 2))
    # The cell of stride 8 in row 2, column 3, its centre half a cell on: x 28, y 20; 16 wide, 8 high.
    output[0, 2 * 8 + 3] = [0.5, 0.5, np.log(2), 0, 0.8, 0.1, 0.9]
    output[0, 2 * 8 + 4] = [-0.4, 0.5, np.log(2), 0, 0.7, 0.1, 0.9]  # nearly the same box, less confident
    output[0, 64 + 16 + 3] = [0.5, 0.5, 0, 0, 0.5, 0.1, 0.1]  # too low
    detector = ONNXDetector(write_onnx(tmp_path / 'a.onnx', output), classes=('cat', 'dog'))
    # The frame of 32 x 16 is shown at twice its size, from the corner.
    found = detector.detect(np.zeros((16, 32, 3), np.uint8))
    np.testing.assert_allclose(found.boxes_xyxy, [[10, 8, 18, 12]], atol=1e-4)
    np.testing.assert_allclose(found.class_scores, [[0.08, 0.72]], atol=1e-6)
    only_cats = ONNXDetector(str(tmp_path / 'a.onnx'), classes=('cat', 'dog'), keep_classes=['cat'])
    assert len(only_cats.detect(FRAME)) == 0


@pytest.mark.parametrize('layout', ['yolov5', 'yolov8'])
def test_yolo_boxes_by_hand(tmp_path, layout):
    if layout == 'yolov5':
        output = np.zeros((1, 20, 7))
        output[0, 4] = [32, 32, 16, 8, 0.5, 0, 1]
    else:
        output = np.zeros((1, 6, 20))
        output[0, :, 4] = [32, 32, 16, 8, 0, 0.5]
    detector = ONNXDetector(write_onnx(tmp_path / 'a.onnx', output), classes=('cat', 'dog'))
    # 64 x 32 pixels are padded by 16 rows above and below.
    found = detector.detect(np.zeros((32, 64, 3), np.uint8))
    np.testing.assert_allclose(found.boxes_xyxy, [[24, 12, 40, 20]], atol=1e-4)
    np.testing.assert_allclose(found.class_scores, [[0, 0.5]], atol=1e-6)


def test_files_that_are_no_detector(tmp_path):
    with pytest.raises(MissingFileError, match=r'no detector .*Download yolox_nano.onnx .*detector=FILE'):
        ONNXDetector(str(tmp_path / 'none.onnx')).detect(FRAME)
    (tmp_path / 'a.onnx').write_bytes(b'no model')
    with pytest.raises(DataError, match='a.onnx is not an ONNX model that onnxruntime can load'):
        ONNXDetector(str(tmp_path / 'a.onnx')).detect(FRAME)
    classifier = write_onnx(tmp_path / 'b.onnx', np.zeros((1, 1000)))
    with pytest.raises(DataError, match=r'not a detector of 80 classes: its output has the shape \[1, 1000\]'):
        ONNXDetector(classifier).detect(FRAME)
    grey = write_onnx(tmp_path / 'c.onnx', np.zeros((1, CELLS, 85)), channels=1)
    with pytest.raises(DataError, match=r'not a detector: its inputs are images \[1, 1, 64, 64\]'):
        ONNXDetector(grey).detect(FRAME)
    with pytest.raises(ConfigError, match="keep_classes has 'unicorn'"):
        ONNXDetector('a.onnx', keep_classes=['unicorn'])


def test_grid_proposals_are_objects_but_the_whole_frame():
    found = ProposalObjects(dict(type='GridProposals')).detect(FRAME)
    boxes = found.boxes_xyxy
    shares = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1]) / (40 * 60)
    assert len(found) > 3
    assert shares.max() <= 0.5
