import numpy as np
import pytest

from vadlab.datasets.formats.temporal_annotations import intervals_to_mask, read_temporal_annotations, video_id_of
from vadlab.utils.errors import ConfigError, DataError, MissingFileError

UCF = """Abuse028_x264.mp4  Abuse  165  240  -1  -1  
Arrest/Arrest007_x264  Arrest  1530  2160  10  20

Normal_Videos_003_x264.mp4  Normal  -1  -1  -1  -1  
"""  # noqa: W291
XD = 'v=S-7__#1_label_B4-0-0 0 1517 1970 3038\nBad.Boys.1995__#01-11-55_label_A\n'
XD_CLASSES = 'v=S-7__#1_label_B4-G-0 B4 0 1517 G 1970 3038\nv=x__#0_label_G-0-0 G 624 912\n'


def write(tmp_path, text):
    path = tmp_path / 'annotations.txt'
    path.write_text(text, encoding='utf-8')
    return path


def test_ucf_crime_lines(tmp_path):
    found = read_temporal_annotations(write(tmp_path, UCF))
    assert list(found) == ['Abuse028_x264', 'Arrest007_x264', 'Normal_Videos_003_x264']
    assert found['Abuse028_x264'][0] == 'Abuse'
    np.testing.assert_array_equal(found['Abuse028_x264'][1], [[165, 240]])
    np.testing.assert_array_equal(found['Arrest007_x264'][1], [[10, 20], [1530, 2160]])
    assert found['Normal_Videos_003_x264'][0] == 'Normal'
    assert found['Normal_Videos_003_x264'][1].shape == (0, 2)
    assert found['Normal_Videos_003_x264'][1].dtype == np.int64


def test_xd_violence_lines_with_and_without_classes(tmp_path):
    found = read_temporal_annotations(write(tmp_path, XD))
    assert found['v=S-7__#1_label_B4-0-0'][0] == 'B4'
    np.testing.assert_array_equal(found['v=S-7__#1_label_B4-0-0'][1], [[0, 1517], [1970, 3038]])
    assert found['Bad.Boys.1995__#01-11-55_label_A'][0] == 'A'
    found = read_temporal_annotations(write(tmp_path, XD_CLASSES))
    assert found['v=S-7__#1_label_B4-G-0'][0] == 'B4-G'
    np.testing.assert_array_equal(found['v=S-7__#1_label_B4-G-0'][1], [[0, 1517], [1970, 3038]])
    np.testing.assert_array_equal(found['v=x__#0_label_G-0-0'][1], [[624, 912]])


def test_each_interval_has_its_class_in_the_order_of_the_file(tmp_path):
    def classes_of(text, mode='half_open'):
        return {
            name: list(found.class_intervals)
            for name, found in read_temporal_annotations(write(tmp_path, text), mode).items()
        }

    assert classes_of(XD_CLASSES)['v=S-7__#1_label_B4-G-0'] == [('B4', 0, 1517), ('G', 1970, 3038)]
    found = classes_of(UCF)
    assert found['Arrest007_x264'] == [('Arrest', 1530, 2160), ('Arrest', 10, 20)]
    assert found['Normal_Videos_003_x264'] == []
    found = classes_of('v=a__#1_label_B1-B2-0 3 5 7 9', 'inclusive')
    assert found == {'v=a__#1_label_B1-B2-0': [('B1-B2', 3, 6), ('B1-B2', 7, 10)]}


def test_own_names_and_classes_may_hold_spaces_and_a_video_several_classes(tmp_path):
    found = read_temporal_annotations(
        write(tmp_path, 'c/gate 2.MP4 Road Accidents 10 30 50 60 Riot 5 9\nlot.avi  Normal\n')
    )
    gate = found['gate 2']
    assert gate.class_name == 'Road Accidents'
    assert gate.intervals.tolist() == [[5, 9], [10, 30], [50, 60]]
    assert list(gate.class_intervals) == [('Road Accidents', 10, 30), ('Road Accidents', 50, 60), ('Riot', 5, 9)]
    assert found['lot'][0] == 'Normal'
    assert found['lot'].class_intervals == ()


@pytest.mark.parametrize(('mode', 'expected'), [('half_open', [2, 3]), ('inclusive', [2, 3, 4]), ('matlab', [1, 2, 3])])
def test_interval_modes_by_hand(tmp_path, mode, expected):
    found = read_temporal_annotations(write(tmp_path, 'a Abuse 2 4 -1 -1'), mode)
    np.testing.assert_array_equal(np.flatnonzero(intervals_to_mask(found['a'][1], 6)), expected)


def test_matlab_interval_that_starts_at_zero_is_cut_off_at_the_first_frame(tmp_path):
    found = read_temporal_annotations(write(tmp_path, 'a Abuse 0 2'), 'matlab')
    np.testing.assert_array_equal(intervals_to_mask(found['a'][1], 4), [True, True, False, False])


def test_mask_cuts_at_the_end_and_joins_overlaps():
    mask = intervals_to_mask(np.array([[1, 4], [3, 5], [8, 99], [200, 300]]), 10)
    np.testing.assert_array_equal(np.flatnonzero(mask), [1, 2, 3, 4, 8, 9])
    assert intervals_to_mask([], 3).tolist() == [False] * 3


def test_mask_refuses_other_shapes_and_negative_lengths():
    with pytest.raises(DataError, match=r'shape \(2, 3\)'):
        intervals_to_mask(np.ones((2, 3)), 5)
    with pytest.raises(DataError, match='num_frames is -1'):
        intervals_to_mask([], -1)


@pytest.mark.parametrize(
    ('line', 'message'),
    [
        ('a Abuse 5', 'has 1 frame numbers'),
        ('a Abuse 9 5', 'ends before it starts: 9 5'),
        ('a Abuse -1 5', 'negative frame number in -1 5'),
        ('a Abuse 5 9223372036854775808', 'a frame number of 19 digits: 9223372036854775808'),
        ('a 3 5', 'does not name a class'),
        ('a B1 3 B2 5 7 8', 'has 1 frame numbers'),
        ('a B1 3 4 B2', 'not of the form'),
        ('a 3 4 B2 5 6', 'not of the form'),
        ('a Abuse 5 5', 'interval of no frame: 5 5'),
        ('ok  Abuse 1 2', 'names ok a second time'),
    ],
)
def test_lines_that_cannot_be_used_are_counted_and_shown(tmp_path, line, message):
    with pytest.raises(DataError, match=f'1 of 2 lines cannot be used.*line 2 .*{message}'):
        read_temporal_annotations(write(tmp_path, f'ok Abuse 1 2\n{line}\n'))


def test_missing_file_unknown_mode_and_binary_file(tmp_path):
    with pytest.raises(MissingFileError, match='temporal_ann_file'):
        read_temporal_annotations(tmp_path / 'none.txt')
    (tmp_path / 'empty.txt').write_text('\n')
    with pytest.raises(DataError, match='empty.txt is empty: it annotates no video'):
        read_temporal_annotations(tmp_path / 'empty.txt')
    with pytest.raises(ConfigError, match='half_open, inclusive, matlab'):
        read_temporal_annotations(write(tmp_path, UCF), 'closed')
    binary = tmp_path / 'binary.txt'
    binary.write_bytes(b'\xff\xfe\x00\x80')
    with pytest.raises(DataError, match='UTF-8'):
        read_temporal_annotations(binary)


@pytest.mark.parametrize(
    ('name', 'video_id'),
    [
        ('Abuse/Abuse028_x264.MP4', 'Abuse028_x264'),
        ('c:\\v\\a.b.avi', 'a.b'),
        ('Bad.Boys.1995__#1', 'Bad.Boys.1995__#1'),
    ],
)
def test_video_id_keeps_dots_that_are_no_ending(name, video_id):
    assert video_id_of(name) == video_id
