"""The wall: states of cameras as tools/watch.py writes them, their pictures and clips; and no other file."""

import itertools
import json
import threading

import pytest

from vadlab.apis.service.camera_wall import CameraWall
from vadlab.apis.service.uploads import RefusedError
from vadlab.structures.camera_state import PICTURE_FILE, CameraEvent, CameraState, OpenEvent, append_event, save_curve
from vadlab.utils.atomic import write_bytes

from .running import running


def write_camera(folder, name, **more):
    """Files of a camera with two events, of which one has a clip."""
    camera = folder / name
    (camera / 'clips').mkdir(parents=True)
    values = dict(
        size=(240, 320), source_fps=25.0, scored_fps=5.0, read=1000, scored=200, dropped=800, lag_s=0.2,
        latency_median_s=0.1, latency_p99_s=0.4, score=0.7, threshold=0.6, events=2, updated=1000.0,
    )  # fmt: skip
    CameraState(name, **{'state': 'live', **values, **more}).save(camera)
    (camera / 'latest.jpg').write_bytes(b'\xff\xd8\xff picture')
    (camera / 'clips' / 'a.mp4').write_bytes(b'clip')
    save_curve(camera, [(990.0, 0.2), (995.0, 0.7)])
    append_event(camera, CameraEvent(name, 900.0, 910.0, 905.0, 0.8, 'Fire', clip='clips/a.mp4'))
    append_event(camera, CameraEvent(name, 950.0, 960.0, 955.0, 0.9, None, clip='clips/deleted.mp4'))
    return camera


def test_cameras_are_listed_with_curve_and_events_newest_first(tmp_path):
    write_camera(tmp_path, 'door-10')
    write_camera(tmp_path, 'door-2', state='reconnecting', message='no answer', open_event=OpenEvent(990.0, 995.0, 0.9))
    first, second = CameraWall(tmp_path).cameras()
    assert (first['name'], second['name']) == ('door-2', 'door-10')
    assert (first['state'], first['message'], first['open_event']['score']) == ('reconnecting', 'no answer', 0.9)
    assert second['curve'] == [(990.0, 0.2), (995.0, 0.7)]
    assert [event['score'] for event in second['last_events']] == [0.9, 0.8]
    assert [event['clip'] for event in second['last_events']] == [None, '/api/cameras/door-10/clips/a.mp4']
    assert second['picture'] == '/api/cameras/door-10/latest.jpg'
    json.dumps([first, second], allow_nan=False)


def test_a_camera_that_cannot_be_read_is_named_and_the_others_are_shown(tmp_path):
    write_camera(tmp_path, 'good')
    (write_camera(tmp_path, 'torn') / 'status.json').write_text('{"name": ')
    (write_camera(tmp_path, 'bent') / 'curve.json').write_text('[[1]]')
    bent, good, torn = CameraWall(tmp_path).cameras()
    assert 'is not valid JSON' in torn['problem']
    assert 'is not the curve of a camera' in bent['problem']
    assert (bent['state'], bent['curve']) == ('live', [])
    assert good['problem'] == ''


def test_without_a_folder_there_are_no_cameras(tmp_path):
    assert CameraWall(None).cameras() == []
    assert CameraWall(tmp_path / 'later').cameras() == []
    with pytest.raises(RefusedError):
        CameraWall(None).file('door', 'latest.jpg')


@pytest.mark.parametrize(
    ('name', 'part'),
    [
        ('..', 'latest.jpg'), ('.', 'latest.jpg'), ('', 'latest.jpg'), ('a/b', 'latest.jpg'), ('door', 'status.json'),
        ('door', 'clips/../status.json'), ('door', 'clips/.hidden.mp4'), ('door', 'clips/a.txt'), ('door', '../x.mp4'),
        ('door', 'clips/a/b.mp4'), ('door', '/etc/passwd'), ('door', 'clips/\0.mp4'),
    ],
)  # fmt: skip
def test_only_pictures_and_clips_are_served(tmp_path, name, part):
    write_camera(tmp_path, 'door')
    with pytest.raises(RefusedError):
        CameraWall(tmp_path).file(name, part)


def test_a_picture_that_is_replaced_while_it_is_read_is_whole(tmp_path):
    write_camera(tmp_path / 'out', 'door')
    path, pictures = tmp_path / 'out' / 'door' / PICTURE_FILE, [bytes(90_000), bytes(7)]
    path.write_bytes(pictures[0])
    stop = threading.Event()

    def replace():
        for picture in itertools.cycle(pictures):
            if stop.is_set():
                return
            write_bytes(path, picture)

    thread = threading.Thread(target=replace)
    with running(tmp_path / 'data', watch=tmp_path / 'out') as service:
        thread.start()
        try:
            for _ in range(100):
                assert service.ask('GET', f'/api/cameras/door/{PICTURE_FILE}')[2] in pictures
        finally:
            stop.set()
            thread.join()


def test_the_wall_over_http(tmp_path):
    write_camera(tmp_path / 'out', 'door')
    with running(tmp_path / 'data', watch=tmp_path / 'out') as service:
        (camera,) = json.loads(service.ask('GET', '/api/cameras')[2])['cameras']
        status, headers, content = service.ask('GET', f'{camera["picture"]}?t=1000.0')
        assert (status, headers['Content-Type'], content) == (200, 'image/jpeg', b'\xff\xd8\xff picture')
        status, headers, content = service.ask('GET', camera['last_events'][1]['clip'], headers={'Range': 'bytes=1-2'})
        assert (status, headers['Content-Type'], content) == (206, 'video/mp4', b'li')
        assert service.error('GET', '/api/cameras/door/clips/deleted.mp4') == (404, 'unknown')
        assert service.error('GET', '/api/cameras/door/status.json') == (404, 'unknown')
        assert service.error('GET', '/api/cameras/%2e%2e/latest.jpg') == (404, 'unknown')
