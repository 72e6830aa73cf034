import base64
import json
import re
from dataclasses import replace

import av
import cv2
import numpy as np
import pytest

from vadlab.structures.video_result import RunInfo, VideoResult
from vadlab.utils.errors import ConfigError
from vadlab.visualization.report.page_data import packed, spark_path
from vadlab.visualization.report.templates import clock, inline_json
from vadlab.visualization.report.video_report import VideoReport, check_report_folder, thumb_frames

from .results import RUN, result_of, write_video

TIMES = (np.arange(40) / 20).tolist()
HOSTILE = '</script><script>alert("x")</script> & <img src=x onerror=alert(1)>.mp4'


@pytest.fixture(scope='module')
def video(tmp_path_factory):
    return write_video(tmp_path_factory.mktemp('videos') / 'a.mp4', TIMES)


def data_of(page):
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', page.read_text('utf-8'), re.DOTALL)
    return json.loads(found[1])


def test_page_holds_the_exact_scores_times_and_events(tmp_path, video):
    result = result_of('cam/a.mp4', video, TIMES, truth=np.array([[10, 20]]))
    with VideoReport(tmp_path / 'r', RUN) as report:
        data = data_of(report.add(result))
    assert data['scores'] == packed(result.scores, 'f4')
    assert np.array_equal(np.frombuffer(base64.b64decode(data['scores']), '<f4'), result.scores)
    assert data['times'] == {'fps': pytest.approx(20)} or data['times'] == {'step': 0.05}
    assert [(event['start'], event['end']) for event in data['events']] == [(e.start, e.end) for e in result.events]
    assert data['truth'] == [[10, 20]]
    assert data['threshold']['high'] == 0.6
    assert data['calibration']['peaks'] == [0.9, 0.8, 0.7, 0.45]


def test_hostile_texts_are_escaped_everywhere(tmp_path, video):
    run = RunInfo('<b>.py', HOSTILE, '<i>', (HOSTILE,), HOSTILE)
    result = result_of(HOSTILE, video, TIMES)
    with VideoReport(tmp_path / 'r', run, title=HOSTILE) as report:
        page = report.add(result)
        report.add(VideoResult.failed('b.mp4', 'b.mp4', HOSTILE))
    for path in (page, tmp_path / 'r' / 'index.html', tmp_path / 'r' / 'pages' / 'b.mp4.html'):
        text = path.read_text('utf-8')
        assert len(re.findall(r'<script(?= )', text)) == text.count('</script>') <= 4
        assert '<script>' not in text
        assert '<img src=x' not in text
    assert data_of(page)['name'] == HOSTILE


def test_inline_json_ends_no_element_and_reads_back():
    content = {'<!--': '</script>&\u2028\u2029', 'n': [1, None]}
    text = str(inline_json(content))
    assert not set(text) & set('<>&\u2028\u2029')
    assert json.loads(text) == content


def test_report_is_whole_after_each_result(tmp_path, video):
    report = VideoReport(tmp_path / 'r', RUN)
    assert '0 videos' in (tmp_path / 'r' / 'index.html').read_text('utf-8')
    report.add(result_of('a.mp4', video, TIMES))
    report._index_cost_s = 0.0
    report.add(result_of('b.mp4', video, TIMES))
    text = (tmp_path / 'r' / 'index.html').read_text('utf-8')
    assert [entry['name'] for entry in data_of(tmp_path / 'r' / 'index.html')['videos']] == ['a.mp4', 'b.mp4']
    for link in re.findall(r'(?:href|src)="([^"#:]+)"', text):
        assert (tmp_path / 'r' / link).is_file(), link
    page = tmp_path / 'r' / 'pages' / 'a.mp4.html'
    for link in re.findall(r'(?:href|src)="([^"#:]+)"', page.read_text('utf-8')):
        assert (page.parent / link).is_file(), link


def test_a_run_that_goes_on_keeps_its_videos_and_its_id(tmp_path, video):
    with VideoReport(tmp_path / 'r', RUN) as report:
        report.add(result_of('a.mp4', video, TIMES))
    written = (tmp_path / 'r' / 'media' / 'a.mp4.mp4').stat().st_mtime_ns
    with VideoReport(tmp_path / 'r', RUN) as again:
        again.add(result_of('b.mp4', video, TIMES))
        again.add(result_of('a.mp4', video, TIMES))
    assert again.id == report.id
    assert [entry['name'] for entry in data_of(again.close())['videos']] == ['a.mp4', 'b.mp4']
    assert (tmp_path / 'r' / 'media' / 'a.mp4.mp4').stat().st_mtime_ns == written


def test_another_run_replaces_the_report_but_not_the_encoded_videos(tmp_path, video):
    with VideoReport(tmp_path / 'r', RUN) as report:
        report.add(result_of('a.mp4', video, TIMES))
        report.add(result_of('b.mp4', video, TIMES))
    written = (tmp_path / 'r' / 'media' / 'a.mp4.mp4').stat().st_mtime_ns
    with VideoReport(tmp_path / 'r', RunInfo('other.py')) as other:
        other.add(result_of('a.mp4', video, TIMES))
    assert other.id != report.id
    assert [entry['name'] for entry in data_of(other.close())['videos']] == ['a.mp4']
    assert sorted(path.name for path in (tmp_path / 'r' / 'pages').iterdir()) == ['a.mp4.html']
    assert (tmp_path / 'r' / 'media' / 'a.mp4.mp4').stat().st_mtime_ns == written


@pytest.mark.parametrize('name', ['weights', 'settings'])
def test_other_weights_of_the_same_name_replace_the_report(tmp_path, name):
    """A file that was trained again keeps its name; a run that does not know them adds to the report."""
    for value, pages in (('first', ['a.mp4']), ('first', ['a.mp4', 'b.mp4']), ('', ['a.mp4', 'b.mp4', 'c.mp4'])):
        with VideoReport(tmp_path / 'r', replace(RUN, **{name: value})) as report:
            report.add(result_of(pages[-1], '', TIMES))
        assert [entry['name'] for entry in data_of(report.close())['videos']] == pages
    for value in ('first', 'second'):
        with VideoReport(tmp_path / 'r', replace(RUN, **{name: value})) as report:
            report.add(result_of('d.mp4', '', TIMES))
    assert [entry['name'] for entry in data_of(report.close())['videos']] == ['d.mp4']


def test_a_folder_of_frames_with_another_rate_is_encoded_again(tmp_path):
    (tmp_path / 'frames').mkdir()
    for i in range(len(TIMES)):
        cv2.imwrite(str(tmp_path / 'frames' / f'{i:03d}.png'), np.full((32, 32, 3), i, np.uint8))
    for seconds in (len(TIMES) / 20, len(TIMES) / 5):
        times = np.arange(len(TIMES)) * seconds / len(TIMES)
        with VideoReport(tmp_path / 'r', RUN) as report:
            report.add(result_of('frames', tmp_path / 'frames', times, with_boxes=False, size=(32, 32)))
        with av.open(str(tmp_path / 'r' / 'media' / 'frames.mp4')) as media:
            assert [frame.time for frame in media.decode(video=0)] == pytest.approx(times.tolist(), abs=1e-3)


def test_a_repeated_test_drops_pages_of_videos_that_are_gone_and_keeps_the_id(tmp_path, video):
    with VideoReport(tmp_path / 'r', RUN) as report:
        report.add(result_of('a.mp4', video, TIMES))
        report.add(result_of('b.mp4', video, TIMES))
    with VideoReport(tmp_path / 'r', RUN, is_continued=False) as again:
        again.add(result_of('b.mp4', video, TIMES))
    assert again.id == report.id
    assert [entry['name'] for entry in data_of(again.close())['videos']] == ['b.mp4']
    assert [path.name for path in (tmp_path / 'r' / 'pages').iterdir()] == ['b.mp4.html']


def test_an_entry_cannot_lead_elsewhere(tmp_path, video):
    report = VideoReport(tmp_path / 'r', RUN)
    report.add(result_of('a.mp4', video, TIMES))
    path = tmp_path / 'r' / 'entries' / 'a.mp4.json'
    content = json.loads(path.read_text('utf-8'))
    path.write_text(json.dumps({**content, 'page': 'javascript:alert(1)', 'strip': '../../x.jpg'}), 'utf-8')
    text = report.close().read_text('utf-8')
    assert 'javascript' not in text
    assert '../x.jpg' not in text
    assert 'href="pages/a.mp4.html"' in text


def test_videos_of_two_processes_are_in_one_list(tmp_path, video):
    one, two = VideoReport(tmp_path / 'r', RUN), VideoReport(tmp_path / 'r', RUN)
    one.add(result_of('a.mp4', video, TIMES))
    two.add(result_of('b.mp4', video, TIMES))
    assert [entry['name'] for entry in data_of(one.close())['videos']] == ['a.mp4', 'b.mp4']


def test_folder_of_somebody_else_is_refused_and_unchanged(tmp_path):
    (tmp_path / 'thesis.docx').write_text('mine')
    with pytest.raises(ConfigError, match=r'holds other files \(first: thesis\.docx\)'):
        VideoReport(tmp_path, RUN)
    (tmp_path / 'report.json').write_text('{"format": "bank report", "id": "1", "run": {}}')
    with pytest.raises(ConfigError, match=r'report\.json is not of a report'):
        VideoReport(tmp_path, RUN)
    assert sorted(path.name for path in tmp_path.iterdir()) == ['report.json', 'thesis.docx']
    with pytest.raises(ConfigError, match='is a file'):
        check_report_folder(tmp_path / 'thesis.docx')
    check_report_folder(tmp_path / 'new')


@pytest.mark.parametrize('name', ['.DS_Store', 'Thumbs.db', 'desktop.ini', 'Desktop.ini'])
def test_files_that_desktops_leave_in_a_folder_are_nobodys(tmp_path, name):
    (tmp_path / name).write_bytes(b'icons')
    check_report_folder(tmp_path)
    with VideoReport(tmp_path, RUN) as report:
        assert report.close().is_file()
    assert (tmp_path / name).read_bytes() == b'icons'


def test_missing_video_makes_a_page_that_says_so(tmp_path):
    with VideoReport(tmp_path / 'r', RUN) as report:
        page = report.add(result_of('a.mp4', tmp_path / 'gone.mp4', TIMES))
    text = page.read_text('utf-8')
    assert 'No video: There is no video' in text
    assert '<video' not in text
    assert 'id="curve"' in text


def test_names_that_are_not_utf8_and_folders_make_different_pages(tmp_path, video):
    names = ['a/b.mp4', 'a_b.mp4', 'caf\udce9.mp4', '异常.mp4', 'a.mp4', 'a']
    with VideoReport(tmp_path / 'r', RUN) as report:
        pages = {report.add(result_of(name, video, TIMES)).name for name in names}
    assert len(pages) == len(names)
    assert len(data_of(tmp_path / 'r' / 'index.html')['videos']) == len(names)


def test_a_frame_and_a_constant_score(tmp_path):
    path = write_video(tmp_path / 'a.mp4', [0.0])
    with VideoReport(tmp_path / 'r', RUN) as report:
        data = data_of(report.add(result_of('a.mp4', path, [0.0], scores=[0.5], with_boxes=False)))
    assert data['frames'] == 1
    assert data['range'] == [0.0, 1.0]


def test_three_hours_make_a_page_of_a_few_megabytes(tmp_path):
    n = 3 * 3600 * 25
    scores = np.random.default_rng(0).random(n)
    result = result_of('a.mp4', tmp_path / 'gone.mp4', np.arange(n) / 25, scores=scores, with_boxes=False)
    result.events = ()
    with VideoReport(tmp_path / 'r', RUN) as report:
        page = report.add(result)
    assert page.stat().st_size < 6e6


def test_thumbnails_are_those_of_the_highest_peaks():
    result = result_of('a.mp4', 'a.mp4', TIMES)
    assert thumb_frames(result.events) == sorted(event.peak for event in result.events)


def test_spark_path_keeps_the_highest_score_of_each_part():
    scores = np.zeros(1600)
    scores[805] = 1.0
    path = spark_path(scores, 0, 1)
    assert re.findall(r'L(\d+) 0(?=L)', path) == ['81']  # part 80 of 160
    assert (clock(59.96), clock(3599.94), clock(3599.96)) == ('1:00.0', '59:59.9', '1:00:00')


def test_curves_of_a_list_share_one_axis(tmp_path):
    """Oracle: where a score has to be between the lowest of all, 0.1, and the highest, 0.9."""
    results = {
        'wild.mp4': np.array([0.1, 0.9, 0.5]),
        'calm.mp4': np.array([0.3, 0.31, 0.305]),
        'even.mp4': np.full(3, 0.5),
    }
    with VideoReport(tmp_path / 'r', RUN) as report:
        for name, scores in results.items():
            report.add(result_of(name, '', np.arange(3) / 25, scores=scores, with_boxes=False))
        report.add(VideoResult.failed('broken.mp4', 'broken.mp4', 'cut short'))
    page = (tmp_path / 'r' / 'index.html').read_text()
    assert 'All curves go from 0.1 to 0.9.' in page
    found = re.findall(r'data-name="(\w+\.mp4)".*?viewBox="0 (\S+) 160 (\S+)".*?<path d="(.*?)"', page, re.DOTALL)
    assert len(found) == 4
    for name, top, height, path in found:
        if name == 'broken.mp4':
            assert path == ''
            continue
        shown = [(float(y) - float(top)) / float(height) for y in re.findall(r'L\d+ (\d+)(?=L)', path)]
        np.testing.assert_allclose(shown, (0.9 - results[name]) / 0.8, atol=0.006)


def test_times_of_a_variable_rate_are_all_there(tmp_path):
    from vadlab.visualization.report.page_data import _times

    times = np.array([0.0, 0.04, 0.1, 0.11])
    assert _times(times, 25.0) == {'values': packed(times, 'f8')}
    assert _times(np.arange(4) / 25, 25.0) == {'fps': 25.0}
    ticks = np.arange(200) * 512 * (1 / 15360)
    assert _times(ticks, 29.0) in ({'ticks': 512, 'tick': 1 / 15360}, {'step': float(ticks[1])})
