import av
import numpy as np
import pytest

from tests.datasets.conftest import read_number
from vadlab.datasets.video import index_video, read_frames
from vadlab.structures.video_result import VideoResult
from vadlab.utils.errors import DataError
from vadlab.visualization.box_frames import BoxFrames
from vadlab.visualization.overlay_video import write_overlay_video

from .report.results import result_of, write_video

UNEVEN = np.cumsum([0, *([0.04, 0.02, 0.1, 0.031] * 10)]).round(3)
ORANGE = (255, 122, 69)


@pytest.fixture(scope='module')
def overlay(tmp_path_factory):
    folder = tmp_path_factory.mktemp('overlay')
    source = write_video(folder / 'a.mp4', UNEVEN.tolist(), sound='aac', options={'crf': '10'})
    result = result_of('a.mp4', source, UNEVEN, truth=np.array([[2, 8]]))
    path = write_overlay_video(result, folder / 'out' / 'a.scored.mp4')
    return result, read_frames(str(path), np.arange(len(UNEVEN))), path


def near(pixel, colour, tolerance=60):
    return np.abs(pixel.astype(int) - colour).sum(axis=-1) < tolerance


def test_all_frames_times_and_the_sound_are_kept(overlay):
    result, frames, path = overlay
    index = index_video(str(path))
    assert np.abs(index.frame_times - result.times).max() < 2e-5
    assert frames.shape[1:3] == (360 + 104, 480)  # 128 x 96 enlarged to a width of 480, and the panel
    assert [read_number(frame[:360]) & 0b111000111 for frame in frames] == [i & 0b111000111 for i in range(len(frames))]
    with av.open(str(path)) as file:
        assert [stream.codec_context.name for stream in file.streams] == ['h264', 'aac']


def test_boxes_are_drawn_where_they_are(overlay):
    result, frames, _ = overlay
    boxes = BoxFrames(result)
    for frame in (0, 5, 18, 40):
        (box,) = boxes.at(frame)
        x1, y1, x2, y2 = (np.array(box.corners) * 480 / 128).round().astype(int)
        middle = (y1 + y2) // 2
        for x in (x1, x2):
            assert near(frames[frame][middle, max(x - 2, 0) : x + 3], ORANGE, 190).any(), (frame, x)
        assert not near(frames[frame][middle, (x1 + x2) // 2], ORANGE, 190).any()


def test_cursor_events_and_truth_are_at_their_times(overlay):
    result, frames, _ = overlay
    duration = result.duration_s
    for frame in (0, 17, 40):
        x = round(result.times[frame] / duration * 479)
        column = frames[frame][360 + 34 : 360 + 90, max(x - 1, 0) : x + 2]
        assert (column.min(axis=-1) > 170).any(axis=1).mean() > 0.8
    (first, *_) = result.events
    row = frames[40][360 + 104 - 11]
    marked = np.flatnonzero(near(row, ORANGE, 130))
    assert marked[0] == pytest.approx(first.start_s / duration * 479, abs=4)
    green = np.flatnonzero(near(frames[40][360 + 104 - 5], (89, 194, 122), 130))
    assert green[0] == pytest.approx(result.times[2] / duration * 479, abs=4)
    assert green[-1] == pytest.approx(result.times[8] / duration * 479, abs=4)


def test_a_box_without_a_track_holds_until_the_next_sampled_frame():
    result = result_of('a.mp4', 'a.mp4', UNEVEN)
    result.boxes.track_ids[:] = -1
    boxes = BoxFrames(result)
    assert boxes.at(4) == boxes.at(7) != boxes.at(8)
    result.boxes = result.boxes[np.array([0])]
    assert BoxFrames(result).at(3)
    assert not BoxFrames(result).at(4)


def test_a_track_moves_in_a_straight_line_in_time():
    result = result_of('a.mp4', 'a.mp4', UNEVEN)
    boxes = BoxFrames(result)
    left = [boxes.at(frame)[0].corners[0] for frame in (4, 5, 8)]
    share = (UNEVEN[5] - UNEVEN[4]) / (UNEVEN[8] - UNEVEN[4])
    assert left[1] == pytest.approx(left[0] + share * (left[2] - left[0]))


def test_a_result_without_scores_is_an_error(tmp_path):
    with pytest.raises(DataError, match='was not scored'):
        write_overlay_video(VideoResult.failed('a.mp4', 'a.mp4', 'damaged'), tmp_path / 'a.mp4')
