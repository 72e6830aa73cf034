import json

import numpy as np
import pytest
from mmengine.logging import MMLogger

from tests.datasets.formats.wildlife_layouts.test_wildlife_layouts import write_mammalps
from tests.datasets.wildlife_clips import METADATA, write_clip, write_set
from vadlab.datasets.formats.av_clip_metadata import read_metadata
from vadlab.utils.errors import ConfigError, DataError, MissingFileError

pytest.importorskip('librosa')


@pytest.fixture(scope='module')
def prepare(load_tool):
    return load_tool('prepare_wildlife').main


@pytest.fixture(scope='module')
def convert(load_tool):
    return load_tool('import_wildlife').main


@pytest.fixture
def folder(tmp_path):
    return write_set(tmp_path)


def arguments(folder, *more, metadata='metadata.csv'):
    words = [folder / metadata, folder / 'videos', '--out', folder / 'data/processed', '--workers', 1]
    return [str(word) for word in [*words, '--frames', 4, '--size', 24, 32, *more]]


def test_one_command_makes_all_that_training_reads(prepare, folder, capsys):
    assert prepare(arguments(folder)) == 0
    data = folder / 'data'
    assert sorted(p.name for p in (data / 'raw/metadata').iterdir()) == ['test.csv', 'train.csv', 'val.csv']
    assert read_metadata(data / 'raw/metadata') == read_metadata(folder / 'metadata.csv')
    assert len(list((data / 'processed/video_frames').iterdir())) == 5
    assert len(list((data / 'processed/mel_spectrograms').iterdir())) == 3
    said = capsys.readouterr().out
    assert '5 clips of 64 frames' in said
    assert '3 clips with sound, 2 without a track' in said
    assert '3 train, 1 val, 1 test' in said
    assert 'species: 2 classes' in said
    assert prepare(arguments(folder)) == 0
    assert '5 already done' in capsys.readouterr().out
    assert prepare(arguments(folder, metadata='data/raw/metadata')) == 0


def test_metadata_that_differs_from_what_is_there_is_left_alone(prepare, folder):
    prepare(arguments(folder))
    (folder / 'metadata.csv').write_text(METADATA.replace('red deer', 'deer'))
    with pytest.raises(DataError, match=r'train\.csv is there and differs .*--overwrite-metadata'):
        prepare(arguments(folder))
    assert prepare(arguments(folder, '--overwrite-metadata')) == 0
    assert 'red deer' not in (folder / 'data/raw/metadata/train.csv').read_text()
    elsewhere = folder / 'elsewhere'
    assert prepare(arguments(folder, '--metadata-out', elsewhere)) == 0
    assert len(list(elsewhere.iterdir())) == 3


def test_what_is_worth_a_second_look_is_said(prepare, folder, capsys):
    write_clip(folder / 'videos/four.mp4', 7, np.zeros(11200, np.float32))
    write_clip(folder / 'videos/a/two.mp4', 12, np.full(9600, 0.1, np.float32), rate=8000, codec='aac')
    left = np.sin(np.arange(32000) / 5).astype(np.float32) / 2
    write_clip(folder / 'videos/a/one.mp4', 20, np.stack([left, -left], axis=1))
    text = METADATA.replace('three.mp4,val,red deer,running,1.5,', 'three.mp4,val,roe deer,running,1.5,9')
    (folder / 'metadata.csv').write_text(text)
    prepare(arguments(folder))
    said = capsys.readouterr().out
    assert '1 with a silent track (mask)' in said
    assert '1 clips (first: deer1): the channels cancel in their mean; the loudest one is taken' in said
    assert '1 clips are sampled at less than 16000 Hz (the least: 8000 Hz, fox1): they are resampled' in said
    assert "val has labels that are not in train: 'roe deer' of 1 clips (a misspelling of 'red deer'?)" in said
    assert '1 clips are cut at the end of their video (first: deer2 ends at 9 s, but the video at 3.00 s)' in said


def test_bad_videos_end_with_status_2_unless_they_are_accepted(prepare, folder):
    (folder / 'videos/a/two.mp4').write_bytes(b'')
    match = r'1 of 5 clips could not be used \(first: fox1: .*zero bytes.*all others are done.*--max-bad-videos 1'
    with pytest.raises(DataError, match=match):
        prepare(arguments(folder))
    (bad,) = json.loads((folder / 'data/processed/bad_clips.json').read_text())
    assert bad['clip_id'] == 'fox1'
    assert prepare(arguments(folder, '--max-bad-videos', 1)) == 0


def test_mistakes(prepare, folder):
    with pytest.raises(DataError, match="no column 'behavior'. Did you mean 'behaviour'"):
        prepare(arguments(folder, '--heads', 'species', 'behavior'))
    with pytest.raises(ConfigError, match='--size takes one or two numbers, not 3'):
        prepare(arguments(folder, '--size', 1, 2, 3))
    with pytest.raises(MissingFileError, match='there is no file'):
        prepare(arguments(folder, metadata='gone.csv'))
    prepare(arguments(folder))
    with pytest.raises(DataError, match=r'holds clips of another recipe .sound.hop: 160 -> 200'):
        prepare(arguments(folder, '--hop', 200))


def test_import_writes_metadata_and_says_what_it_found(convert, tmp_path, capsys):
    write_mammalps(tmp_path / 'release')
    out = tmp_path / 'metadata.csv'
    assert convert(['mammalps', str(tmp_path / 'release'), '--out', str(out)]) == 0
    said = capsys.readouterr().out
    assert '5 clips' in said
    assert 'species: 3 labels' in said
    assert 'actions: 4 labels, 1 clips with several (a head of multi_label), 1 clips with none' in said
    assert '1 clips have their sound in a file of its own' in said
    assert '5 videos are not below' in said
    assert len(read_metadata(out)) == 5
    with pytest.raises(ConfigError, match='exists. Name another file'):
        convert(['mammalps', str(tmp_path / 'release'), '--out', str(out)])
    with pytest.raises(MissingFileError, match='There is no folder'):
        convert(['mammalps', str(tmp_path / 'gone'), '--out', str(tmp_path / 'b.csv')])


def test_a_validation_split_is_drawn_by_video_and_stays(convert, tmp_path):
    lines = [f'v{i % 100}.mp4,train,x' for i in range(100)] + ['w.mp4,test,x']
    (tmp_path / 'labels.csv').write_text('video,split,labels\n' + '\n'.join(lines) + '\n')
    out = tmp_path / 'metadata.csv'
    convert(['panaf20k', str(tmp_path), '--out', str(out.with_name('m.csv')), '--val-share', '0.2'])
    first = {r.clip_id for r in read_metadata(out.with_name('m.csv')) if r.split == 'val'}
    assert 8 <= len(first) <= 32
    (tmp_path / 'm.csv').unlink()
    (tmp_path / 'labels.csv').write_text('video,split,labels\n' + '\n'.join(lines[:50] + lines[-1:]) + '\n')
    convert(['panaf20k', str(tmp_path), '--out', str(tmp_path / 'sub/m.csv'), '--val-share', '0.2'])
    fewer = {r.clip_id for r in read_metadata(tmp_path / 'sub/m.csv') if r.split == 'val'}
    assert fewer == {name for name in first if int(name[1:]) < 50}
    for share, match in (('1', 'must be in 0..1'), ('-0.1', 'must be in 0..1')):
        with pytest.raises(ConfigError, match=match):
            convert(['panaf20k', str(tmp_path), '--out', str(tmp_path / 'x.csv'), f'--val-share={share}'])


def test_import_tells_labels_in_other_letters_and_columns_that_are_not_read(convert, tmp_path, capsys, monkeypatch):
    log_lines: list[str] = []
    monkeypatch.setattr(MMLogger.get_current_instance(), 'log', lambda level, message: log_lines.append(message))
    table = 'video,split,species,behaviours,night\na,train,Chimp,feeding,0\nb,test,chimp,feeding,1\n'
    (tmp_path / 'labels.csv').write_text(table)
    assert convert(['panaf20k', str(tmp_path), '--out', str(tmp_path / 'out/metadata.csv')]) == 0
    assert "labels of species differ in capital letters or spaces only: 'Chimp' and 'chimp'" in capsys.readouterr().out
    assert any('behaviours in behaviours; columns not read: night' in line for line in log_lines)
