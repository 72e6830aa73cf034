import numpy as np
import pytest

from vadlab.utils import npy_file
from vadlab.utils.errors import DataError
from vadlab.utils.npy_file import map_npy, open_npz, read_npy


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
        (b'hello', 'a.npy is not an .npy file'),
        (whole[:60], 'a.npy is damaged: its header cannot be read'),
        (whole[:200], 'a.npy is cut short: 200 of 640 bytes'),
        (objects, 'holds Python objects'),
    ):
        path.write_bytes(content)
        with pytest.raises(ValueError, match=message):
            read_npy(path)
    with pytest.raises(FileNotFoundError):
        read_npy(tmp_path / 'b.npy')


def test_damage_and_claims_of_archives_are_found(tmp_path, monkeypatch):
    path = tmp_path / 'a.npz'
    np.savez(path, a=np.arange(8.0), b=np.ones((2, 3), order='F'))
    arrays = open_npz(path)
    np.testing.assert_array_equal(arrays['a'](), np.arange(8.0))
    np.testing.assert_array_equal(arrays['b'](), np.ones((2, 3)))
    whole = path.read_bytes()
    at = whole.find(np.arange(8.0).tobytes()) + 20
    path.write_bytes(whole[:at] + b'\xaa' + whole[at + 1 :])
    with pytest.raises(DataError, match=r"a.npz: the array 'a' is damaged \(Bad CRC-32"):
        open_npz(path)['a']()
    np.savez_compressed(path, a=np.zeros(100_000))
    monkeypatch.setattr(npy_file, 'MOST_BYTES', 1000)
    with pytest.raises(DataError, match="the array 'a' has 800,128 bytes when unpacked; the limit is 1,000"):
        open_npz(path)['a']()
    path.write_bytes(whole[:100])
    with pytest.raises(DataError, match='a.npz is not an .npz file, or is cut short'):
        open_npz(path)


def test_a_shape_is_held_to_the_size_of_the_file_before_memory_is_taken(tmp_path):
    path = tmp_path / 'a.npy'
    for shape, descr, message in (
        ('(1000000000000,)', '<f8', 'is cut short: .* of 8,000,000,000,'),
        ('(-1,)', '<f8', 'is damaged'),
        ('(1000000000000,)', '|V0', 'is damaged'),
        ('(' * 3000, '<f8', 'is damaged'),
    ):
        header = f"{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}, }}".encode()
        path.write_bytes(b'\x93NUMPY\1\0' + len(header).to_bytes(2, 'little') + header)
        for read in (read_npy, map_npy):
            with pytest.raises(DataError, match=f'a.npy {message}'):
                read(path)


def test_a_mapped_array_equals_a_read_one(tmp_path):
    for array in (np.arange(6.0).reshape(2, 3), np.asfortranarray(np.arange(6).reshape(2, 3)), np.zeros((0, 4))):
        np.save(tmp_path / 'a.npy', array)
        np.testing.assert_array_equal(map_npy(tmp_path / 'a.npy'), array)
        np.testing.assert_array_equal(read_npy(tmp_path / 'a.npy'), array)
