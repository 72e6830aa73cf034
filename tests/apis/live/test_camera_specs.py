"""Cameras of the command line and of a file, and texts without passwords."""

import json

import pytest

from vadlab.apis.live.camera_specs import CameraSpec, hide_password, read_specs, shown_address
from vadlab.utils.errors import ConfigError, DataError, MissingFileError

GATE = {'gate': [[0, 0], [0.5, 0], [0.5, 1]]}


@pytest.mark.parametrize(
    ('address', 'expected'),
    [
        ('rtsp://anna:secret@10.0.0.5/1', 'rtsp://anna:***@10.0.0.5/1'),
        ('rtsp://anna:p@ss/w:rd#?@10.0.0.5/1', 'rtsp://anna:***@10.0.0.5/1'),
        ('rtsp://onlyuser@10.0.0.5/1', 'rtsp://***@10.0.0.5/1'),
        ('http://h/v?channel=1&pwd=abc123&x=2', 'http://h/v?channel=1&pwd=***&x=2'),
        ('http://h/v?user=anna&password=s', 'http://h/v?user=***&password=***'),
        ('http://h/v?auth_token=a.b-c', 'http://h/v?auth_token=***'),
        ('videos/a@b.mp4', 'videos/a@b.mp4'),
        ('/dev/video0', '/dev/video0'),
    ],
)
def test_no_password_is_shown(address, expected):
    assert shown_address(address) == expected
    assert repr(CameraSpec('a', address)) == f"CameraSpec('a', {expected!r})"


def test_messages_of_others_have_no_password():
    address = 'rtsp://anna:secret@10.0.0.5/1?token=tok123'
    assert hide_password(f"failed: '{address}' secret tok123", address) == (
        "failed: 'rtsp://anna:***@10.0.0.5/1?token=***' *** ***"
    )


def test_cameras_are_named_after_their_address(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / 'v=a b.mp4').touch()  # an existing file whose name has a =
    found = read_specs(
        ['door=rtsp://a:b@h/1', 'rtsp://a:b@10.0.0.5:554/x', '/dev/video1', 'videos/20.avi', 'v=a b.mp4']
    )
    assert [(spec.name, spec.kind) for spec in found] == [
        ('door', 'url'), ('10.0.0.5-554', 'url'), ('video1', 'device'), ('20', 'file'), ('v-a-b', 'file'),
    ]  # fmt: skip
    assert found[4].address == 'v=a b.mp4'


def test_a_password_may_be_in_the_environment(monkeypatch):
    monkeypatch.setenv('DOOR_PASSWORD', 's3cret')
    (spec,) = read_specs(['door=rtsp://anna:${DOOR_PASSWORD}@h/1'])
    assert spec.address == 'rtsp://anna:s3cret@h/1'
    monkeypatch.delenv('DOOR_PASSWORD')
    with pytest.raises(ConfigError, match=r'\$\{DOOR_PASSWORD\}, but this environment variable is not set'):
        read_specs(['door=rtsp://anna:${DOOR_PASSWORD}@h/1'])


@pytest.mark.parametrize(
    ('sources', 'message'),
    [
        (['a.mp4', 'b/a.mp4'], "Two cameras have the name 'a': a.mp4 and b/a.mp4"),
        (['door=rtsp://x:y1z@h/1', 'Door=rtsp://x:y1z@h/2'], r"'Door': rtsp://x:\*\*\*@h/1 and rtsp://x:\*\*\*@h/2"),
        (['ftp://x:y1z@h/1'], r'ftp://x:\*\*\*@h/1: ftp:// is not one of rtsp'),
        (['.a=b.mp4'], 'cannot name a camera'),
        (['door='], 'no address after the name'),
        ([], 'There is no camera'),
    ],
)
def test_cameras_that_cannot_be_used_are_named(sources, message):
    with pytest.raises(ConfigError, match=message) as caught:
        read_specs(sources)
    assert 'y1z' not in str(caught.value)


def write(tmp_path, content):
    path = tmp_path / 'cameras.json'
    path.write_text(json.dumps(content))
    return path


def test_a_file_adds_zones_hours_and_cameras(tmp_path):
    path = write(tmp_path, {
        'timezone': 'UTC',
        'cameras': [
            {'name': 'door', 'zones': GATE, 'cooldown_s': 5},
            {'name': 'hall', 'source': 'hall.mp4', 'hours': ['daily 08:00-09:00']},
        ],
    })  # fmt: skip
    door, hall = read_specs(['door=rtsp://h/1'], path)
    assert (door.address, door.zones[0].name, door.cooldown_s, door.hours) == ('rtsp://h/1', 'gate', 5, None)
    assert (hall.address, hall.zones, hall.cooldown_s) == ('hall.mp4', (), None)
    assert hall.hours.spans[0] == (0, 480, 540)


@pytest.mark.parametrize(
    ('content', 'kind', 'message'),
    [
        ({'cameras': [{'name': 'door'}]}, ConfigError, r"camera 1 \('door'\): has no source"),
        ({'cameras': [{'name': 'a', 'source': 'a.mp4', 'zone': GATE}]}, ConfigError, "no key 'zone'.*'zones'"),
        ({'cameras': [{'name': 'a', 'source': 'a.mp4', 'zones': {'g': [[2, 0], [0, 1], [1, 1]]}}]}, ConfigError,
         r"camera 1 \('a'\): the zone 'g' is outside the picture"),
        ({'cameras': [{'name': 'a', 'source': 'a.mp4', 'cooldown_s': -1}]}, ConfigError, 'cooldown_s=-1'),
        ({'cameras': [{'name': 'a', 'source': 'a.mp4'}, {'name': 'a', 'source': 'b.mp4'}]}, ConfigError,
         "Two cameras have the name 'a'"),
        ({'cameras': {}}, DataError, 'cameras is {}, not a list'),
        ({'cameras': [{'name': 3}]}, DataError, 'name is 3, not a text'),
    ],
)  # fmt: skip
def test_a_file_that_cannot_be_used_is_named(tmp_path, content, kind, message):
    with pytest.raises(kind, match=message) as caught:
        read_specs([], write(tmp_path, content))
    assert 'cameras.json' in str(caught.value) or 'Two cameras' in str(caught.value)


def test_two_sources_of_one_name_are_refused_across_file_and_command(tmp_path):
    path = write(tmp_path, {'cameras': [{'name': 'a', 'source': 'b.mp4'}]})
    with pytest.raises(ConfigError, match=r"'a': a.mp4 and b.mp4"):
        read_specs(['a=a.mp4'], path)
    with pytest.raises(MissingFileError, match='--cameras none.json'):
        read_specs([], 'none.json')
