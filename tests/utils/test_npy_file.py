import numpy as np
import pytest

from vadlab.utils.npy_file import read_npy


def test_arrays_come_back_as_they_are(tmp_path):
    array = np.arange(6, dtype=np.float16).reshape(2, 3)
    np.save(tmp_path / 'a.npy', array)
    found = read_npy(tmp_path / 'a.npy')
    assert found.dtype == np.float16
    np.testing.assert_array_equal(found, array)


def test_files_that_hold_no_whole_array_say_what_they_are(tmp_path):
    path = tmp_path / 'a.npy'
    np.save(path, np.arange(64))
    whole = path.read_bytes()
    np.save(path, np.array([None]))
    objects = path.read_bytes()
    for content, message in (
        (b'', 'a.npy is empty'),
        (b'hello', 'a.npy is no .npy file'),
        (whole[:60], 'a.npy is damaged: its header cannot be read'),
        (whole[:200], 'a.npy is cut short: 200 of 640 bytes'),
        (objects, 'holds Python objects'),
    ):
        path.write_bytes(content)
        with pytest.raises(ValueError, match=message):
            read_npy(path)
    with pytest.raises(FileNotFoundError):
        read_npy(tmp_path / 'b.npy')
