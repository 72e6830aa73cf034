import sys

import numpy as np
import pytest
from PIL import Image
from scipy.io import savemat

from vadlab.datasets.formats.pixel_masks import read_avenue_masks, read_ped2_masks
from vadlab.utils.errors import DataError, MissingDependencyError, MissingFileError


def write_ped2(folder, frames):
    """Folders as UCSD's archive has them, with one of its hidden files."""
    for name, flags in frames.items():
        (folder / f'{name}_gt').mkdir(parents=True)
        (folder / name).mkdir()
        for i, flag in enumerate(flags, start=1):
            mask = np.zeros((6, 8), np.uint8)
            mask[2, 3] = 255 * flag
            Image.fromarray(mask).save(folder / f'{name}_gt' / f'{i:03d}.bmp')
            Image.fromarray(mask).save(folder / name / f'{i:03d}.tif')
        (folder / f'{name}_gt' / '._001.bmp').write_bytes(b'hidden')
    return folder


def test_ped2_frames_with_an_anomalous_pixel(tmp_path):
    masks = read_ped2_masks(write_ped2(tmp_path, {'Test001': [0, 1, 1, 0], 'Test002': [0, 0]}))
    assert {name: mask.tolist() for name, mask in masks.items()} == {
        'Test001': [False, True, True, False],
        'Test002': [False, False],
    }


def test_ped2_faults(tmp_path):
    with pytest.raises(MissingFileError, match='There is no folder'):
        read_ped2_masks(tmp_path / 'none')
    with pytest.raises(MissingFileError, match=r'no mask \(Test001_gt/\*.bmp\)'):
        read_ped2_masks(tmp_path)
    write_ped2(tmp_path, {'Test001': [0, 1]})
    (tmp_path / 'Test001' / '002.tif').unlink()
    with pytest.raises(DataError, match='Test001: 2 masks in .* for 1 frames'):
        read_ped2_masks(tmp_path)
    (tmp_path / 'Test001_gt' / '002.bmp').write_bytes(b'broken')
    with pytest.raises(DataError, match='002.bmp is no picture'):
        read_ped2_masks(tmp_path)


def write_avenue(folder, frames):
    folder.mkdir(exist_ok=True)
    for number, flags in frames.items():
        cells = np.empty((1, len(flags)), dtype=object)
        for i, flag in enumerate(flags):
            cells[0, i] = np.zeros((4, 5), np.uint8)
            cells[0, i][1, 2] = flag
        savemat(folder / f'{number}_label.mat', {'volLabel': cells})
    return folder


def test_avenue_videos_are_in_the_order_of_their_numbers(tmp_path):
    masks = read_avenue_masks(write_avenue(tmp_path, {10: [0, 1], 2: [1, 0, 0]}))
    assert {name: mask.tolist() for name, mask in masks.items()} == {'02': [True, False, False], '10': [False, True]}
    assert list(masks) == ['02', '10']


def test_avenue_as_one_array(tmp_path):
    volume = np.zeros((4, 5, 3), np.uint8)
    volume[0, 0, 2] = 1
    savemat(tmp_path / '1_label.mat', {'volLabel': volume})
    assert read_avenue_masks(tmp_path)['01'].tolist() == [False, False, True]


def test_avenue_faults(tmp_path, monkeypatch):
    with pytest.raises(MissingFileError, match='no label'):
        read_avenue_masks(tmp_path)
    savemat(tmp_path / '1_label.mat', {'labels': np.ones(3)})
    with pytest.raises(DataError, match='holds no volLabel'):
        read_avenue_masks(tmp_path)
    (tmp_path / '1_label.mat').write_bytes(b'broken')
    with pytest.raises(DataError, match='no MATLAB file'):
        read_avenue_masks(tmp_path)
    monkeypatch.setitem(sys.modules, 'scipy.io', None)
    with pytest.raises(MissingDependencyError, match='pip install scipy'):
        read_avenue_masks(tmp_path)
