import pytest

from vadlab.datasets.formats.av_clip_metadata import (
    AVClipRecord,
    classes_of,
    describe_unseen,
    heads_of,
    read_metadata,
    unseen_labels,
    write_metadata,
)
from vadlab.utils.errors import ConfigError, DataError, MissingFileError

GOOD = """\
clip_id,video,split,species,behaviour,start,end,site
a,x/1.mp4,train,red deer,grazing;walking,,,S1
b,2.mp4,train,fox,,0.5,2,S1
c,2.mp4,val, fox ,walking,2,,S2
"""


def write(folder, text, name='metadata.csv'):
    (folder / name).write_text(text, encoding='utf-8')
    return folder / name


def test_lines_become_records(tmp_path):
    first, second, third = read_metadata(write(tmp_path, GOOD), ['species'])
    assert first == AVClipRecord(
        'a', 'x/1.mp4', 'train', columns=dict(species='red deer', behaviour='grazing;walking', site='S1')
    )
    assert first.labels('behaviour') == ('grazing', 'walking')
    assert (second.start, second.end, second.labels('behaviour')) == (0.5, 2.0, ())
    assert (third.split, third.start, third.end, third.labels('species')) == ('val', 2.0, None, ('fox',))


@pytest.mark.parametrize('other', ['Fox', 'FOX', 'red  deer'])
def test_labels_that_differ_in_capital_letters_or_spaces_only_are_refused(tmp_path, other):
    path = write(tmp_path, GOOD.replace('val, fox ', f'val,{other}'))
    with pytest.raises(DataError, match=f"1 labels of species differ in capital letters or spaces only .*'{other}'"):
        read_metadata(path, ['species', 'behaviour'])
    assert len(read_metadata(path)) == 3


def test_classes_are_the_sorted_labels_of_training(tmp_path):
    records = [record for record in read_metadata(write(tmp_path, GOOD)) if record.split == 'train']
    assert classes_of(records, 'species', 'x') == ['fox', 'red deer']
    assert classes_of(records, 'behaviour', 'x') == ['grazing', 'walking']
    with pytest.raises(DataError, match="no training clip has a label in the column 'site'"):
        classes_of([], 'site', 'x')


def test_a_folder_of_splits_needs_no_column_split(tmp_path):
    for split, name in (('train', 'a'), ('test', 'b')):
        write(tmp_path, f'clip_id,video,species\n{name},{name}.mp4,fox\n', f'{split}.csv')
    assert [(r.clip_id, r.split) for r in read_metadata(tmp_path)] == [('a', 'train'), ('b', 'test')]
    assert [r.split for r in read_metadata(tmp_path / 'test.csv')] == ['test']
    write(tmp_path, 'clip_id,video,split,species\nc,c.mp4,test,fox\n', 'train.csv')
    with pytest.raises(DataError, match=r"1 splits are not that of their file \(train.csv line 2: 'test'\)"):
        read_metadata(tmp_path)


def test_what_spreadsheets_do_is_read(tmp_path):
    path = tmp_path / 'metadata.csv'
    path.write_bytes('\ufeffclip_id,video,split,species\r\na,1.mp4,train,"Ibex, old"\r\n\r\n,,,\r\n'.encode())
    (record,) = read_metadata(path)
    assert record.labels('species') == ('Ibex, old',)


def test_written_metadata_reads_as_it_was(tmp_path):
    records = read_metadata(write(tmp_path, GOOD))
    records.append(AVClipRecord('d', '4.mp4', 'test', 1 / 3, None, 'd.wav', dict(records[0].columns, species='a, b;c')))
    write_metadata(tmp_path / 'new' / 'all.csv', records)
    again = read_metadata(tmp_path / 'new' / 'all.csv')
    assert again[:3] == records[:3]
    assert again[3].start == pytest.approx(1 / 3, abs=1e-6)
    assert (again[3].audio, again[3].columns) == ('d.wav', records[3].columns)
    assert [p.name for p in (tmp_path / 'new').iterdir()] == ['all.csv']


@pytest.mark.parametrize(
    ('text', 'match'),
    [
        ('', 'is empty; wanted a header with clip_id, video, split'),
        ('\n , ,\n', 'is empty'),
        ('clip_id,video,split,species\n', 'has a header but no clip'),
        ('clip_id;video;split\na;b;train\n', "cells are separated by ';'"),
        ('clipid,video,split,species\na,b,train,fox\n', "no column 'clip_id'. Did you mean 'clipid'"),
        ('clip_id,video,split,specise\na,b,train,fox\n', "no column 'species'. Did you mean 'specise'"),
        ('clip_id,video,split,Species\na,b,train,fox\n', "no column 'species'. Did you mean 'Species'"),
        ('clip_id,video,species\na,b,fox\n', "no column 'split', or name the files train.csv"),
        ('clip_id,video,split,species,strat\na,b,train,fox,1\n', "the column 'strat' looks like 'start' and would not"),
        ('clip_id,video,split,species,end_s\na,b,train,fox,1\n', "the column 'end_s' looks like 'end'"),
        ('clip_id,video,split,species,species\na,b,train,fox,1\n', "the column 'species' is there twice"),
        (
            'clip_id,video,split,species\na,b,train\n',
            r'another number of cells than the header \(4\) \(metadata.csv line 2',
        ),
        ('clip_id,video,split,species\na,,train,fox\n', '1 lines do not name a video'),
        ('clip_id,video,split,species\na,b,train,NaN\n', "missing value: leave .*line 2: species is 'NaN'"),
        ('clip_id,video,split,species,audio\na,b,train,fox;<NA>,\n', "line 2: species is '<NA>'"),
        ('clip_id,video,split,species,audio\na,b,train,fox,nan\n', "line 2: audio is 'nan'"),
        ('clip_id,video,split,species\na,b,valid,fox\n', "not train, val or test .*line 2: 'valid'"),
        ('clip_id,video,split,species\n../a,b,train,fox\n', 'clip_ids cannot name a file'),
        ('clip_id,video,split,species\n/a,b,train,fox\n', 'clip_ids cannot name a file'),
        ('clip_id,video,split,species\na/.b,b,train,fox\n', 'clip_ids cannot name a file'),
        ('clip_id,video,split,species,start\na,b,train,fox,soon\n', "starts are not seconds >= 0 .*line 2: 'soon'"),
        ('clip_id,video,split,species,start\na,b,train,fox,-1\n', 'starts are not seconds'),
        ('clip_id,video,split,species,start,end\na,b,train,fox,3,2\n', 'ends are not after their starts .*3 to 2 s'),
        (
            'clip_id,video,split,species\na,b,train,fox\na,c,val,fox\n',
            r'1 clips are listed twice \(a in train and val\)',
        ),
        (
            'clip_id,video,split,species\na,b,train,fox\nc,b,test,fox\n',
            'clips are in two splits under two names .a in train is c in test: b',
        ),
    ],
)
def test_bad_metadata_is_one_clear_error(tmp_path, text, match):
    with pytest.raises(DataError, match=match):
        read_metadata(write(tmp_path, text), ['species'])


def test_all_problems_are_in_one_message(tmp_path):
    path = write(tmp_path, 'clip_id,video,split,species\na,,train,fox\nb,b,nowhere,fox\nb,c,train,fox\n')
    with pytest.raises(
        DataError, match='1 lines do not name a video.*1 splits are not train.*1 clips are listed twice'
    ):
        read_metadata(path)


def test_missing_files_and_folders(tmp_path):
    with pytest.raises(MissingFileError, match='there is no file'):
        read_metadata(tmp_path / 'none.csv')
    with pytest.raises(MissingFileError, match='holds none of train.csv, val.csv and test.csv'):
        read_metadata(tmp_path)


def test_latin_text_is_an_error_not_a_wrong_label(tmp_path):
    (tmp_path / 'metadata.csv').write_bytes('clip_id,video,split,species\na,b,train,Gämse\n'.encode('latin1'))
    with pytest.raises(DataError, match='metadata.csv, line 2: the byte 0xe4 is not UTF-8'):
        read_metadata(tmp_path / 'metadata.csv')


def test_labels_that_training_lacks_are_told_with_their_likeness(tmp_path):
    records = read_metadata(
        write(tmp_path, GOOD + 'd,5.mp4,val,red-deer,walking,,,S3\ne,6.mp4,val,lynx,walking,,,S3\n')
    )
    unseen = unseen_labels([r for r in records if r.split == 'val'], 'species', ['fox', 'red deer'])
    assert unseen == {'red-deer': 1, 'lynx': 1}
    told = describe_unseen(unseen, ['fox', 'red deer'])
    assert "'red-deer' of 1 clips (a misspelling of 'red deer'?)" in told
    assert "'lynx' of 1 clips" in told


def test_heads_are_named_or_the_usual_ones(tmp_path):
    records = read_metadata(write(tmp_path, GOOD))
    assert heads_of(records, None, ('species', 'sex')) == ['species']
    assert heads_of(records, ['site'], ('species',)) == ['site']
    with pytest.raises(ConfigError, match="no column 'specie'. Did you mean 'species'"):
        heads_of(records, ['specie'], ())
