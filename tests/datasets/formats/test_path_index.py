import os

import pytest
from mmengine.logging import MMLogger

from vadlab.datasets.formats.path_index import PathIndex
from vadlab.utils.errors import DataError, MissingFileError


@pytest.fixture
def root(tmp_path):
    for name in ('Videos/Abuse/Abuse001_x264.mp4', 'Videos/Normal/N1.mp4', 'a/Double.mp4', 'b/Double.mp4', 'x.txt'):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b'')
    return tmp_path


@pytest.mark.parametrize(
    'name', ['UCF_Crimes_Videos/Abuse001_x264.mp4', 'Abuse001_x264', 'Videos/Abuse/Abuse001_x264.mp4', 'C:\\v\\N1.mp4']
)
def test_found_by_name_with_or_without_folders_and_ending(root, name):
    [path] = PathIndex(root).resolve([name])
    assert path == str(root / ('Videos/Normal/N1.mp4' if 'N1' in name else 'Videos/Abuse/Abuse001_x264.mp4'))


def test_folders_of_the_annotation_choose_among_equal_names(root):
    assert PathIndex(root).resolve(['old/b/Double.mp4']) == [str(root / 'b/Double.mp4')]


def test_missing_and_ambiguous_names_in_one_message(root):
    with pytest.raises(
        MissingFileError, match=r'2 of 4 videos not found under .*Gone1.mp4, Gone2.mp4; 4 video files'
    ) as e:
        PathIndex(root).resolve(['z/Gone1.mp4', 'Abuse001_x264.mp4', 'Gone2.mp4', 'z/Double.mp4'], 'UCFCrimeRegions')
    assert 'ambiguous' in str(e.value)
    assert 'a/Double.mp4, b/Double.mp4' in str(e.value)
    assert 'tools/verify.py' in str(e.value)


def test_ambiguous_alone_is_a_data_error(root):
    with pytest.raises(DataError, match='1 of 1 video names are ambiguous'):
        PathIndex(root).resolve(['z/Double.mp4'])


def test_missing_root():
    with pytest.raises(MissingFileError, match='data_root: there is no folder /nowhere'):
        PathIndex('/nowhere')


def test_a_link_that_leads_back_up_ends(root):
    (root / 'Videos' / 'loop').symlink_to(root)
    assert PathIndex(root).find('N1.mp4') == [str(root / 'Videos/Normal/N1.mp4')]


def test_a_folder_is_scanned_once(root):
    index = PathIndex.of(root)
    assert PathIndex.of(str(root)) is index


def test_backslashes_separate_folders_in_lists_and_in_names_of_files(tmp_path):
    for name in ('V/a.mp4', r'cam\b.mp4', 'c.mp4', r'x\c.mp4'):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    index = PathIndex(tmp_path)
    for name, file in (
        (r'D:\data\V\a.mp4', 'V/a.mp4'),
        (r'cam\b.mp4', r'cam\b.mp4'),
        ('cam/b.mp4', r'cam\b.mp4'),
        ('b.mp4', r'cam\b.mp4'),
        ('c.mp4', 'c.mp4'),
        (r'x\c.mp4', r'x\c.mp4'),
    ):
        assert index.find(name) == [str(tmp_path / file)], name


def test_folders_of_frames_are_videos_where_no_file_has_their_name(tmp_path):
    for name in ('Abuse/Abuse001', 'Abuse/Abuse002'):
        (tmp_path / name).mkdir(parents=True)
        for i in range(2):
            (tmp_path / name / f'{i}.jpg').touch()
    (tmp_path / 'Abuse002.mp4').touch()
    (tmp_path / 'cover').mkdir()
    (tmp_path / 'cover' / 'one.png').touch()
    index = PathIndex(tmp_path)
    assert index.find('UCF/Abuse/Abuse001.mp4') == [str(tmp_path / 'Abuse' / 'Abuse001')]
    assert index.find('Abuse001') == [str(tmp_path / 'Abuse' / 'Abuse001')]
    assert index.find('Abuse002') == [str(tmp_path / 'Abuse002.mp4')]
    assert index.find('cover') == []
    assert index.paths == [str(tmp_path / 'Abuse002.mp4')]


def test_folders_without_permission_are_told(root, monkeypatch):
    """Root reads every folder, so the answer of the operating system is replaced."""
    told, scan, closed = [], os.scandir, str(root / 'a')

    def scandir(path):
        if os.fspath(path) == closed:
            raise PermissionError(13, 'Permission denied', closed)
        return scan(path)

    monkeypatch.setattr(MMLogger.get_current_instance(), 'log', lambda level, message, *rest: told.append(message))
    monkeypatch.setattr(os, 'scandir', scandir)
    assert PathIndex(root).n_files == 3
    assert told == [f'The folder {closed} is left out: Permission denied']
    with pytest.raises(MissingFileError, match='cannot be read: Permission denied'):
        PathIndex(closed)
