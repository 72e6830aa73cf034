"""Reading cameras: a server over HTTP, files, and sources that are none. Counts are exact, times are not asserted."""

import random
import socket
import threading
import time

import numpy as np
import pytest

from tests.apis.live.camera_server import CameraServer, until, write_file
from tests.apis.live.rtsp_server import RTSPServer
from vadlab.apis.live import camera_reader
from vadlab.apis.live.camera_reader import CameraReader, _SourceClock
from vadlab.apis.live.camera_specs import CameraSpec


def reader_of(address, rate=1e6, context=1, **options):
    notes = []
    options = {'pauses_s': (0.1, 0.2), **options}
    reader = CameraReader(
        CameraSpec('cam', str(address)), rate, context, threading.Condition(), on_note=notes.append, **options
    )
    return reader, notes


def grey_of(frame):
    return round(float(np.median(frame.frames[-1].to_ndarray(format='gray'))))


def test_every_frame_of_a_file_is_taken_dropped_or_skipped(tmp_path):
    path = write_file(tmp_path / 'a.mp4', 1.0)
    reader, _ = reader_of(path, speed=4)
    reader.start()
    taken = []
    while not (reader.is_over and not reader.has_frame):
        if (frame := reader.take()) is not None:
            taken.append(frame)
        time.sleep(0.001)
    assert (reader.state, reader.message, reader.size) == ('ended', 'the file is over', (48, 64))
    assert reader.read == 30
    assert len(taken) + reader.dropped + reader.skipped == 30
    numbers = [frame.number for frame in taken]
    assert numbers == sorted(set(numbers))
    assert all(frame.arrival <= frame.decoded for frame in taken)


def test_only_the_newest_frame_is_kept(tmp_path):
    path = write_file(tmp_path / 'a.mp4', 1.0)
    reader, _ = reader_of(path, speed=20)
    reader.start()
    reader.join(20)
    assert reader.dropped == 30 - 1
    assert reader.take().number == 29
    assert reader.take() is None


def test_a_rate_takes_evenly_spaced_frames(tmp_path):
    path = write_file(tmp_path / 'a.mp4', 2.0)
    reader, notes = reader_of(path, rate=5.0)
    reader.start()
    reader.join(30)
    assert reader.read == 60
    assert reader.dropped == 60 - reader.skipped - 1
    # 2 seconds at 5 per second; one more or less where the first frame falls. A machine that stalls drops others.
    assert 1 <= 60 - reader.skipped <= 12 or notes


def test_a_method_with_context_gets_consecutive_frames(tmp_path):
    path = write_file(tmp_path / 'a.mp4', 1.0, grey=lambda s: 40 + round(s * 30) * 4)
    reader, _ = reader_of(path, context=4, speed=20)
    reader.start()
    reader.join(20)
    frame = reader.take()
    greys = [np.median(one.to_ndarray(format='gray')) for one in frame.frames]
    assert len(greys) == 4
    np.testing.assert_allclose(np.diff(greys), 4, atol=1)
    assert reader.skipped == 3  # the first ones have no three before them


def test_a_camera_that_comes_back_with_another_size_is_read_again():
    with CameraServer() as server:
        reader, notes = reader_of(server.address)
        reader.start()
        until(lambda: reader.state == 'live' and reader.read > 5)
        assert reader.size == (48, 64)
        server.kill()
        until(lambda: reader.state == 'reconnecting')
        with server.again(size=(96, 128), grey=lambda s: 200):
            until(lambda: reader.state == 'live')
            until(lambda: reader.has_frame)
            frame = reader.take()
            assert (frame.size, reader.size, frame.connection) == ((96, 128), (96, 128), 2)
            assert abs(grey_of(frame) - 200) < 12
            assert reader.reconnects >= 1
        reader.stop()
        until(lambda: not reader.is_alive())
    assert any('frames are now 128x96, not 64x48' in note for note in notes)
    assert any(note.startswith('lost: ') for note in notes)
    assert 'is back' in notes


def test_pauses_grow_while_nothing_answers():
    free = socket.create_server(('127.0.0.1', 0))
    port = free.getsockname()[1]
    free.close()
    reader, notes = reader_of(f'http://127.0.0.1:{port}/', pauses_s=(0.01, 1.0, 5.0, 60.0))
    reader.start()
    until(lambda: len(notes) == 3)
    reader.stop()
    reader.join(20)
    assert notes[0].endswith('next try in 0 s')
    assert all('nothing listens there (connection refused)' in note for note in notes)
    assert reader.reconnects >= 2
    assert reader.final_fault == ''  # it may come up later


@pytest.mark.parametrize(
    ('name', 'content', 'message'),
    [
        ('a.mp4', b'no video' * 100, 'it is not a video'),
        ('a.mp4', b'', 'it is not a video'),
        ('none.mp4', None, 'there is no such file'),
        ('.', None, 'it is a folder'),
    ],
)
def test_a_source_that_is_no_video_is_final(tmp_path, name, content, message):
    if content is not None:
        (tmp_path / name).write_bytes(content)
    reader, _ = reader_of(tmp_path / name)
    reader.start()
    reader.join(20)
    assert message in reader.final_fault
    assert reader.state == 'failed'


def test_an_rtsp_camera_is_read_with_its_password():
    with RTSPServer() as server:
        reader, _ = reader_of(f'rtsp://anna:hunter22@127.0.0.1:{server.port}/one')
        reader.start()
        until(lambda: reader.read > 10)
        assert (reader.state, reader.size) == ('live', (96, 128))
        assert abs(grey_of(reader.take()) - 60) < 8
        reader.stop()
        until(lambda: not reader.is_alive())


def test_a_wrong_password_is_final_and_never_printed(capfd):
    with RTSPServer(password='right') as server:
        reader, notes = reader_of(f'rtsp://anna:hunter22@127.0.0.1:{server.port}/one')
        reader.start()
        reader.join(30)
        assert any(method == 'DESCRIBE' and login for method, login in server.asked)  # it was sent, and refused
    assert reader.final_fault == 'the login was refused (401). Check the user and the password'
    shown = ''.join([*capfd.readouterr(), *notes, reader.message, repr(reader.spec), reader.spec.shown])
    assert 'hunter22' not in shown
    assert 'anna:***@127.0.0.1' in shown


@pytest.mark.parametrize('password', ['s3#cret', 's3/cret', 's3?cret'])
def test_a_password_that_cuts_the_address_is_named_and_never_printed(password):
    reader, _ = reader_of(f'rtsp://anna:{password}@127.0.0.1:1/one')
    reader.start()
    reader.join(30)
    assert 'Write %2F, %3F, %23 in the address' in reader.final_fault
    assert 'cret' not in reader.final_fault + reader.message


def test_a_login_with_percent_codes_is_safe():
    assert not CameraSpec('door', 'http://10.0.0.5/1').has_unsafe_login
    assert not CameraSpec('door', 'rtsp://anna:a%23b@10.0.0.5/1').has_unsafe_login


def test_packets_are_skipped_to_a_keyframe_if_decoding_is_too_slow(tmp_path, monkeypatch):
    """A decoder at a tenth of the needed speed, in simulated time: frames are never far behind."""
    path = write_file(tmp_path / 'a.mp4', 4.0, keyframes=15)
    monkeypatch.setattr(camera_reader, '_MOST_BEHIND_S', 0.1)
    monkeypatch.setattr(camera_reader, '_CATCH_UP_S', 0.1)
    monkeypatch.setattr(camera_reader, '_CAUGHT_UP_S', 0.03)
    reader, notes = reader_of(path, speed=4)
    add, backlogs = reader._add, []

    def slow(frame, arrival, backlog_s):
        backlogs.append(backlog_s)
        time.sleep(0.05)
        add(frame, arrival, backlog_s)

    monkeypatch.setattr(reader, '_add', slow)
    reader.start()
    reader.join(60)
    assert reader.read == 120
    assert reader.dropped + reader.skipped == 119
    assert len(backlogs) < 100  # not all were decoded
    assert any('too slow to catch up' in note for note in notes)


def test_a_clock_that_runs_fast_is_no_backlog():
    clock = _SourceClock(is_file=False, speed=1.0)
    for second in range(1000):  # a camera whose clock gains 1 %
        clock.arrived(second * 1.01, float(second), waited_s=0.5)
        assert clock.backlog_s == 0.0
    for second in range(1000, 1003):  # now packets queue up: no wait, and the reader is slower
        clock.arrived(second * 1.0, float(2 * second - 1000), waited_s=0.0)
    assert clock.backlog_s > 1.0


def test_a_device_is_read_with_opencv(monkeypatch, tmp_path):
    """OpenCV's capture is replaced: there is no camera where tests run."""
    pictures = [np.full((48, 64, 3), value, np.uint8) for value in (10, 20, 30)]

    class Capture:
        def __init__(self, address, api):
            pass

        def isOpened(self):
            return True

        def read(self):
            return (True, pictures.pop(0)) if pictures else (False, None)

        def release(self):
            pass

    monkeypatch.setattr('cv2.VideoCapture', Capture)
    monkeypatch.setattr('os.path.exists', lambda path: True)
    reader, _ = reader_of('/dev/video0')
    state = random.getstate()
    reader.start()
    until(lambda: reader.reconnects > 0)  # all pictures are read
    assert grey_of(reader.take()) == 30
    assert random.getstate() == state
    reader.stop()
    reader.join(20)
