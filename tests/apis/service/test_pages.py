"""The pages of the service in a real browser."""

import json
import re
import shutil
import time

import pytest
from PIL import Image

from vadlab.structures.camera_state import CameraState, OpenEvent

from .running import running
from .test_access import TOKEN
from .test_camera_wall import write_camera

CHROMIUM = next(filter(None, map(shutil.which, ('chromium', 'chromium-browser', 'google-chrome'))), None)
playwright = pytest.importorskip('playwright.sync_api', reason='playwright is missing: pip install playwright')
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason='no Chromium: apt-get install chromium')

OURS = ('http://127.0.0.1:', 'data:')
HOSTILE = '"><img src=x onerror=window.hacked=1>.mp4'


@pytest.fixture(scope='module')
def browser():
    with playwright.sync_playwright() as tool:
        found = tool.chromium.launch(executable_path=CHROMIUM, args=['--no-sandbox', '--disable-gpu'])
        yield found
        found.close()


@pytest.fixture
def open_page(browser):
    """Opens a page; at the end its console must be silent, and nothing may have come from elsewhere."""
    noise, contexts = [], []

    def make(url, **options):
        context = browser.new_context(viewport={'width': 390, 'height': 800}, **options)
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(60_000)
        page.on('console', lambda message: noise.append(message.text))
        page.on('pageerror', lambda error: noise.append(str(error)))
        page.on('request', lambda request: request.url.startswith(OURS) or noise.append(request.url))
        page.goto(url)
        return page

    yield make
    for context in contexts:
        context.close()
    assert noise == []


def fits(page):
    return page.evaluate('document.documentElement.scrollWidth <= innerWidth')


def test_a_video_is_chosen_scored_and_deleted(service, open_page, video):
    page = open_page(f'http://127.0.0.1:{service.port}/')
    page.set_input_files('#files', {'name': HOSTILE, 'mimeType': 'video/mp4', 'buffer': video.read_bytes()})
    card = page.locator('#jobs .job', has_text='onerror')
    card.get_by_text('1 event, 0.3 s').wait_for()
    assert card.locator('h3').text_content() == HOSTILE
    assert page.evaluate('window.hacked') is None
    assert fits(page)
    assert page.locator('#uploads .job').count() == 0
    assert page.locator('#model').text_content() == 'Fake · a.pth · all · threshold 0.500'
    assert service.ask('GET', card.get_by_role('link', name='Report').get_attribute('href'))[2] == b'<p>page</p>'
    page.on('dialog', lambda dialog: dialog.accept())
    card.get_by_role('button', name='Delete').click()
    card.wait_for(state='detached')


def test_what_is_not_taken_and_what_fails_is_said(service, open_page, video):
    page = open_page(f'http://127.0.0.1:{service.port}/')
    page.locator('#limits', has_text='Up to 2 GiB and 4 h each').wait_for()
    files = {'none.mp4': b'', 'bad.mp4': video.read_bytes()}
    shown = [{'name': name, 'mimeType': 'video/mp4', 'buffer': content} for name, content in files.items()]
    page.set_input_files('#files', shown)
    page.locator('#uploads .job', has_text='none.mp4').get_by_text('The file is empty.').wait_for()
    page.locator('#jobs .job', has_text='bad.mp4').get_by_text('bad.mp4: damaged').wait_for()
    assert fits(page)


def test_a_video_is_dropped_anywhere_and_the_keyboard_reaches_everything(service, open_page, video):
    service.hold()
    page = open_page(f'http://127.0.0.1:{service.port}/', color_scheme='dark')
    page.evaluate(
        """content => {
          const files = new DataTransfer();
          files.items.add(new File([new Uint8Array(content)], 'half dropped.mp4', {type: 'video/mp4'}));
          for (const kind of ['dragover', 'drop']) {
            document.body.dispatchEvent(new DragEvent(kind, {bubbles: true, cancelable: true, dataTransfer: files}));
          }
        }""",
        list(video.read_bytes()),
    )
    card = page.locator('#jobs .job', has_text='half dropped.mp4')
    card.get_by_text('scoring, 50 %').wait_for()
    assert card.get_by_role('progressbar', name='Progress of half dropped.mp4').get_attribute('value') == '0.5'
    service.go_on()
    card.get_by_text('1 event, 0.3 s').wait_for()
    reached = []
    for _ in range(5):
        page.keyboard.press('Tab')
        reached.append(page.evaluate('document.activeElement.id || document.activeElement.textContent'))
    assert reached[0] == 'files'
    assert reached[1:4] == ['Report of half dropped.mp4', 'JSON of half dropped.mp4', 'Delete half dropped.mp4']


def test_the_page_asks_for_the_token_once(tmp_path, open_page):
    with running(tmp_path / 'data', token=TOKEN, host='0.0.0.0') as service:
        page = open_page(f'http://127.0.0.1:{service.port}/')
        assert page.url.endswith('/login?next=%2F')
        assert fits(page)
        page.fill('#token', TOKEN)
        page.keyboard.press('Enter')
        page.get_by_text('No video yet.').wait_for()
        page.get_by_role('button', name='Log out').click()
        page.wait_for_url('**/login')
        page.goto(f'http://127.0.0.1:{service.port}/wall')
        assert page.url.endswith('/login?next=%2Fwall')


def test_the_wall_shows_cameras_events_and_missing_news(tmp_path, open_page):
    now = time.time()
    for name, more in {
        'gate': {'open_event': OpenEvent(now - 30, now - 10, 0.9, '<b>Fire</b>', 'yard')},
        'door': {'updated': now - 60},
        'lost': {'state': 'reconnecting', 'message': '<i>no answer</i>'},
    }.items():
        camera = write_camera(tmp_path / 'out', name, **{'updated': now + 3600, **more})
        Image.new('RGB', (64, 48), 'green').save(camera / 'latest.jpg')
        (camera / 'curve.json').write_text(json.dumps([[now - 900 + 5 * i, 0.5] for i in range(180)]))
    with running(tmp_path / 'data', watch=tmp_path / 'out') as service:
        page = open_page(f'http://127.0.0.1:{service.port}/wall')
        page.get_by_text('1 of 3 live, 1 with an event now').wait_for()
        gate, door, lost = (page.locator('.camera', has_text=name) for name in ('gate', 'door', 'lost'))
        assert gate.locator('.open').text_content().startswith('<b>Fire</b> in yard since ')
        assert gate.get_attribute('data-alarm') is not None
        assert re.fullmatch(r'no news for \d+ (s|min)', door.locator('.tag').text_content())
        assert lost.locator('.error').text_content() == '<i>no answer</i>'
        gate.get_by_role('img', name='Latest picture of gate').wait_for()
        for _ in range(200):  # pictures load on their own
            widths = page.evaluate('[...document.querySelectorAll(".camera img")].map(image => image.naturalWidth)')
            if widths == [64] * 3:
                break
            page.wait_for_timeout(100)
        assert widths == [64] * 3
        assert gate.locator('.chart path').get_attribute('d').count('L') > 170
        assert gate.get_by_role('link', name='clip').count() == 1
        assert gate.get_by_role('link', name='clip').is_visible()
        assert fits(page)
        CameraState('gate', 'ended', 'the source is over', updated=now).save(tmp_path / 'out' / 'gate')
        gate.get_by_text('the source is over').wait_for()
        page.get_by_text('0 of 3 live').wait_for()
        assert 'latency 100 ms (99 %: 400 ms)' in door.locator('.numbers').text_content()
