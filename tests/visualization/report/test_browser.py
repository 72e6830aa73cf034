"""Report pages in a real browser, opened from disk."""

import csv
import io
import json
import shutil
from urllib.parse import quote

import numpy as np
import pytest
from PIL import Image

from tests.datasets.conftest import read_number
from vadlab.datasets.formats.marks import convert_marks
from vadlab.evaluation.functional.events import explain_events, find_events
from vadlab.structures.video_result import RunInfo, Thresholds, VideoResult
from vadlab.visualization.box_frames import BoxFrames
from vadlab.visualization.report.page_data import _times as times_entry
from vadlab.visualization.report.page_data import packed
from vadlab.visualization.report.video_report import VideoReport

from .results import CALIBRATION, LIMITS, RUN, result_of, write_video

CHROMIUM = next(filter(None, map(shutil.which, ('chromium', 'chromium-browser', 'google-chrome'))), None)
playwright = pytest.importorskip('playwright.sync_api', reason='playwright is missing: pip install playwright')
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason='no Chromium: apt-get install chromium')

HOSTILE = '"><img src=x onerror=window.hacked=1></script><script>window.hacked=1</script>.mp4'
LONG = 'a' * 180 + '.mp4'
TIMES = np.cumsum([0, *([0.04, 0.06, 0.05, 0.09] * 25)]).round(3)  # 101 frames of variable rate, 6 s
NUMBERS = np.arange(500)
TIME_SETS = [
    (NUMBERS / 30, 30.0),
    (NUMBERS * 0.0333, 30.0),
    (NUMBERS * 1001 * (1 / 30000), 29.97),
    (np.cumsum(NUMBERS) / 1000, 9.0),
]
VIEW = {'width': 1280, 'height': 900}


@pytest.fixture(scope='module')
def report(tmp_path_factory):
    """Report of a video, a normal one with hostile texts, one of three hours, and one that failed."""
    folder = tmp_path_factory.mktemp('report')
    video = write_video(folder / 'in' / 'a.mp4', TIMES.tolist(), sound='aac', options={'crf': '12'})
    other = write_video(folder / 'in' / 'b.avi', (np.arange(30) / 30).tolist(), codec='mpeg4')
    result = result_of('cam 1/a.mp4', video, TIMES, truth=np.array([[25, 40]]))
    result.events = tuple(_labelled(event, 'Riot', 'Riot rises') for event in result.events)
    hostile = result_of(HOSTILE, other, np.arange(30) / 30, truth=np.zeros((0, 2)))
    hostile.events = tuple(_labelled(event, HOSTILE, HOSTILE) for event in hostile.events)
    hours = np.arange(3 * 3600 * 25) / 25
    scores = np.random.default_rng(0).random(len(hours)) * 0.3 + 0.5 * (hours % 600 < 20)
    long = result_of(LONG, folder / 'gone.mp4', hours, scores=scores, with_boxes=False)
    long.events = tuple(_labelled(event, 'Fire', '') for event in long.events)
    with VideoReport(folder / 'r', RunInfo(**{**vars(RUN), 'prompts': (HOSTILE,)})) as made:
        pages = {name: made.add(one) for name, one in (('a', result), ('hostile', hostile), ('long', long))}
        pages['failed'] = made.add(VideoResult.failed('broken.mp4', 'broken.mp4', HOSTILE))
    return {'index': folder / 'r' / 'index.html', 'result': result, 'hostile_result': hostile, **pages}


def _labelled(event, label, reason):
    return type(event)(**{**vars(event), 'label': label, 'reason': reason})


@pytest.fixture(scope='module')
def browser():
    flags = ['--no-sandbox', '--disable-gpu', '--autoplay-policy=no-user-gesture-required']
    with playwright.sync_playwright() as tool:
        found = tool.chromium.launch(executable_path=CHROMIUM, args=flags)
        yield found
        found.close()


@pytest.fixture
def open_page(browser):
    """Opens a page; at the end, its console must be silent, and nothing may have come from a network."""
    contexts, noise = [], []

    def make(path, context=None, **options):
        if context is None:
            context = browser.new_context(**{'viewport': VIEW, **options})
            contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(30_000)
        page.on('console', lambda message: noise.append(message.text))
        page.on('pageerror', lambda error: noise.append(str(error)))
        page.on('dialog', lambda dialog: noise.append(dialog.message))
        page.on('requestfailed', lambda request: noise.append(f'{request.url} failed: {request.failure}'))
        page.on(
            'request', lambda request: request.url.startswith(('file:', 'data:', 'blob:')) or noise.append(request.url)
        )
        page.goto(path.as_uri())
        if page.locator('#video').count():
            page.wait_for_function('document.getElementById("video").readyState >= 2')
        return page

    yield make
    for context in contexts:
        context.close()
    assert not [text for text in noise if 'ERR_ABORTED' not in text]  # a video that is left stops loading


def frame_of(page):
    return int(page.locator('#frame').text_content().removeprefix('frame '))


def wait_for_frame(page, frame):
    page.wait_for_function(f'document.getElementById("frame").textContent === "frame {frame}"')
    page.wait_for_function('!document.getElementById("video").seeking')
    page.wait_for_timeout(80)  # until the picture is on the screen


def shot(page, selector):
    return np.asarray(Image.open(io.BytesIO(page.locator(selector).screenshot())).convert('RGB'))


def picture_of(page):
    """The number in the video's picture, without bars and boxes."""
    whole = shot(page, '#video')
    width = whole.shape[0] * 128 // 96
    left = (whole.shape[1] - width) // 2
    return read_number(whole[:, left : left + width])


def follow(page, link):
    """Load a page from a link that may differ in its fragment only."""
    page.goto('about:blank')
    page.goto(link)


def test_events_are_those_of_python_for_random_scores_and_limits(open_page, report):
    page = open_page(report['a'])
    generator = np.random.default_rng(7)
    cases, expected = [], []
    for case in range(300):
        n = int(generator.integers(1, 60))
        # Few different scores, times and limits, so that ties and equalities happen.
        scores = (generator.integers(0, 11, n) / 10).astype(np.float32)
        steps = generator.integers(1, 4, n) / 25 if case % 2 else np.full(n, 1 / 25)
        times = np.concatenate([[0.0], np.cumsum(steps)[:-1]])
        low, high = sorted((generator.integers(0, 11, 2) / 10).tolist())
        limits = Thresholds(high, low, *(generator.integers(0, 6, 2) / 25).tolist())
        found = find_events(scores, times, limits, times[-1] + 1 / 25)
        expected.append([[e.start, e.end, e.peak, e.start_s, e.end_s, e.peak_s, e.score] for e in found])
        limits = {'high': limits.high, 'low': limits.low, 'min_s': limits.min_s, 'gap_s': limits.gap_s}
        cases.append([packed(scores, 'f4'), packed(times, 'f8'), limits])
    found = page.evaluate(
        """cases => cases.map(([scores, times, limits]) => VADLab
        .findEvents(VADLab.float32(scores), VADLab.float64(times), 25, limits)
        .map(e => [e.start, e.end, e.peak, e.start_s, e.end_s, e.peak_s, e.score]))""",
        cases,
    )
    assert sum(map(len, expected)) > 300
    assert found == expected
    stored = [times_entry(times, fps) for times, fps in TIME_SETS]
    found = page.evaluate('sets => sets.map(set => [...VADLab.times(set, 500)])', stored)
    assert [list(entry) for entry in stored] == [['fps'], ['step'], ['ticks', 'tick'], ['values']]
    assert found == [times.tolist() for times, _ in TIME_SETS]
    rates = page.evaluate(
        'highs => highs.map(high => VADLab.falseAlarms(VADLab.data.calibration, high).rate)', [0.4, 0.8, 1]
    )
    assert rates == [CALIBRATION.false_alarms_per_hour(high) for high in (0.4, 0.8, 1)]


def test_each_shown_frame_is_the_one_that_is_named(open_page, report):
    """Oracle: the number drawn into the picture of a video with variable frame rate."""
    page = open_page(report['a'])
    page.locator('#show-boxes').uncheck()
    page.keyboard.press('Escape')
    for _ in range(3):
        page.keyboard.press('.')
    wait_for_frame(page, 3)
    assert picture_of(page) == 3
    page.keyboard.press('ArrowRight')
    goal = float(TIMES[3]) + 1
    expected = int(np.searchsorted(TIMES, goal + 0.005, side='right')) - 1
    page.wait_for_function('document.getElementById("video").currentTime > 1')
    page.wait_for_timeout(200)
    assert abs(frame_of(page) - expected) <= 1
    assert picture_of(page) == frame_of(page)
    page.keyboard.press(',')
    wait_for_frame(page, frame_of(page))
    assert picture_of(page) == frame_of(page)
    box = page.locator('#cursor').bounding_box()
    page.mouse.click(box['x'] + 0.6 * box['width'], box['y'] + 50)
    page.wait_for_timeout(300)
    assert picture_of(page) == frame_of(page)
    assert abs(TIMES[frame_of(page)] - 0.6 * report['result'].duration_s) < 0.15


def test_space_plays_and_pauses_and_the_slider_tells_the_position(open_page, report):
    page = open_page(report['a'])
    page.keyboard.press(' ')
    page.wait_for_function('document.getElementById("video").currentTime > 0.5')
    assert page.locator('#play').get_attribute('aria-label') == 'Pause'
    page.keyboard.press(' ')
    page.wait_for_function('document.getElementById("video").paused')
    page.wait_for_timeout(150)
    frame = frame_of(page)
    assert frame > 3
    cursor = page.locator('#cursor')
    assert cursor.get_attribute('role') == 'slider'
    assert float(cursor.get_attribute('aria-valuenow')) == pytest.approx(TIMES[frame], abs=0.09)
    assert f'frame {frame}' in cursor.get_attribute('aria-valuetext')
    score = report['result'].scores[frame]
    assert float(page.locator('#now').text_content()) == pytest.approx(score, abs=6e-4)
    page.locator('#play').click()
    page.wait_for_function('!document.getElementById("video").paused')


def test_keys_and_clicks_jump_to_events(open_page, report):
    page = open_page(report['a'])
    peaks = [event.peak for event in report['result'].events]
    assert len(peaks) == 2
    for key, peak in (('n', peaks[0]), ('n', peaks[1]), ('n', peaks[1]), ('p', peaks[0])):
        page.keyboard.press(key)
        wait_for_frame(page, peak)
    page.locator('#events .jump').nth(1).click()
    wait_for_frame(page, peaks[1])
    assert page.locator('#events .event').nth(1).get_attribute('data-current') is not None
    assert 'outside truth' in page.locator('#events .event').nth(1).text_content()
    assert 'overlaps truth' in page.locator('#events .event').nth(0).text_content()
    image = page.locator('#events img').first
    image.scroll_into_view_if_needed()
    page.wait_for_function('document.querySelector("#events img").naturalWidth === 320')
    page.locator('#events .jump').first.focus()
    page.keyboard.press('Enter')
    wait_for_frame(page, peaks[0])


def test_threshold_redraws_events_and_says_the_false_alarms(open_page, report):
    page = open_page(report['a'])
    verdict = page.locator('#verdict')
    assert verdict.text_content().startswith('2 events; 1.5 false alarms per hour on the calibration footage')
    assert '1 of 1 true stretches found' in verdict.text_content()
    page.locator('#threshold').scroll_into_view_if_needed()
    box = page.locator('#threshold').bounding_box()
    y = box['y'] + box['height'] / 2
    page.mouse.move(box['x'] + 0.6 * box['width'], y)
    page.mouse.down()
    page.mouse.move(box['x'] + 0.75 * box['width'], y, steps=4)
    page.mouse.up()
    page.wait_for_function("Number(document.querySelector('#threshold-value').value) > 0.61")
    high = float(page.locator('#threshold-value').input_value())
    assert 0.61 < high < 0.99
    result = report['result']
    expected = find_events(result.scores, result.times, Thresholds(high, 0.4, 0.1, 0.15), result.duration_s)
    assert page.locator('#events .event').count() == len(expected)
    rate = CALIBRATION.false_alarms_per_hour(high)
    said = f'{len(expected)} event{"" if len(expected) == 1 else "s"}; {rate:g} false alarms per hour'
    assert verdict.text_content().startswith(said)
    page.locator('#threshold').press('ArrowRight')  # a hundredth of the slider from -4 to 4, in any browser
    after = float(page.locator('#threshold-value').input_value())
    assert np.log(after / (1 - after)) - np.log(high / (1 - high)) == pytest.approx(0.08, abs=0.005)
    page.locator('#threshold-value').fill('0.95')
    assert verdict.text_content().startswith(
        '0 events; 0 false alarms per hour on the calibration footage (none in 2 hours)'
    )
    assert page.locator('#no-events').is_visible()
    page.locator('#threshold-value').fill('0.3')
    assert 'more than 2 false alarms per hour' in verdict.text_content()
    page.locator('#threshold-reset').click()
    assert page.locator('#events .event').count() == 2
    assert 'counted with' not in verdict.text_content()


def test_a_rate_of_alarms_that_were_counted_by_other_rules_says_so(open_page, tmp_path):
    result = result_of('a.mp4', '', np.arange(60) / 10, with_boxes=False)
    result.threshold = Thresholds(0.6, 0.2, 1.0, 3.0, 'given')
    with VideoReport(tmp_path / 'r', RUN) as made:
        page = open_page(made.add(result))
    said = page.locator('#verdict').text_content()
    assert '1.5 false alarms per hour on the calibration footage, counted with a low threshold of 0.400' in said
    assert said.endswith(' and gaps up to 0.15 s, of at least 0.1 s.')


def test_a_prompt_that_begins_with_normal_is_a_class_like_others(open_page, tmp_path):
    """Oracle: the highest class at the peak, as :func:`explain_events` names it; Python found no event here."""
    result = result_of('a.mp4', '', np.arange(60) / 10, with_boxes=False)
    result.classes, result.events = ('Normal', 'normal people', 'a fight'), ()
    result.class_scores = np.tile(np.float32([0.1, 0.7, 0.2]), (len(result.frame_inds), 1))
    result.threshold = Thresholds(0.99, 0.99)
    with VideoReport(tmp_path / 'r', RUN) as made:
        page = open_page(made.add(result))
    page.locator('#threshold-value').fill('0.5')
    found = find_events(result.scores, result.times, Thresholds(0.5, 0.5), result.duration_s)
    wanted = [event.label for event in explain_events(found, result.frame_inds, result.class_scores, result.classes)]
    assert wanted
    assert page.locator('#events strong').all_text_contents() == wanted == ['normal people'] * len(wanted)


def test_an_event_without_a_picture_gets_one_from_the_video(open_page, report):
    """Oracle: the number in the drawn picture."""
    page = open_page(report['a'])
    page.locator('#threshold-value').fill('0.3')
    assert page.locator('#events .event').count() == 3
    page.locator('#events canvas').first.scroll_into_view_if_needed()
    page.wait_for_timeout(700)
    peak = 40 + int(report['result'].scores[40:65].argmax())
    assert read_number(shot(page, '#events canvas >> nth=0')) == peak


def test_marks_are_kept_and_exported(open_page, report):
    page = open_page(report['a'])
    events = report['result'].events
    page.locator('#events .event').nth(0).get_by_text('Correct').click()
    page.keyboard.press('n')
    wait_for_frame(page, events[0].peak)
    page.keyboard.press('n')
    wait_for_frame(page, events[1].peak)
    page.keyboard.press('f')
    page.keyboard.press('Home')
    wait_for_frame(page, 0)
    page.keyboard.press('m')
    for _ in range(4):
        page.keyboard.press('.')
    wait_for_frame(page, 4)
    page.keyboard.press('m')
    page.keyboard.press('r')
    page.reload()
    assert page.locator('#reviewed').is_checked()
    assert page.locator('#marks li').count() == 3
    pressed = page.locator('#events .mark[aria-pressed=true]')
    assert pressed.all_text_contents() == ['Correct', 'False alarm']
    with page.expect_download() as download:
        page.locator('#export-json').click()
    content = json.loads(download.value.path().read_bytes())
    (video,) = content['videos']
    assert (video['video'], video['reviewed'], video['frames']) == ('cam 1/a.mp4', True, 101)
    spans = [(mark['kind'], mark['start'], mark['end']) for mark in video['marks']]
    assert spans == [
        ('missed', 0, 5),
        ('correct', events[0].start, events[0].end),
        ('false alarm', events[1].start, events[1].end),
    ]
    assert video['marks'][0]['end_s'] == pytest.approx(TIMES[5])
    annotation = convert_marks([download.value.path()], 'Theft').temporal_lines()
    event = events[0]
    assert annotation == f'cam 1/a.mp4  Theft  0  5  Riot  {event.start}  {event.end}\n'
    index = open_page(report['index'], page.context)
    with index.expect_download() as download:
        index.locator('#export-csv').click()
    rows = list(csv.DictReader(download.value.path().read_bytes().decode().splitlines()))
    assert [(row['video'], row['kind'], row['start'], row['label']) for row in rows] == [
        ('cam 1/a.mp4', 'missed', '0', ''),
        ('cam 1/a.mp4', 'correct', str(events[0].start), 'Riot'),
        ('cam 1/a.mp4', 'false alarm', str(events[1].start), 'Riot'),
    ]
    formulas = [{'video': name, 'reviewed': True, 'marks': [{'label': '@a', 'score': -1}]} for name in ('=1+1', 'a=1')]
    table = index.evaluate('states => VADLab.marksAsCsv(states)', formulas)
    rows = list(csv.DictReader(table.splitlines()))
    assert [(row['video'], row['label'], row['score']) for row in rows] == [
        ("'=1+1", "'@a", '-1'),
        ('a=1', "'@a", '-1'),
    ]
    index.locator('#f-reviewed').select_option('yes')
    assert index.locator('#shown').text_content() == '1 of 4 videos'
    assert index.locator('.video:visible .done').is_visible()
    index.locator('.video:visible h2 a').click()
    index.locator('#marks .remove').first.click()
    assert index.locator('#marks li').count() == 2


def test_a_link_carries_marks_to_the_list_where_files_do_not_share_their_storage(open_page, report):
    """As in Firefox; here a new context of the browser has none of the marks."""
    page = open_page(report['a'])
    assert page.locator('#apart').is_visible()
    page.locator('#reviewed').check()
    page.get_by_role('button', name='Correct').first.click()
    link = page.locator('#to-list').evaluate('link => link.href')
    other = open_page(report['index'])
    assert other.locator('.done:visible').count() == 0
    follow(other, link)
    assert other.locator('.done:visible').count() == 1
    assert not other.url.partition('#')[2]
    with other.expect_download() as download:
        other.locator('#export-json').click()
    (video,) = json.loads(download.value.path().read_text())['videos']
    assert (video['video'], video['reviewed'], len(video['marks'])) == ('cam 1/a.mp4', True, 1)
    for bad in ('%', '[]', '{"name": "cam 1/a.mp4"}', '{"name": "no", "state": {"marks": []}}',
                '{"name": "cam 1/a.mp4", "state": {"reviewed": "<b>", "marks": [{"kind": "<script>"}]}}'):  # fmt: skip
        follow(other, f'{report["index"].as_uri()}#marks={bad if bad == "%" else quote(bad)}')
        assert other.locator('#shown').text_content() == '4 of 4 videos'
    assert open_page(report['a'], other.context).locator('#apart').is_hidden()


def test_a_screen_reader_is_told_what_is_seen_and_keeps_its_place(open_page, report):
    page = open_page(report['a'])
    event, other = report['result'].events
    jump = page.get_by_role('list', name='Events').get_by_role('button', name='Jump to event').nth(0)
    assert jump.get_attribute('aria-label') == (
        f'Jump to event 1, Riot, 0:0{event.start_s:.1f} – 0:0{event.end_s:.1f}, score {event.score:.3f}, Riot rises, '
        'overlaps truth'
    )
    position = page.get_by_role('slider', name='Position in the video')
    jump.press('Enter')
    wait_for_frame(page, event.peak)
    assert f'frame {event.peak}, score {event.score:.3f}' in position.get_attribute('aria-valuetext')
    alarm = page.get_by_role('button', name='False alarm, event 2')
    alarm.press('Enter')
    assert alarm.get_attribute('aria-pressed') == 'true'
    assert alarm.evaluate('button => button === document.activeElement')  # the list was made again
    page.get_by_role('button', name=f'Remove the mark false alarm at 0:0{other.start_s:.1f}').press('Enter')
    assert page.locator('#missed').evaluate('button => button === document.activeElement')
    # What changes with each frame is not spoken while the video plays.
    spoken = '[role=status], [aria-live=polite], output:not([aria-live=off])'
    assert page.locator(spoken).evaluate_all('all => all.map((one) => one.id)') == ['verdict']


def test_a_frame_without_boxes_is_told_apart_from_hidden_boxes(open_page, report):
    page = open_page(report['a'])
    page.evaluate('VADLab.boxesAt = () => []')
    page.keyboard.press('.')
    page.wait_for_timeout(400)
    assert page.locator('#reasons').text_content().strip() == 'No boxes in this frame.'
    page.keyboard.press('b')
    page.wait_for_timeout(200)
    assert page.locator('#reasons').text_content().strip() == ''


def test_boxes_follow_the_playing_picture(open_page, report):
    """Oracle: the boxes of Python, and orange pixels on the screen."""
    page = open_page(report['a'])
    result = report['result']
    boxes = BoxFrames(result)
    found = page.evaluate(f'[...Array({len(TIMES)}).keys()].map(frame => VADLab.boxesAt(frame))')
    for frame, shown in enumerate(found):
        expected = boxes.at(frame)
        assert [box['label'] for box in shown] == [box.label for box in expected] == ['person <b>']
        corners = np.array(expected[0].corners) / [128, 96, 128, 96]
        assert np.abs(np.array(shown[0]['corners']) - corners).max() < 1e-6
    assert page.locator('#reasons').text_content().strip() == 'person <b>: <i>fast</i> in 0'
    places = []
    for _ in range(2):
        page.keyboard.press('Shift+ArrowRight' if places else 'n')
        page.wait_for_timeout(400)
        frame = frame_of(page)
        picture = shot(page, '#stage').astype(int)
        width = picture.shape[0] * 128 / 96
        left = (picture.shape[1] - width) / 2
        x1, y1, x2, y2 = np.array(boxes.at(frame)[0].corners) / [128, 96, 128, 96]
        row = picture[round((y1 + y2) / 2 * picture.shape[0])]
        orange = np.flatnonzero(np.abs(row - [217, 72, 22]).sum(axis=1) < 60)
        assert abs(orange.min() - (left + x1 * width)) < 3
        assert abs(orange.max() - (left + x2 * width)) < 3
        places.append(int(orange.min()))
    assert places[1] > places[0] + 50
    page.keyboard.press('b')
    assert page.locator('#boxes').get_attribute('data-count') == '0'


def test_hostile_texts_stay_text(open_page, report):
    page = open_page(report['hostile'])
    assert page.locator('h1').text_content() == HOSTILE
    assert page.locator('#events strong').first.text_content() == HOSTILE
    assert page.locator('#events .reason').first.text_content() == HOSTILE
    page.locator('#events .mark').first.click()
    assert HOSTILE in page.locator('#marks').text_content()
    page.locator('.about summary').click()
    assert page.locator('ul.inline li').first.text_content() == HOSTILE
    index = open_page(report['index'], page.context)
    assert index.locator(f'.video[data-name={json.dumps(HOSTILE)}] h2').text_content() == HOSTILE
    failed = open_page(report['failed'], page.context)
    assert HOSTILE in failed.locator('[role=alert]').text_content()
    for one in (page, index, failed):
        assert one.evaluate('window.hacked') is None
        assert one.locator('img[src=x]').count() == 0


def test_list_is_filtered_sorted_and_previews(open_page, report):
    page = open_page(report['index'])

    def shown():
        return page.locator('.video:visible').evaluate_all('rows => rows.map(row => row.dataset.name)')

    assert shown() == ['cam 1/a.mp4', HOSTILE, LONG, 'broken.mp4']
    page.locator('#f-sort').select_option('duration')
    assert shown()[0] == LONG
    page.locator('#f-class').select_option('Riot')
    assert shown() == ['cam 1/a.mp4']
    page.locator('#f-class').select_option('')
    page.locator('#f-score').fill('0.8')
    assert LONG not in shown()
    assert 'cam 1/a.mp4' in shown()
    page.locator('#f-score').fill('')
    page.locator('#f-text').fill('CAM 1')
    assert shown() == ['cam 1/a.mp4']
    page.locator('#f-text').fill('')
    page.locator('#f-events').select_option('error')
    assert shown() == ['broken.mp4']
    page.locator('#f-text').fill('nothing like it')
    assert page.locator('#empty').is_visible()
    page.locator('#f-reset').click()
    assert len(shown()) == 4
    page.locator('#f-sort').select_option('name')
    cover = page.locator('.video[data-name="cam 1/a.mp4"] .cover')
    cover.scroll_into_view_if_needed()
    box = cover.bounding_box()
    numbers = []
    for share in (0.05, 0.95):
        page.mouse.move(box['x'] + share * box['width'], box['y'] + 40)
        page.wait_for_timeout(100)
        numbers.append(read_number(shot(page, '.video[data-name="cam 1/a.mp4"] .frame')))
    assert numbers == [5, 95]  # the middle of the first and of the last tenth
    page.mouse.move(0, 0)
    page.locator('.video h2 a').nth(shown().index('cam 1/a.mp4')).click()
    page.wait_for_url('**/pages/**')
    page.keyboard.press('[')
    page.wait_for_url(lambda url: 'cam' not in url)
    page.locator('#to-list').click()
    page.wait_for_url('**/index.html')
    assert page.locator('#f-sort').input_value() == 'name'


def test_three_hours_are_drawn_whole(open_page, report):
    page = open_page(report['long'])
    page.wait_for_function('document.querySelectorAll("#events .event").length > 10')
    curve = shot(page, '#curve')
    assert (np.abs(curve.astype(int) - [31, 95, 174]).sum(axis=2) < 60).any(axis=0).mean() > 0.9
    page.locator('#zoom-in').click()
    page.keyboard.press('n')
    assert frame_of(page) > 0
    assert page.locator('.novideo').text_content().startswith('No video: There is no video')


@pytest.mark.parametrize('scheme', ['light', 'dark'])
def test_phone_width_and_both_colour_schemes(open_page, report, scheme):
    page = open_page(report['index'], viewport={'width': 360, 'height': 740}, color_scheme=scheme)
    for path in (report['index'], report['a'], report['hostile'], report['long'], report['failed']):
        page.goto(path.as_uri())
        assert page.evaluate('document.documentElement.scrollWidth') <= 360, path.name
        colours = page.evaluate(
            '[getComputedStyle(document.body).backgroundColor, getComputedStyle(document.body).color]'
        )
        back, ink = ([int(part) for part in text[4:-1].split(',')[:3]] for text in colours)
        assert (sum(back) < 150 < 600 < sum(ink)) if scheme == 'dark' else (sum(ink) < 150 < 600 < sum(back))
    page.goto(report['a'].as_uri())
    assert page.locator('#cursor').bounding_box()['width'] > 250
    page.locator('#classes summary').click()
    page.wait_for_timeout(100)
    assert (shot(page, '#class-curves').std(axis=(0, 1)) > 1).any()


def test_curve_is_drawn_in_its_place(open_page, report):
    """Oracle: the highest point of the curve is at the time of the highest score."""
    page = open_page(report['a'])
    page.mouse.move(0, 0)
    picture = shot(page, '#curve').astype(int)
    blue = np.abs(picture - [31, 95, 174]).sum(axis=2) < 60
    top = np.flatnonzero(blue.any(axis=1))[0]
    x = np.flatnonzero(blue[top]).mean() / picture.shape[1]
    result = report['result']
    assert x == pytest.approx(result.times[result.scores.argmax()] / result.duration_s, abs=0.01)
    assert LIMITS.high == 0.6
