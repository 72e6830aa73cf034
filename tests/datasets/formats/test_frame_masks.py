import numpy as np
import pytest

from vadlab.datasets.formats.frame_masks import mask_to_intervals, read_frame_masks
from vadlab.utils.errors import DataError, MissingFileError


def test_masks_by_name(tmp_path):
    np.save(tmp_path / '01_0014.npy', np.array([0, 1, 1, 0, 255], np.uint8))
    masks = read_frame_masks(tmp_path)
    assert masks['01_0014'].tolist() == [False, True, True, False, True]
    assert mask_to_intervals(masks['01_0014']).tolist() == [[1, 3], [4, 5]]


def test_intervals_of_uniform_masks():
    assert mask_to_intervals(np.zeros(3, bool)).shape == (0, 2)
    assert mask_to_intervals(np.ones(3, bool)).tolist() == [[0, 3]]
    assert mask_to_intervals(np.zeros(0, bool)).shape == (0, 2)


def test_folders_that_cannot_be_used(tmp_path):
    with pytest.raises(MissingFileError, match='no frame mask'):
        read_frame_masks(tmp_path)
    np.save(tmp_path / 'a.npy', np.zeros((2, 2)))
    (tmp_path / 'b.npy').write_bytes(b'no')
    with pytest.raises(DataError, match='2 of 2 files are not frame masks .first: a.npy: float64 of shape'):
        read_frame_masks(tmp_path)


@pytest.mark.parametrize('value', [0.3, np.nan, np.inf])
def test_scores_are_no_masks(tmp_path, value):
    np.save(tmp_path / 'a.npy', np.array([0.0, 1.0]))
    np.save(tmp_path / 'b.npy', np.array([0.0, value]))
    with pytest.raises(DataError, match='1 of 2 files are not frame masks .first: b.npy: holds fractions or NaN'):
        read_frame_masks(tmp_path)
