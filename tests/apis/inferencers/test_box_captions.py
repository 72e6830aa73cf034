"""Captions of boxes, with a captioner that names the colour that it sees."""

from types import SimpleNamespace

import numpy as np
import pytest
from mmengine.structures import InstanceData

from vadlab.apis.inferencers.box_captions import BoxCaptioner, crop
from vadlab.apis.inferencers.vad_inferencer import VADInferencer
from vadlab.apis.inferencers.video_inputs import VideoSource
from vadlab.structures.video_result import Event, VideoResult
from vadlab.utils.errors import ConfigError


class Colours:
    """Says which of red, green and blue is the strongest in the middle of an image; notes the images."""

    config_path, checkpoint = 'colours.py', ''

    def __init__(self):
        self.seen = []

    def __call__(self, inputs):
        for source in inputs:
            self.seen.append((source.frame, source.image.shape))
            middle = source.image[source.image.shape[0] // 2, source.image.shape[1] // 2]
            yield SimpleNamespace(caption=('red', 'green', 'blue')[int(middle.argmax())])


@pytest.fixture
def captioner():
    made = BoxCaptioner.__new__(BoxCaptioner)
    made.inferencer, made.most = Colours(), 64
    return made


def result_of(tracks, frames, scores, corners, events=()):
    boxes = InstanceData()
    boxes.frame_inds, boxes.track_ids = np.array(frames), np.array(tracks)
    boxes.scores, boxes.boxes_xyxy = np.array(scores, np.float32), np.array(corners, np.float32)
    boxes.labels, boxes.reasons = ['thing'] * len(tracks), ['fast'] * len(tracks)
    none = np.zeros(4, np.float32)
    return VideoResult('a', '', 25.0, (100, 100), none, np.arange(4) / 25, np.arange(4), events=events, boxes=boxes)


def pictures():
    """Four frames: the left half is red, then green, then blue, then red; the right half is blue."""
    frames = np.zeros((4, 100, 100, 3), np.uint8)
    for number, channel in enumerate((0, 1, 2, 0)):
        frames[number, :, :50, channel] = 255
    frames[:, :, 50:, 2] = 255
    return frames


LEFT, RIGHT = (5, 20, 45, 60), (55, 20, 95, 60)


def test_a_track_has_the_caption_of_its_best_box(captioner):
    event = Event(0, 3, 1, 0.0, 0.1, 0.05, 0.9, 'thing', 'why')
    result = result_of([0, 0, 1, -1], [0, 1, 1, 3], [0.2, 0.9, 0.5, 0.1], [LEFT, LEFT, RIGHT, LEFT], (event,))
    captioner(result, VideoSource('', 'a', pictures()))
    assert result.boxes.reasons == [
        'fast; caption: green', 'fast; caption: green', 'fast; caption: blue', 'fast; caption: red',
    ]  # fmt: skip
    assert result.events[0].reason == 'why; caption: green'
    assert sorted(frame for frame, _ in captioner.inferencer.seen) == [1, 1, 3]


def test_the_highest_boxes_are_captioned_if_there_are_many(captioner):
    captioner.most = 1
    result = result_of([0, 1], [0, 1], [0.2, 0.9], [LEFT, LEFT])
    captioner(result, VideoSource('', 'a', pictures()))
    assert result.boxes.reasons == ['fast', 'fast; caption: green']


def test_a_crop_has_a_margin_and_stays_inside():
    picture = np.arange(100 * 100 * 3, dtype=np.uint32).reshape(100, 100, 3).astype(np.uint8)
    assert np.array_equal(crop(picture, np.array([20, 40, 60, 80]), (100, 100)), picture[36:84, 16:64])
    assert crop(picture, np.array([0, 0, 100, 100]), (100, 100)).shape == (100, 100, 3)
    assert crop(picture, np.array([50, 50, 50, 50]), (100, 100)).shape == (32, 32, 3)
    # The box refers to a picture of twice the size.
    assert np.array_equal(crop(picture, np.array([40, 80, 120, 160]), (200, 200)), picture[36:84, 16:64])


def test_captions_need_boxes(tiny, videos, captioner):
    inferencer = VADInferencer(tiny / 'config.py', tiny / 'weights.pth')
    with pytest.raises(ConfigError, match='needs boxes'):
        list(inferencer(videos[0], captioner=captioner))


def test_captions_of_a_video_file_are_in_its_written_result(tiny, videos, captioner, tmp_path):
    from vadlab.structures.video_result import RunInfo, Thresholds

    inferencer = VADInferencer(tiny / 'config.py', tiny / 'weights.pth', thresholds=Thresholds(0.0, 0.0))
    (found,) = inferencer(videos[0], boxes=True, captioner=captioner, out=tmp_path)
    assert len(found.boxes.reasons) > 0
    assert all('; caption: ' in reason for reason in found.boxes.reasons)
    (event,) = VideoResult.load(tmp_path / f'{found.name}.json').events
    assert '; caption: ' in event.reason
    assert 'captions by colours.py' in RunInfo.load(tmp_path).protocol
    with pytest.raises(ConfigError, match='results of another run: its protocol'):
        list(inferencer(videos[0], boxes=True, out=tmp_path))
