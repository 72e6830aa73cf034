import io
import os
import pickle

import numpy as np
import pytest

from vadlab.utils.errors import DataError, MissingFileError
from vadlab.utils.npy_list import read_npy_list


def as_list(arrays):
    out = np.empty(len(arrays), object)
    out[:] = arrays
    return out


def test_list_is_what_numpy_saved(tmp_path):
    arrays = [
        np.arange(6.0).reshape(3, 2), np.zeros((0, 2)), np.array([[1, 2]], np.int32),
        np.asfortranarray(np.eye(3)[:, :2]), np.arange(3, dtype='>f4'),
    ]  # fmt: skip
    np.save(tmp_path / 'a.npy', as_list(arrays), allow_pickle=True)
    for one, other in zip(read_npy_list(tmp_path / 'a.npy'), arrays, strict=True):
        assert one.dtype == other.dtype
        np.testing.assert_array_equal(one, other)
    np.save(tmp_path / 'b.npy', as_list([[], np.array([], object), np.ones(2)]), allow_pickle=True)
    assert [one.size for one in read_npy_list(tmp_path / 'b.npy')] == [0, 0, 2]


class Hostile:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (self.path,)


def test_what_is_no_list_of_arrays(tmp_path):
    path = tmp_path / 'a.npy'
    with pytest.raises(MissingFileError, match='no file'):
        read_npy_list(path)
    np.save(path, as_list([Hostile(str(tmp_path / 'made'))]), allow_pickle=True)
    with pytest.raises(DataError, match=r"a.npy: it refers to 'posix.mkdir', which is no array of numbers"):
        read_npy_list(path)
    assert not (tmp_path / 'made').exists()
    for content, message in (
        (as_list([np.array(['a'])]), 'arrays of <U1, no numbers'),
        (as_list([as_list([np.ones(2)])]), 'its elements hold Python objects'),
        (as_list(['text']), 'an element is a str, no array'),
    ):
        np.save(path, content, allow_pickle=True)
        with pytest.raises(DataError, match=message):
            read_npy_list(path)
    np.save(path, np.ones(3))
    with pytest.raises(DataError, match=r'holds float64 of shape \(3,\), no list of arrays'):
        read_npy_list(path)
    for damage in (b'', b'nothing', written(as_list([np.ones(2)]))[:-20]):
        path.write_bytes(damage)
        with pytest.raises(DataError, match='a.npy is damaged, or is no list of arrays'):
            read_npy_list(path)
    # An array that claims more numbers than it has.
    path.write_bytes(written(as_list([np.ones(2)])).replace(b'K\x02\x85', b'K\x09\x85'))
    with pytest.raises(DataError, match='has not the bytes for it'):
        read_npy_list(path)


def written(array):
    file = io.BytesIO()
    np.lib.format.write_array(file, array, allow_pickle=True)
    assert pickle.PROTO in file.getvalue()
    return file.getvalue()
