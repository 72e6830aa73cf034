import numpy as np
import pytest

from tests.visualization.report.results import RUN, result_of, write_video
from vadlab.apis.inferencers.outputs import ResultOutputs, overlay_path
from vadlab.structures.video_result import VideoResult
from vadlab.utils.errors import ConfigError

TIMES = (np.arange(12) / 20).tolist()


def test_report_and_overlay_of_each_result_and_what_failed(tmp_path):
    source = write_video(tmp_path / 'in' / 'a.mp4', TIMES)
    with ResultOutputs(RUN, tmp_path / 'r', tmp_path / 'o') as outputs:
        outputs.add(result_of('cam/a.mp4', source, TIMES))
        outputs.add(result_of('gone.avi', tmp_path / 'gone.avi', TIMES))
        outputs.add(VideoResult.failed('bad.mp4', 'bad.mp4', 'damaged'))
    assert [path.relative_to(tmp_path).as_posix() for path in (tmp_path / 'o').rglob('*.mp4')] == ['o/cam/a.scored.mp4']
    assert overlay_path(tmp_path / 'o', result_of('cam/a.mp4', source, TIMES)).is_file()  # an own one may be replaced
    assert outputs.summary() == [
        f'report: {tmp_path / "r" / "index.html"}',
        f'overlay video: {tmp_path / "o" / "cam" / "a.scored.mp4"}',
        'overlay videos that could not be written: 1 (first: gone.avi)',
    ]


def test_the_page_of_a_single_video_is_named(tmp_path):
    with ResultOutputs(RUN, tmp_path / 'r') as outputs:
        outputs.add(VideoResult.failed('bad.mp4', 'bad.mp4', 'damaged'))
    assert outputs.summary() == [f'report: {tmp_path / "r" / "pages" / "bad.mp4.html"}']


def test_the_scored_video_is_never_replaced(tmp_path):
    source = tmp_path / 'a.scored.mp4'
    with pytest.raises(ConfigError, match='would replace the scored video itself'):
        overlay_path(tmp_path, result_of('a.mp4', source, TIMES))
    (tmp_path / 'b.scored.mp4').write_bytes(b'of somebody else')
    with pytest.raises(ConfigError, match='VADLab did not write it'):
        overlay_path(tmp_path, result_of('b.mp4', source, TIMES))
    (tmp_path / 'file').touch()
    with pytest.raises(ConfigError, match='is a file'):
        ResultOutputs(RUN, save_video=tmp_path / 'file')
