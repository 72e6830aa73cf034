import os

import numpy as np
import pytest
from mmengine.logging import MMLogger

from tests.visualization.report.results import RUN, result_of, write_video
from vadlab.apis.features import video_list
from vadlab.apis.features.video_list import find_videos, parse_shard, shard_of
from vadlab.apis.inferencers.outputs import ResultOutputs
from vadlab.utils.errors import ConfigError, DataError, MissingFileError


@pytest.fixture
def folder(tmp_path):
    for name in ('Abuse/Abuse001.mp4', 'Abuse/Abuse002.avi', 'Normal/Normal001.mp4', 'notes.txt', 'Abuse/.hidden.mp4'):
        path = tmp_path / 'Videos' / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b'x' * 3)
    return tmp_path / 'Videos'


def test_names_mirror_the_folders(folder):
    videos = find_videos([folder])
    assert [v.name for v in videos] == ['Abuse/Abuse001', 'Abuse/Abuse002', 'Normal/Normal001']
    assert videos[0].path == str(folder / 'Abuse/Abuse001.mp4')
    assert videos[0].size == 3


def test_files_and_lists(folder, tmp_path):
    assert [v.name for v in find_videos([folder / 'Abuse/Abuse001.mp4'])] == ['Abuse001']
    assert [v.name for v in find_videos([folder / 'Abuse/Abuse001.mp4'], root=folder)] == ['Abuse/Abuse001']
    (folder / 'list.txt').write_text('Abuse/Abuse002.avi\n\nNormal/Normal001.mp4\n')
    assert [v.name for v in find_videos([folder / 'list.txt'])] == ['Abuse/Abuse002', 'Normal/Normal001']
    (tmp_path / 'elsewhere.txt').write_text('Normal/Normal001.mp4\n')
    assert [v.name for v in find_videos([tmp_path / 'elsewhere.txt'], root=folder)] == ['Normal/Normal001']
    assert len(find_videos([folder, folder / 'Abuse/Abuse001.mp4'], root=folder)) == 3


def test_what_cannot_be_found(folder, tmp_path):
    with pytest.raises(MissingFileError, match=r'no video .*gone\.mp4'):
        find_videos([tmp_path / 'gone.mp4'])
    (folder / 'list.txt').write_text('Abuse/gone.mp4\n')
    with pytest.raises(MissingFileError, match=r'named in .*list\.txt'):
        find_videos([folder / 'list.txt'])
    (tmp_path / 'empty').mkdir()
    with pytest.raises(DataError, match='No videos under'):
        find_videos([tmp_path / 'empty'])
    with pytest.raises(ConfigError, match='does not lie under'):
        find_videos([folder / 'Abuse/Abuse001.mp4'], root=tmp_path / 'empty')


def test_folders_of_images_beside_videos_are_left_out_with_a_warning(folder, monkeypatch):
    told = []
    logger = MMLogger.get_current_instance()
    monkeypatch.setattr(logger, 'log', lambda level, message, *rest: told.append(message))
    find_videos([folder])
    assert not told
    (folder / 'walk').mkdir()
    (folder / 'walk' / '001.jpg').write_bytes(b'x')
    assert len(find_videos([folder])) == 3
    assert len(told) == 1
    assert f'1 folders of images in it are left out (first: {folder / "walk"})' in told[0]


def test_what_vadlab_wrote_into_the_folder_is_left_out_and_counted(tmp_path, monkeypatch):
    """The report and the overlay videos of an earlier run; a video that is only named like one stays."""
    told = []
    monkeypatch.setattr(video_list, 'log', told.append)
    times = (np.arange(3) / 25).tolist()
    clip = write_video(tmp_path / 'a.mp4', times)
    write_video(tmp_path / 'mine.scored.mp4', times)
    result = result_of('a.mp4', clip, times, with_boxes=False)
    with ResultOutputs(RUN, tmp_path / 'report', tmp_path) as outputs:
        outputs.add(result)
    assert (tmp_path / 'a.scored.mp4').is_file()
    assert (tmp_path / 'report' / 'media' / 'a.mp4.mp4').is_file()
    assert [video.name for video in find_videos([tmp_path])] == ['a', 'mine.scored']
    assert told == [
        f'{tmp_path} has reports and overlay videos of earlier runs: 2 are left out (first: {tmp_path}/a.scored.mp4)'
    ]
    assert [video.name for video in find_videos([tmp_path / 'a.scored.mp4'])] == ['a.scored']


def test_two_videos_of_one_name(folder):
    (folder / 'Abuse/Abuse001.mkv').write_bytes(b'y')
    with pytest.raises(DataError, match='1 names stand for more than one video'):
        find_videos([folder])


def test_shards_cover_everything_once(folder, monkeypatch):
    videos = find_videos([folder])
    shards = [shard_of(videos, parse_shard(f'{i}/2')) for i in range(2)]
    assert sorted(v.name for part in shards for v in part) == [v.name for v in videos]
    monkeypatch.setenv('RANK', '1')
    monkeypatch.setenv('WORLD_SIZE', '3')
    assert parse_shard(None) == (1, 3)
    assert parse_shard('0/1') == (0, 1)
    for text in ('3/3', '1', 'a/b', '-1/2'):
        with pytest.raises(ConfigError, match='write i/n'):
            parse_shard(text)


def test_a_name_that_is_no_utf8_is_told_before_the_work(tmp_path):
    (tmp_path / os.fsdecode(b'cam\xe9ra.mp4')).touch()
    (tmp_path / 'a.mp4').touch()
    with pytest.raises(DataError, match=r'The name of one of the videos is not UTF-8 \(first: .*cam\\udce9ra.mp4\)'):
        find_videos([tmp_path])


def test_lists_of_other_programs(tmp_path):
    for name in ('V1/a.mp4', 'V3/cam__1.wmv', 'class/drinking (31).mp4', 'x y.3gp', r'p\q.mp4', 'c,d.mp4'):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    lines = [
        '# a comment',
        r'V1\a.mp4',
        'V3/cam__1.wmv\tArson',
        'class/drinking (31).mp4 1',
        'x y.3gp, 0',
        '',
        r'p\q.mp4',
    ]
    (tmp_path / 'l.txt').write_text('\r\n'.join([*lines, 'c,d.mp4']), encoding='utf-8-sig', newline='')
    names = [video.name for video in find_videos([tmp_path / 'l.txt'])]
    assert names == sorted(['V1/a', 'V3/cam__1', 'class/drinking (31)', 'x y', r'p\q', 'c,d'])


def test_a_folder_without_permission_is_left_out_with_a_warning(folder, monkeypatch):
    """Root reads every folder, so the answer of the operating system is replaced."""
    told, scan = [], os.scandir

    def scandir(path):
        if os.fspath(path) == str(folder / 'Normal'):
            raise PermissionError(13, 'Permission denied', str(folder / 'Normal'))
        return scan(path)

    monkeypatch.setattr(MMLogger.get_current_instance(), 'log', lambda level, message, *rest: told.append(message))
    monkeypatch.setattr(os, 'scandir', scandir)
    assert [video.name for video in find_videos([folder])] == ['Abuse/Abuse001', 'Abuse/Abuse002']
    assert told == [f'The folder {folder / "Normal"} is left out: Permission denied']
    with pytest.raises(PermissionError):  # not "no videos": the command prints the path and the reason
        find_videos([folder / 'Normal'])
