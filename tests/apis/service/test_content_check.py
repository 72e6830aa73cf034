"""What an upload is, by its content: files are checked in the process that has little memory."""

import shutil

import pytest

from tests.datasets.wildlife_clips import write_wav
from vadlab.apis.service import content_check
from vadlab.apis.service.content_checker import ContentChecker
from vadlab.apis.service.settings import ServiceSettings
from vadlab.apis.service.uploads import RefusedError, shown_name

from . import hostile_files
from .running import CHECKER

TEXTS = {
    'list of files': b"ffconcat version 1.0\nfile '/etc/passwd'\n",
    'list without a head': b"file '/etc/passwd'\n",
    'playlist': b'#EXTM3U\n#EXTINF:10,\nfile:///etc/passwd\n#EXT-X-ENDLIST\n',
    'playlist after a blank line': b'\n#EXTM3U\n#EXTINF:10,\nfile:///etc/passwd\n',
    'web page': b'<!doctype html><script>alert(1)</script>',
    'text': b'Dear committee, ' * 100,
    'zeros': bytes(10_000),
    'ZIP': b'PK\x03\x04' + bytes(100),
    'one byte': b'\0',
}


def refusal(path):
    with pytest.raises(RefusedError) as caught:
        CHECKER(path)
    assert str(path) not in caught.value.message
    return caught.value


@pytest.mark.parametrize('name', TEXTS)
def test_what_is_no_video_is_refused(tmp_path, name):
    (tmp_path / 'upload').write_bytes(TEXTS[name])
    found = refusal(tmp_path / 'upload')
    assert (found.status, found.code) == (415, 'not_a_video')


def test_a_gif_named_mp4_is_a_gif(tmp_path):
    found = refusal(hostile_files.write_gif(tmp_path / 'clip.mp4'))
    assert (found.status, found.code) == (415, 'not_a_video')
    assert 'a GIF picture' in found.message


def test_an_empty_file_is_named(tmp_path):
    (tmp_path / 'upload').touch()
    assert refusal(tmp_path / 'upload').code == 'empty'


@pytest.mark.parametrize(
    ('told', 'shown'),
    [
        ('/in/1: contains no video stream', 'The file contains no video stream'),
        ('/in/1: cut short (8 bytes of 9)', 'The file is cut short (8 bytes of 9)'),
        ('/in/1: damaged after 2.0 s of 3.0 s', 'The file is damaged after 2.0 s of 3.0 s'),
    ],
)
def test_a_refusal_is_a_sentence_without_the_stored_name(told, shown):
    assert content_check._without_path(told, '/in/1') == shown


def test_sound_is_no_video(tmp_path):
    write_wav(tmp_path / 'upload.wav', [[0.1] * 800])
    assert refusal(tmp_path / 'upload.wav').code == 'not_a_video'


def test_a_video_is_measured_by_its_packets(tmp_path, video):
    shutil.copy(video, tmp_path / 'upload.gif')  # the name does not count
    found = CHECKER(tmp_path / 'upload.gif')
    assert found == {'ending': '.mp4', 'duration_s': pytest.approx(0.8), 'frames': 24, 'width': 64, 'height': 48}


@pytest.mark.parametrize('share', [0.3, 0.9])
def test_a_video_that_is_cut_short_is_damaged(tmp_path, video, share):
    content = video.read_bytes()
    (tmp_path / 'upload').write_bytes(content[: int(len(content) * share)])
    assert refusal(tmp_path / 'upload').code in ('damaged', 'not_a_video')


def test_a_header_that_claims_8_hours_does_not_count(tmp_path, video):
    found = CHECKER(hostile_files.write_with_claimed_length(tmp_path / 'upload', video, hours=8))
    assert found['duration_s'] == pytest.approx(0.8)


def test_frames_over_8_hours_are_too_long_whatever_the_header_claims(tmp_path):
    long = hostile_files.write_spread(tmp_path / 'long', [0, 1, 8 * 3600])
    for path in (long, hostile_files.write_with_claimed_length(tmp_path / 'short', long, hours=0.001)):
        found = refusal(path)
        assert (found.status, found.code) == (422, 'too_long')
        assert 'At most 4:00:00 are taken' in found.message


def test_a_table_of_frames_that_are_not_there_is_no_reason_to_take_memory(tmp_path, video):
    for count in (2**31, 2**32 - 1):
        assert refusal(hostile_files.write_with_claimed_samples(tmp_path / f'{count}', video, count)).code == 'damaged'
    found = CHECKER(hostile_files.write_with_claimed_samples(tmp_path / 'million', video, 10**6))
    assert found['frames'] == 24  # as another table of the file says
    assert CHECKER(video)['frames'] == 24


@pytest.mark.parametrize('size', [2**28, 2**32 - 1])
def test_a_header_that_unpacks_without_end_is_refused(tmp_path, video, size):
    assert refusal(hostile_files.write_compressed_header(tmp_path / 'upload', size)).code in ('damaged', 'not_a_video')
    assert CHECKER(video)['frames'] == 24


def test_frames_that_are_read_again_and_again_are_given_up(tmp_path, video):
    """200 GB from a file of 8 MB."""
    upload = hostile_files.write_repeated_frame(tmp_path / 'upload', video, 25_000, 8_000_000)
    checker = ContentChecker(ServiceSettings(tmp_path, check_limit_s=3.0))
    with pytest.raises(RefusedError, match='cannot be checked: it took too long') as caught:
        checker(upload)
    assert caught.value.code == 'damaged'
    assert checker(video)['frames'] == 24
    checker.close()


@pytest.mark.parametrize('size', [(16, 9000), (6200, 6200)])
def test_pictures_that_are_too_large_are_refused(tmp_path, size):
    found = refusal(hostile_files.write_spread(tmp_path / 'upload', [0], size))
    assert (found.status, found.code) == (422, 'too_large_pictures')


@pytest.mark.parametrize(
    ('name', 'shown'),
    [
        ('clip.mp4', 'clip.mp4'), ('a b ü 视频.mp4', 'a b ü 视频.mp4'), ('../../x.mp4', 'x.mp4'),
        ('C:\\v\\x.mp4', 'x.mp4'),
        ('', 'video'), ('/', 'video'), ('..', 'video'), ('. .', 'video'), ('a\nb.mp4', 'a b.mp4'),
        ('\x1b[31mred.mp4', '_x1b[31mred.mp4'), ('evil\u202egpj.mp4', 'evil_u202egpj.mp4'),
    ],
)  # fmt: skip
def test_names_for_people(name, shown):
    assert shown_name(name) == shown


def test_a_long_name_is_cut_in_the_middle():
    assert shown_name('a' * 200 + '.mp4') == 'a' * 60 + '…' + 'a' * 55 + '.mp4'
