import dataclasses
from contextlib import nullcontext
from types import SimpleNamespace

import cv2
import numpy as np
import pytest

from tests.datasets.turned_videos import TURNS, lopsided_picture, write_lopsided
from tests.tools.tiny_ucf import write_video
from vadlab.apis.inferencers import caption_inputs
from vadlab.apis.inferencers.caption_inputs import CaptionFile, find_inputs, parts_of, read_files, read_inputs
from vadlab.datasets.video import index_video
from vadlab.utils.errors import ConfigError, DataError, MissingFileError


@pytest.fixture
def folder(tmp_path):
    for name in ('b.png', 'a/c.JPG', '.hidden.png'):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        cv2.imwrite(str(tmp_path / name), np.full((4, 6, 3), (0, 0, 255), np.uint8))
    (tmp_path / 'notes.txt').write_text('no image')
    return tmp_path


def test_folders_are_searched_and_files_are_taken_once(folder):
    assert find_inputs([folder]) == [(str(folder / 'b.png'), 'b.png'), (str(folder / 'a/c.JPG'), 'a/c.JPG')]
    assert find_inputs([folder / 'a/c.JPG', folder])[0] == (str(folder / 'a/c.JPG'), 'c.JPG')
    assert len(find_inputs([folder, folder / 'b.png'])) == 2


def test_images_are_read_as_rgb(folder):
    first = next(read_inputs([folder / 'b.png']))
    assert (first.name, first.frame, first.time_s, first.error) == ('b.png', None, None, None)
    np.testing.assert_array_equal(first.image, np.broadcast_to(np.array([255, 0, 0], np.uint8), (4, 6, 3)))


def test_frames_are_taken_every_so_many_seconds(folder):
    """24 frames at 30 a second: 0.8 s."""
    video = write_video(folder / 'v.mp4')
    found = list(read_inputs([video], every_s=0.3))
    assert [(f.frame, f.time_s) for f in found] == [(0, 0.0), (9, 0.3), (18, 0.6)]
    assert found[1].name == 'v.mp4 at 0.30 s'
    assert [f.frame for f in read_inputs([video], every_s=100)] == [0]


def test_times_are_those_of_the_frames_at_a_variable_rate(folder, monkeypatch):
    """By hand: frames at 0, 0.1, 0.2, 1.0, 1.1, 3.0 s; the nearest to 0, 0.5, 1, 1.5, 2, 2.5 and 3 s."""
    path = write_video(folder / 'v.mp4')
    index = dataclasses.replace(
        index_video(path), total_frames=6, packet_pts=np.array([0, 1, 2, 10, 11, 30]), tick_s=0.1,
        packet_of_frame=np.arange(6),
    )  # fmt: skip
    monkeypatch.setattr(caption_inputs, 'index_video', lambda path: index)
    monkeypatch.setattr(caption_inputs, 'read_frames', lambda index, inds: np.zeros((len(inds), 4, 6, 3), np.uint8))
    found = [(f.frame, f.time_s) for f in read_inputs([path], every_s=0.5)]
    assert found == [(0, 0.0), (2, 0.2), (3, 1.0), (4, 1.1), (5, 3.0)]


def test_lists_and_patterns(folder):
    assert find_inputs([folder / '*' / '*.JPG']) == [(str(folder / 'a/c.JPG'), 'c.JPG')]
    (folder / 'list.txt').write_text('b.png\na/c.JPG\n')
    assert [name for _, name in find_inputs([folder / 'list.txt'])] == ['b.png', 'a/c.JPG']
    (folder / 'list.txt').write_text('b.png\ngone.png\n')
    with pytest.raises(MissingFileError, match=r'There is no image or video .*gone.png \(named in .*list.txt\)'):
        find_inputs([folder / 'list.txt'])
    with pytest.raises(MissingFileError, match='Nothing matches the pattern'):
        find_inputs([folder / '*.tiff'])


def test_a_number_of_frames_is_spread_over_the_video(folder):
    video = write_video(folder / 'v.mp4')
    assert [f.frame for f in read_inputs([video], num_frames=3)] == [4, 12, 20]
    assert len(list(read_inputs([video], num_frames=100))) == 24  # no frame twice


def test_frames_of_a_phones_video_are_upright(folder):
    path = write_lopsided(folder / 'phone.mp4', matrix=TURNS['rot90'][0])
    (found,) = read_inputs([path], num_frames=1)
    expected = TURNS['rot90'][1](lopsided_picture())
    assert found.image.shape == expected.shape
    assert np.abs(found.image - expected.astype(int)).mean() < 12


def test_a_file_that_is_no_image_is_an_error_of_its_own(folder):
    (folder / 'b.png').write_text('no image')
    (folder / 'w.mp4').write_text('no video')
    found = {f.name: f for f in read_inputs([folder])}
    assert 'is not an image, or is damaged' in found['b.png'].error
    assert found['w.mp4'].error
    assert found['w.mp4'].image is None
    assert found['a/c.JPG'].error is None


@pytest.mark.parametrize('options', [dict(every_s=0.1), dict(every_s=0.001), dict(num_frames=5), dict(num_frames=100)])
@pytest.mark.parametrize('header', ['right', 'without duration', 'too long', 'too short'])
def test_parts_of_a_video_have_each_frame_once(tmp_path, monkeypatch, options, header):
    video = write_video(tmp_path / ('clip.mp4' if header == 'right' else 'clip.mkv'))
    if header != 'right':
        duration = {'too long': 60_000_000, 'too short': 400_000}.get(header)
        opened = SimpleNamespace(duration=duration), SimpleNamespace(average_rate=30)
        monkeypatch.setattr(caption_inputs, 'open_video', lambda path: nullcontext(opened))
    options = dict(every_s=2.0, num_frames=None) | options
    parts = list(parts_of(CaptionFile(str(video), 'clip'), **options, length=3))
    assert len(parts) > 1
    assert all(len(list(read_files([part], **options))) <= 3 for part in parts) or header == 'too short'
    assert [f.frame for f in read_files(parts, **options)] == [f.frame for f in read_inputs([video], **options)]


def test_a_video_that_cannot_be_read_is_one_part(tmp_path):
    (tmp_path / 'a.mp4').write_text('no video')
    (part,) = parts_of(CaptionFile(str(tmp_path / 'a.mp4'), 'a.mp4'), 0.1, None, 3)
    (found,) = read_files([part])
    assert 'not a video' in found.error


def test_mistakes_are_told(folder):
    with pytest.raises(MissingFileError, match='There is no image, video or folder gone'):
        find_inputs(['gone'])
    (folder / 'empty').mkdir()
    with pytest.raises(DataError, match='No images or videos under'):
        find_inputs([folder / 'empty'])
    with pytest.raises(ConfigError, match='must be at least 0.001'):
        next(read_inputs([folder], every_s=0))
