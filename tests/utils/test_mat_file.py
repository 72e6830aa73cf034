import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.io import savemat

from vadlab.utils.errors import DataError, MissingFileError
from vadlab.utils.mat_file import read_mat

SHAPES = st.lists(st.integers(0, 4), min_size=2, max_size=3).map(tuple)
KINDS = st.sampled_from(['u1', 'i1', 'u2', 'i4', 'f4', 'f8', '?', 'i8'])


@given(SHAPES, KINDS, st.booleans(), st.booleans(), st.integers(0, 2**32 - 1))
def test_arrays_and_cells_as_scipy_writes_them(tmp_path_factory, shape, kind, is_compressed, is_cell, seed):
    path = tmp_path_factory.mktemp('mat') / 'a.mat'
    array = np.random.default_rng(seed).integers(0, 3, shape).astype(kind)
    value = array
    if is_cell:
        value = np.empty((1, 2), object)
        value[0, 0], value[0, 1] = array, np.ones((2, 2))
    savemat(path, {'other': np.ones(3), 'x': value}, do_compression=is_compressed)
    found = read_mat(path, 'x')
    if is_cell:
        np.testing.assert_array_equal(found[1], np.ones((2, 2)))
        found = found[0]
    np.testing.assert_array_equal(found, array)
    assert read_mat(path, 'y') is None


def test_files_that_cannot_be_read(tmp_path):
    path = tmp_path / 'a.mat'
    with pytest.raises(MissingFileError, match='There is no file .*a.mat'):
        read_mat(path, 'x')
    savemat(path, {'x': 'text'})
    with pytest.raises(DataError, match='a.mat holds an array of the class 4, not numbers'):
        read_mat(path, 'x')
    savemat(path, {'x': np.ones(100)})
    whole = path.read_bytes()
    path.write_bytes(whole[:300])
    with pytest.raises(DataError, match='a.mat is cut short or damaged'):
        read_mat(path, 'x')
    path.write_bytes(b'MATLAB 7.3 MAT-file'.ljust(200))
    with pytest.raises(DataError, match='a.mat is not a MATLAB file of level 5.*"-v6"'):
        read_mat(path, 'x')
