import pytest

from vadlab.apis.features.video_list import find_videos
from vadlab.apis.inferencers.caption_inputs import find_inputs
from vadlab.datasets.formats.feature_lists import ListEntry, crop_separator_of, read_feature_list, split_feature_name
from vadlab.datasets.formats.path_index import PathIndex
from vadlab.datasets.video_names import VIDEO_ENDINGS, video_id_of
from vadlab.utils.errors import DataError, MissingFileError


def write(folder, text, name='train.list'):
    path = folder / name
    path.write_text(text, encoding='utf-8')
    return path


def test_csv_as_vadclip_publishes_it(tmp_path):
    text = 'path,label\n/home/a/UCFClipFeatures/Abuse/Abuse001_x264__0.npy,Abuse\n/home/a/N/Normal_1__0.npy,Normal\n'
    entries, layout = read_feature_list(write(tmp_path, text, 'ucf.csv'))
    assert layout == 'csv'
    assert entries[0] == ListEntry('/home/a/UCFClipFeatures/Abuse/Abuse001_x264__0.npy', 'Abuse')
    assert entries[1].label == 'Normal'


def test_csv_columns_in_any_order_and_more_of_them(tmp_path):
    entries, _ = read_feature_list(write(tmp_path, 'id,Label,Path\n1,A,"x, y.npy"\n2,,z.npy\n', 'a.csv'))
    assert entries == [ListEntry('x, y.npy', 'A'), ListEntry('z.npy', None)]


@pytest.mark.parametrize(
    ('line', 'entry'),
    [
        (
            'G:\\UCF_Train_ten_crop_i3d\\Abuse001_x264_i3d.npy',
            ('G:/UCF_Train_ten_crop_i3d/Abuse001_x264_i3d.npy', None),
        ),
        ('train/01_0014_0.npy 1.0', ('train/01_0014_0.npy', '1.0')),
        ('dir with spaces/a b__0.npy', ('dir with spaces/a b__0.npy', None)),
        ('v=x__#1_label_B2-0-0__0.npy', ('v=x__#1_label_B2-0-0__0.npy', None)),
    ],
)
def test_lines_of_features(tmp_path, line, entry):
    assert read_feature_list(write(tmp_path, line + '\n\n')) == ([ListEntry(*entry)], 'list of features')


def test_lines_of_videos(tmp_path):
    entries, layout = read_feature_list(write(tmp_path, 'Abuse/Abuse001_x264.mp4\n01_0014 cycling\n'))
    assert layout == 'list of videos'
    assert entries == [ListEntry('Abuse/Abuse001_x264.mp4', None), ListEntry('01_0014', 'cycling')]


def test_lists_that_cannot_be_used(tmp_path):
    with pytest.raises(MissingFileError, match='There is no file .*none.list'):
        read_feature_list(tmp_path / 'none.list')
    for name, text in (('empty.list', '\n \n'), ('empty.csv', 'path,label\n'), ('nothing.csv', '')):
        with pytest.raises(DataError, match=f'{name} is empty'):
            read_feature_list(write(tmp_path, text, name))
    with pytest.raises(DataError, match=r'no column "path" \(it has: file, label\)'):
        read_feature_list(write(tmp_path, 'file,label\na.npy,A\n', 'a.csv'))
    binary = tmp_path / 'b.list'
    binary.write_bytes(b'\x93NUMPY\xff\xfe')
    with pytest.raises(DataError, match='is not UTF-8'):
        read_feature_list(binary)


@pytest.mark.parametrize(
    ('names', 'separator'),
    [
        (['a/Abuse001_x264__0.npy', 'a/Abuse001_x264__1.npy'], '__'),
        (['Abuse001_x264.npy', 'Abuse001_x264__1.npy'], '__'),  # PEL4VAD
        (['01_0014_0.npy', '01_0014_1.npy', '01_001_0.npy', '01_001_1.npy'], '_'),
        (['01_0014_0.npy', '01_001_0.npy'], '_'),  # one crop, the same of all
        (['01_0014.npy', '01_001.npy'], None),
        (['clip_1.npy', 'clip_2.npy'], None),
        (['a_0.npy', 'a_1.npy', 'b_0.npy'], None),
        (['Abuse001_x264_i3d.npy'], None),
        (['v=x__#1_label_A.npy'], None),
    ],
)
def test_crop_separator(names, separator):
    assert crop_separator_of(names) == separator


@pytest.mark.parametrize(
    ('name', 'separator', 'expected'),
    [
        ('train/Bad.Boys.1995__#00-26-51_00-27-53_label_B2-0-0__4.npy', '__',
         ('Bad.Boys.1995__#00-26-51_00-27-53_label_B2-0-0', 4)),
        ('Abuse001_x264_i3d.npy', None, ('Abuse001_x264', None)),
        ('Abuse001_x264.mp4__3.npy', '__', ('Abuse001_x264', 3)),
        ('01_0014_7.npy', '_', ('01_0014', 7)),
        ('01_0014_7.npy', None, ('01_0014_7', None)),
        ('Normal_Videos_003_x264__12', '__', ('Normal_Videos_003_x264', 12)),
    ],
)  # fmt: skip
def test_names(name, separator, expected):
    assert split_feature_name(name, separator) == expected


@pytest.mark.parametrize('separator', [' ', '\t', ',', ', ', '  \t'])
@pytest.mark.parametrize('name', ['Arson000', 'a/Arson 000.mp4', 'Arson000.mpg', 'a.b.TS', 'c,d__0.npy'])
def test_labels_after_any_separator(tmp_path, name, separator):
    (tmp_path / 'l.txt').write_text(f'{name}{separator}Arson\n', encoding='utf-8-sig')
    entries, _ = read_feature_list(tmp_path / 'l.txt')
    assert entries == [ListEntry(name, 'Arson')]


@pytest.mark.parametrize('ending', VIDEO_ENDINGS)
def test_one_list_of_endings_of_videos(tmp_path, ending):
    name = f'Arson000{ending}'
    (tmp_path / name).touch()
    (tmp_path / f'b{ending.upper()}').touch()
    assert video_id_of(name) == 'Arson000'
    assert PathIndex(tmp_path).find('Arson000') == [str(tmp_path / name)]
    assert [video.name for video in find_videos([tmp_path])] == ['Arson000', 'b']
    assert [found for _, found in find_inputs([tmp_path])] == [name, f'b{ending.upper()}']
