import os

import cv2
import numpy as np
import pytest
import torch

from vadlab.apis.inferencers.video_inputs import all_prompts, find_sources, read_prompts
from vadlab.datasets.video import index_video
from vadlab.utils.errors import ConfigError, DataError, MissingFileError


def names(*inputs):
    return [source.name for source in find_sources(list(inputs))]


@pytest.fixture
def folder(tmp_path):
    for name in ('b/v10.mp4', 'b/v2.mp4', 'a.avi', 'note.md'):
        path = tmp_path / 'videos' / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return tmp_path / 'videos'


def test_files_folders_lists_and_patterns(folder, tmp_path):
    assert names(folder) == ['a.avi', 'b/v2.mp4', 'b/v10.mp4']
    assert names(str(folder / 'b' / '*.mp4')) == ['v2.mp4', 'v10.mp4']
    assert names(folder / 'note.md', folder / 'a.avi', folder / 'a.avi') == ['note.md', 'a.avi']
    (folder / 'some.txt').write_text('b/v2.mp4\n')
    assert names(folder / 'some.txt') == ['b/v2.mp4']
    assert [source.name for source in find_sources(folder / 'a.avi')] == ['a.avi']


def test_a_folder_of_frames_is_a_video(tmp_path):
    for i in range(2):
        (tmp_path / 'Test' / f'0{i}').mkdir(parents=True)
        cv2.imwrite(str(tmp_path / 'Test' / f'0{i}' / '1.jpg'), np.zeros((8, 8, 3), np.uint8))
    assert names(tmp_path / 'Test') == ['00', '01']
    assert names(tmp_path / 'Test' / '01') == ['01']


def test_equal_names_get_their_folders(tmp_path):
    for name in ('x/cam/a.mp4', 'y/cam/a.mp4', 'z/b.mp4'):
        path = tmp_path / name
        path.parent.mkdir(parents=True)
        path.touch()
    found = names(tmp_path / 'x' / 'cam' / 'a.mp4', tmp_path / 'y' / 'cam' / 'a.mp4', tmp_path / 'z' / 'b.mp4')
    assert found == ['x/cam/a.mp4', 'y/cam/a.mp4', 'b.mp4']


def test_a_name_with_the_characters_of_a_pattern_is_found(tmp_path):
    (tmp_path / 'a[1].mp4').touch()
    assert names(tmp_path / 'a[1].mp4') == ['a[1].mp4']


def test_arrays_are_videos():
    (source,) = find_sources(np.zeros((2, 4, 6, 3), np.uint8))
    assert (source.name, source.path, source.frames.shape) == ('array_0', '', (2, 4, 6, 3))


@pytest.mark.parametrize(
    ('given', 'error', 'message'),
    [
        (['/gone.mp4'], MissingFileError, r'no video, folder or list /gone\.mp4'),
        (['/gone*.mp4'], MissingFileError, r'Nothing matches the pattern /gone\*\.mp4'),
        ([], DataError, 'list of inputs is empty'),
        (['a.mp4', ''], MissingFileError, 'list a.mp4'),
        ([''], ConfigError, 'Input 0 is an empty path. Is a variable of the shell not set'),
        (None, DataError, r'Input 0 is None \(NoneType\)\. Give a path'),
        (5, DataError, r'Input 0 is 5 \(int\)\. Give a path'),
        (['clip.mp4', None], MissingFileError, r'no video, folder or list clip\.mp4'),
        ([[1, 2]], DataError, r'Input 0 is \[1, 2\]'),
        (b'clip.mp4', DataError, r"Input 0 is b'clip\.mp4' \(bytes\)"),
        (torch.zeros(2, 4, 6, 3), DataError, r'Input 0 is a Tensor\. Give a path as text, or the frames .* NumPy'),
        ('rtsp://cam/1', MissingFileError, r'rtsp://cam/1\. Addresses are not read: .* tools/watch\.py'),
        (os.devnull, MissingFileError, r'Pipes and devices are not read'),
        ([np.zeros((4, 6, 3), np.uint8)], DataError, r'Input 0 is an array of uint8, shape \(4, 6, 3\)'),
        ([np.zeros((2, 4, 6, 3))], DataError, 'Input 0 is an array of float64'),
        ([np.zeros((0, 4, 6, 3), np.uint8)], DataError, 'at least one frame'),
    ],
)
def test_what_is_no_video_is_an_error(given, error, message):
    with pytest.raises(error, match=message):
        find_sources(given)


def test_a_folder_without_a_video_is_an_error(tmp_path):
    with pytest.raises(DataError, match='No videos under'):
        find_sources(tmp_path)


def test_prompts_are_read_from_a_file(tmp_path):
    (tmp_path / 'p.txt').write_text('a person on the floor  # fallen\n\n# a comment\n#\na #23 jersey\nC#\na fire #\n')
    assert read_prompts(tmp_path / 'p.txt') == ['a person on the floor', 'a #23 jersey', 'C#', 'a fire']
    (tmp_path / 'p.txt').write_text('a fire\nsmoke\nA Fire\n')
    with pytest.raises(DataError, match=r"p\.txt, line 3: 'A Fire' is in line 1 already"):
        read_prompts(tmp_path / 'p.txt')
    (tmp_path / 'p.txt').write_text('# nothing\n')
    with pytest.raises(DataError, match='has no prompt'):
        read_prompts(tmp_path / 'p.txt')


def test_a_backslash_in_a_name_is_told_before_the_work(tmp_path):
    (tmp_path / 'a.mp4').touch()
    (tmp_path / r'cam\b.mp4').touch()
    with pytest.raises(DataError, match=r'The name of cam\\b\.mp4 has a backslash'):
        find_sources(tmp_path)


def test_links_to_nothing_and_to_a_folder_above_do_not_end_a_run(tmp_path):
    """The link to nothing is found, so that its video gets the reason; the loop is not followed."""
    (tmp_path / 'cam').mkdir()
    (tmp_path / 'cam' / 'a.mp4').touch()
    (tmp_path / 'cam' / 'gone.mp4').symlink_to(tmp_path / 'nowhere.mp4')
    (tmp_path / 'cam' / 'loop').symlink_to(tmp_path)
    (tmp_path / 'again').symlink_to(tmp_path / 'cam')
    found = find_sources(tmp_path)
    assert [source.name for source in found] == ['again/a.mp4', 'again/gone.mp4']
    assert [source.name for source in find_sources(tmp_path / 'cam')] == ['a.mp4', 'gone.mp4']


def test_a_link_to_nothing_is_called_one(tmp_path):
    (tmp_path / 'a.mp4').symlink_to('gone.mp4')
    with pytest.raises(MissingFileError, match=r'no video, folder or list .*a\.mp4\. It is a link to gone\.mp4, which'):
        find_sources(tmp_path / 'a.mp4')
    with pytest.raises(MissingFileError, match=r'no video .*a\.mp4\. It is a link to gone\.mp4, which does not exist'):
        index_video(str(tmp_path / 'a.mp4'))


def test_a_pipe_in_a_folder_is_called_one(tmp_path):
    os.mkfifo(tmp_path / 'a.mp4')
    with pytest.raises(MissingFileError, match=r'no video .*a\.mp4\. Pipes and devices are not read'):
        index_video(str(tmp_path / 'a.mp4'))


def test_videos_that_were_found_are_inputs_and_keep_their_names(folder):
    found = find_sources(folder)
    array = find_sources(np.zeros((2, 4, 6, 3), np.uint8))
    assert [source.name for source in find_sources([*found, *array])] == ['a.avi', 'b/v2.mp4', 'b/v10.mp4', 'array_0']
    assert find_sources(found[0]) == found[:1]


def test_a_prompt_that_python_could_not_decode_is_refused():
    """What Python makes of "ä" in UTF-8 if the locale is ASCII; the model would read other characters."""
    typed = 'ein Mann läuft'.encode().decode('ascii', 'surrogateescape')
    with pytest.raises(ConfigError, match=r"'ein Mann l\\udcc3\\udca4uft' has bytes that the locale cannot read"):
        all_prompts([typed], None)
