"""The folder of a camera on disk; expected values are written by hand."""

import json
import os

import pytest

from vadlab.structures.camera_state import (
    CameraEvent,
    CameraState,
    OpenEvent,
    UnwrittenEvent,
    append_event,
    camera_name_fault,
    cameras_in,
    load_curve,
    load_events,
    save_curve,
    utc_text,
)
from vadlab.utils.errors import DataError, MissingFileError

EVENT = CameraEvent(
    'door', 1_700_000_000.0, 1_700_000_004.0, 1_700_000_001.5, 0.9, 'Fighting', 'rises', 'gate', 'clips/a.mp4', 'cut'
)
STATE = CameraState(
    'door', 'live', '', 'rtsp://cam/1', (240, 320), 29.97, 5.0, 300, 50, 240, 10, 2, 0.25, 0.04, 0.19, 0.0, 0.5, 0.8,
    OpenEvent(1_700_000_000.0, 1_700_000_001.5, 0.9, 'Fighting', 'gate'), 3, 1, 1_700_000_002.25,
    (UnwrittenEvent(EVENT, True, False),),
)  # fmt: skip


def test_a_saved_state_is_read_with_every_value(tmp_path):
    path = STATE.save(tmp_path / 'door')
    assert path == tmp_path / 'door' / 'status.json'
    assert CameraState.load(tmp_path / 'door') == STATE
    none = CameraState('a', 'failed', 'no such address')
    none.save(tmp_path / 'a')
    assert CameraState.load(tmp_path / 'a') == none
    assert cameras_in(tmp_path) == ['a', 'door']


@pytest.mark.parametrize(
    ('changes', 'message'),
    [
        ({'state': 'asleep'}, "state 'asleep' is not one of live"),
        ({'name': '../x'}, 'cannot name a camera'),
        ({'version': 2}, 'version 2, which this version'),
        ({'size': [1, 2, 3]}, 'not a height and a width'),
        ({'updated': -1}, 'not a time'),
        ({'read': '3'}, "read is '3', not a whole number"),
        ({'open_event': {'start': 1}}, "open_event has no 'peak'"),
        ({'unwritten': [{'event': {}, 'is_open': True}]}, r"unwritten\[0\] has no 'is_told'"),
        ({'unwritten': [{'event': {}, 'is_open': True, 'is_told': True}]}, 'unwritten: not the event of a camera'),
    ],
)
def test_a_damaged_state_is_refused(tmp_path, changes, message):
    path = STATE.save(tmp_path)
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))
    with pytest.raises(DataError, match=message):
        CameraState.load(tmp_path)


def test_an_event_is_a_line_with_its_times_as_text_too(tmp_path):
    path = append_event(tmp_path / 'door', EVENT)
    append_event(tmp_path / 'door', CameraEvent('door', 5, 6, 5, 0.8))
    first, second = path.read_text().splitlines()
    assert json.loads(first) == {
        'camera': 'door', 'start': 1_700_000_000.0, 'end': 1_700_000_004.0, 'peak': 1_700_000_001.5, 'score': 0.9,
        'label': 'Fighting', 'reason': 'rises', 'zone': 'gate', 'clip': 'clips/a.mp4', 'note': 'cut',
        'start_utc': '2023-11-14T22:13:20.000Z', 'end_utc': '2023-11-14T22:13:24.000Z',
        'peak_utc': '2023-11-14T22:13:21.500Z',
    }  # fmt: skip
    assert json.loads(second)['clip'] is None
    assert load_events(tmp_path / 'door') == ([EVENT, CameraEvent('door', 5, 6, 5, 0.8)], 0)
    assert load_events(tmp_path / 'door', most=1) == ([CameraEvent('door', 5, 6, 5, 0.8)], 0)
    assert load_events(tmp_path / 'gate') == ([], 0)


def test_a_line_that_a_full_disk_cut_off_costs_one_event(tmp_path):
    path = append_event(tmp_path, EVENT)
    whole = path.read_bytes()
    path.write_bytes(whole + whole[:40])
    assert load_events(tmp_path) == ([EVENT], 0)  # that line may be in the course of being written
    append_event(tmp_path, EVENT)
    assert path.read_bytes() == whole + whole[:40] + b'\n' + whole
    assert load_events(tmp_path) == ([EVENT, EVENT], 1)


def test_only_the_end_of_a_long_file_of_events_is_read(tmp_path):
    line = append_event(tmp_path, EVENT).read_bytes()
    (tmp_path / 'events.jsonl').write_bytes(line * (3 * 2**20 // len(line)))
    events, damaged = load_events(tmp_path, most=10**6)
    assert damaged == 0
    assert 2**20 // len(line) - 1 <= len(events) <= 2**20 // len(line)


@pytest.mark.parametrize('clip', ['../a.mp4', '/etc/passwd', 'clips/../../a.mp4', 'clips', 'clips/..', 'a/b.mp4'])
def test_a_clip_outside_the_folder_is_refused(clip):
    with pytest.raises(DataError, match='not in the folder clips'):
        CameraEvent.from_json({**EVENT.to_json(), 'clip': clip})


def test_a_pipe_in_the_place_of_events_does_not_block(tmp_path):
    os.mkfifo(tmp_path / 'events.jsonl')
    with pytest.raises(DataError, match='not a regular file'):
        load_events(tmp_path)


def test_a_curve_keeps_its_last_hour(tmp_path):
    save_curve(tmp_path, [(float(i), i / 1000) for i in range(1000)])
    curve = load_curve(tmp_path)
    assert len(curve) == 720
    assert (curve[0], curve[-1]) == ((280.0, 0.28), (999.0, 0.999))
    (tmp_path / 'curve.json').write_text('[[1.0]]')
    with pytest.raises(DataError, match='not a time and a score'):
        load_curve(tmp_path)


def test_a_folder_without_a_run_is_named(tmp_path):
    with pytest.raises(MissingFileError, match='watch.py'):
        cameras_in(tmp_path / 'none')
    with pytest.raises(DataError, match='not a time'):
        utc_text(float('nan'))


@pytest.mark.parametrize('name', ['', '.', '..', '.a', '-a', 'a/b', 'a\\b', 'a b', 'a\n', 'ä', 'a' * 65])
def test_names_that_are_no_folder_names_are_refused(name):
    assert 'cannot name a camera' in camera_name_fault(name)


@pytest.mark.parametrize('name', ['a', 'door-2', 'hall.north', '_', 'A' * 64, '0'])
def test_names_of_cameras(name):
    assert camera_name_fault(name) == ''
