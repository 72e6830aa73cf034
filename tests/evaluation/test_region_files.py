import numpy as np
import pytest

from vadlab.evaluation.region_files import DETECTION_COLUMNS, TRACK_COLUMNS, read_region_files
from vadlab.utils.errors import DataError, MissingFileError


def test_rows_of_detections_and_tracks(tmp_path):
    (tmp_path / '01_0014.txt').write_text('0,1,2,3,4,0.5\n\n7, 0, 0, 9.5, 9, 0.9\n')
    (tmp_path / '01_0015.txt').write_text('')
    found = read_region_files(tmp_path, DETECTION_COLUMNS)
    np.testing.assert_array_equal(found['01_0014'], [[0, 1, 2, 3, 4, 0.5], [7, 0, 0, 9.5, 9, 0.9]])
    assert found['01_0015'].shape == (0, 6)
    (tmp_path / '01_0014.txt').write_text('2,0,1,2,3,4\n')
    assert read_region_files(tmp_path, TRACK_COLUMNS)['01_0014'].tolist() == [[2, 0, 1, 2, 3, 4]]


@pytest.mark.parametrize(
    ('line', 'message'),
    [
        ('0,1,2,3,4', 'line 2 has 5 numbers'),
        ('0,1,2,3,4,x', "line 2: could not convert string to float: 'x'"),
        ('0,1,2,3,4,nan', 'a value that is NaN'),
        ('-1,1,2,3,4,0.5', 'the frame -1'),
        ('0.5,1,2,3,4,0.5', 'the frame 0.5; frames are whole numbers'),
        ('0,5,2,3,4,0.5', 'a box that ends before it starts'),
    ],
)
def test_rows_that_cannot_be_used(tmp_path, line, message):
    (tmp_path / 'a.txt').write_text(f'0,1,2,3,4,0.5\n{line}\n')
    with pytest.raises(DataError, match=rf'a\.txt, {message}|{message}') as caught:
        read_region_files(tmp_path, DETECTION_COLUMNS)
    assert 'frame,x1,y1,x2,y2,score' in str(caught.value)


def test_no_file(tmp_path):
    with pytest.raises(MissingFileError, match=r'There is no NAME\.txt'):
        read_region_files(tmp_path, TRACK_COLUMNS)
