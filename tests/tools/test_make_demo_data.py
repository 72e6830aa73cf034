import json

import av
import cv2
import pytest

from tools import make_demo_data
from vadlab.utils.errors import ConfigError


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    out = tmp_path_factory.mktemp('demo') / 'set'
    assert make(out) == 0
    return out


def make(out, *more):
    return make_demo_data.main([f'--out={out}', '--train=3', '--test=2', '--frames', '60', '64', '--workers=1', *more])


def test_all_files_are_there_and_whole(folder):
    names = {p.name for p in folder.iterdir()}
    assert names == {
        'Videos',
        'train.json',
        'test.json',
        'Temporal_Anomaly_Annotation.txt',
        'README.md',
        'settings.json',
    }
    for split, count in (('train', 3), ('test', 2)):
        records = json.loads((folder / f'{split}.json').read_text(encoding='utf-8'))
        assert len(records) == count
        for record in records:
            with av.open(str(folder / record['f_path'])) as container:
                assert 60 <= sum(1 for _ in container.decode(video=0)) <= 64
    assert len((folder / 'Temporal_Anomaly_Annotation.txt').read_text().splitlines()) == 2
    assert '--seed 0' in (folder / 'README.md').read_text()


def test_what_is_there_is_not_made_again_and_what_is_missing_is(folder, capsys):
    before = {p: p.stat().st_mtime_ns for p in folder.rglob('*.mp4')}
    annotation = (folder / 'train.json').read_bytes()
    lost = sorted(before)[0]
    lost.unlink()
    make(folder)
    assert '5 videos (1 new)' in capsys.readouterr().out
    assert {p for p in before if p.stat().st_mtime_ns != before[p]} == {lost}
    assert (folder / 'train.json').read_bytes() == annotation


def test_a_folder_of_other_settings_is_not_written_over(folder):
    with pytest.raises(ConfigError, match='holds another data set'):
        make(folder, '--seed=1')


def test_damaged_settings_are_named(tmp_path):
    (tmp_path / 'settings.json').write_text('{')
    with pytest.raises(ConfigError, match='damaged'):
        make(tmp_path)


def test_contact_sheets(tmp_path):
    assert make_demo_data.main([f'--preview={tmp_path}']) == 0
    sheets = {p.stem: cv2.imread(str(p)) for p in tmp_path.glob('*.png')}
    assert len(sheets) == 7
    assert sheets['Arson'].shape == (4 * 240, 5 * 320, 3)


@pytest.mark.parametrize(('line', 'match'), [([], 'Nothing to do'), (['--out=x', '--workers=0'], '--workers')])
def test_command_lines_that_make_no_sense(line, match):
    with pytest.raises(ConfigError, match=match):
        make_demo_data.main(line)
