import numpy as np
import pytest
from PIL import Image
from scipy.io import savemat

from vadlab.datasets.formats.pixel_masks import read_avenue_masks, read_ped2_masks
from vadlab.utils.errors import DataError, MissingFileError


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
    with pytest.raises(MissingFileError, match=r'no mask \(Test001_gt/\*.bmp or'):
        read_ped2_masks(tmp_path)
    write_ped2(tmp_path, {'Test001': [0, 1]})
    (tmp_path / 'Test001' / '002.tif').unlink()
    with pytest.raises(DataError, match='Test001: 2 masks in .* for 1 frames'):
        read_ped2_masks(tmp_path)
    (tmp_path / 'Test001_gt' / '002.bmp').write_bytes(b'broken')
    with pytest.raises(DataError, match='002.bmp is not a picture'):
        read_ped2_masks(tmp_path)


def write_masks(folder, form, flags, suffix='bmp', mode='L'):
    folder.mkdir(parents=True, exist_ok=True)
    for i, flag in enumerate(flags, start=1):
        mask = np.zeros((6, 8), np.uint8)
        mask[2, 3] = 255 * flag
        Image.fromarray(mask).convert(mode).save(folder / f'{form.format(i)}.{suffix}')


@pytest.mark.parametrize(('form', 'suffix'), [('{}', 'bmp'), ('frame{}', 'png'), ('{:03d}', 'png')])
def test_masks_are_in_the_order_of_their_numbers(tmp_path, form, suffix):
    flags = [False] * 12 + [True] * 8
    write_masks(tmp_path / 'Test001_gt', form, flags, suffix)
    assert read_ped2_masks(tmp_path)['Test001'].tolist() == flags


@pytest.mark.parametrize('mode', ['1', 'L', 'P', 'RGB', 'RGBA', 'LA'])
def test_png_masks_of_any_mode(tmp_path, mode):
    write_masks(tmp_path / '01_gt', '{:03d}', [0, 1, 1], 'png', mode)
    assert read_ped2_masks(tmp_path)['Test001'].tolist() == [False, True, True]


def test_png_copies_beside_the_originals_count_once(tmp_path):
    for suffix in ('bmp', 'png'):
        write_masks(tmp_path / 'Test003_gt', '{:03d}', [0, 1], suffix)
    assert read_ped2_masks(tmp_path)['Test003'].tolist() == [False, True]
    write_masks(tmp_path / 'Test003_gt', 'frame{:03d}', [0, 1], 'png')
    with pytest.raises(DataError, match='2 .bmp and 4 .png masks with different names'):
        read_ped2_masks(tmp_path)


def test_folders_without_gt_hold_masks_or_are_refused(tmp_path):
    write_masks(tmp_path / '10', '{}', [0, 1])
    write_masks(tmp_path / '2', '{}', [1, 0])
    assert {k: v.tolist() for k, v in read_ped2_masks(tmp_path).items()} == {
        'Test002': [True, False], 'Test010': [False, True],
    }  # fmt: skip
    assert list(read_ped2_masks(tmp_path)) == ['Test002', 'Test010']
    assert list(read_ped2_masks(tmp_path, ['Test010'])) == ['Test010']
    Image.fromarray(np.arange(48, dtype=np.uint8).reshape(6, 8)).save(tmp_path / '2/1.bmp')
    with pytest.raises(DataError, match='1.bmp has more than two values: it is a frame'):
        read_ped2_masks(tmp_path)


def test_masks_that_do_not_fit_together(tmp_path):
    write_masks(tmp_path / 'Test001_gt', '{:03d}', [0, 1, 1, 0])
    Image.fromarray(np.zeros((8, 8), np.uint8)).save(tmp_path / 'Test001_gt/004.bmp')
    with pytest.raises(DataError, match='004.bmp: the masks .* different sizes, 8x6 and 8x8'):
        read_ped2_masks(tmp_path)
    (tmp_path / 'Test001_gt/002.bmp').unlink()
    with pytest.raises(DataError, match='there is no mask for frame number 2'):
        read_ped2_masks(tmp_path)
    (tmp_path / '1_gt').mkdir()
    write_masks(tmp_path / '1_gt', '{}', [1])
    with pytest.raises(DataError, match='both hold masks of Test001'):
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


def test_avenue_faults(tmp_path):
    with pytest.raises(MissingFileError, match='no label'):
        read_avenue_masks(tmp_path)
    savemat(tmp_path / '1_label.mat', {'labels': np.ones(3)})
    with pytest.raises(DataError, match='has no volLabel'):
        read_avenue_masks(tmp_path)
    (tmp_path / '1_label.mat').write_bytes(b'broken')
    with pytest.raises(DataError, match='is not a MATLAB file'):
        read_avenue_masks(tmp_path)
