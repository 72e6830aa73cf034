"""Frame masks from the pixel masks of UCSD Ped and CUHK Avenue: a frame with any anomalous pixel is anomalous."""

import re
from collections.abc import Collection
from pathlib import Path

import numpy as np

from vadlab.utils.errors import DataError, MissingFileError
from vadlab.utils.mat_file import read_mat
from vadlab.utils.natural_order import natural_sorted

_AVENUE = re.compile(r'(\d+)_label\.mat')
_PED = re.compile(r'(?:test)?_?(\d+)(?:_gt)?', re.IGNORECASE)
_MASKS = ('.bmp', '.png')
_PICTURES = (*_MASKS, '.tif', '.tiff', '.jpg', '.jpeg')


def ped2_name(name: str) -> str:
    """UCSD's name of a test clip, ``Test001``, also from ``01``, ``1`` or ``Test001_gt``.

    >>> [ped2_name(name) for name in ('01', 'Test012_gt', 'clip')]
    ['Test001', 'Test012', 'clip']
    """
    match = _PED.fullmatch(name)
    return f'Test{int(match[1]):03d}' if match else name


def ped2_folders(folder: str | Path) -> dict[str, Path]:
    """Mask folders of UCSD Ped2 (and Ped1) by clip, in the order of their numbers.

    Folders called ``Test001_gt`` or ``01_gt`` count; if there are none, those called ``Test001`` or ``01``.

    Raises:
        MissingFileError: There is no such folder.
        DataError: Two folders belong to the same clip.
    """
    inside = natural_sorted(path for path in _folder(folder, 'Ped2').iterdir() if path.is_dir())
    masks = [path for path in inside if path.name.lower().endswith('_gt')]
    masks = masks or [path for path in inside if _PED.fullmatch(path.name)]
    found = [path for path in masks if any(_pictures(path, _MASKS))]
    if not found:
        raise MissingFileError(
            f'There is no mask (Test001_gt/*.bmp or *.png) in {folder}. Give the folder with the masks of all clips, '
            "such as UCSDped2's folder Test"
        )
    named: dict[str, Path] = {}
    for path in found:
        other = named.setdefault(ped2_name(path.name), path)
        if other is not path:
            raise DataError(f'{other} and {path} both hold masks of {ped2_name(path.name)}. Remove one')
    return named


def read_ped2_masks(folder: str | Path, names: Collection[str] | None = None) -> dict[str, np.ndarray]:
    """Frame masks of UCSD Ped2 (and Ped1), from ``Test001_gt/*.bmp`` or ``*.png``.

    Mahadevan et al., "Anomaly Detection in Crowded Scenes", CVPR 2010. Masks are in the order of their numbers. Frames
    are ``Test001/*.tif``; if that folder exists, it must hold as many frames as there are masks.

    Args:
        folder (str | Path): The folder, as for :func:`ped2_folders`.
        names (Collection[str] | None): Clips to read; None reads all.

    Returns:
        dict[str, np.ndarray]: Frame masks by video (``Test001``): bool, shape (N,).

    Raises:
        MissingFileError: There is no folder with masks.
        DataError: Masks cannot be read or have several sizes or kinds, a number is missing, or the counts of masks and
            frames differ.
    """
    masks: dict[str, np.ndarray] = {}
    for name, truth in ped2_folders(folder).items():
        if names is not None and name not in names:
            continue
        masks[name] = _read_masks(truth)
        for video in (truth.with_name(name), truth.with_name(re.sub('_gt$', '', truth.name))):
            count = len(_pictures(video, _PICTURES)) if video.is_dir() and video != truth else 0
            if count and count != len(masks[name]):
                raise DataError(f'{name}: {len(masks[name])} masks in {truth} for {count} frames in {video}')
    return masks


def mask_pictures(folder: Path) -> list[Path]:
    """The masks in a folder, in the order of their numbers.

    Raises:
        DataError: BMP and PNG files have different names, or a number is missing.
    """
    paths = _pictures(folder, _MASKS)
    kinds = {suffix: [path for path in paths if path.suffix.lower() == suffix] for suffix in _MASKS}
    if all(kinds.values()):
        if {path.stem for path in kinds['.bmp']} != {path.stem for path in kinds['.png']}:
            counts = ' and '.join(f'{len(files)} {suffix}' for suffix, files in kinds.items())
            raise DataError(f'{folder} holds {counts} masks with different names. Keep one kind')
        paths = kinds['.bmp']
    numbers = [int(found[-1]) for path in paths if (found := re.findall('[0-9]+', path.stem))]
    lacking = sorted(set(range(min(numbers), max(numbers) + 1)) - set(numbers)) if len(numbers) == len(paths) else []
    if lacking:
        more = f' (and {len(lacking) - 1} more masks)' if len(lacking) > 1 else ''
        raise DataError(
            f'{folder}: there is no mask for frame number {lacking[0]}{more}. Each frame needs one: copy them again'
        )
    return paths


def _read_masks(folder: Path) -> np.ndarray:
    from PIL import Image

    paths = mask_pictures(folder)
    frames, sizes = [], set()
    for path in paths:
        try:
            with Image.open(path) as picture:
                # Colours instead of palette indices, and without transparency, which is 255 everywhere.
                has_more = picture.mode in ('P', 'PA', 'LA', 'RGBA')
                values = np.asarray(picture.convert('RGB') if has_more else picture)
        except Exception as error:  # Pillow raises many kinds of errors for damaged files
            raise DataError(f'{path} is not a picture that can be read: {error}') from error
        sizes.add(values.shape[:2])
        if len(sizes) > 1:
            shown = ' and '.join(f'{width}x{height}' for height, width in sorted(sizes))
            raise DataError(f'{path}: the masks in {folder} have different sizes, {shown}')
        if not folder.name.lower().endswith('_gt') and len(np.unique(values)) > 2:
            raise DataError(f'{path} has more than two values: it is a frame, not a mask. Give the folder of the masks')
        frames.append(bool(values.any()))
    return np.array(frames)


def _pictures(folder: Path, suffixes: Collection[str]) -> list[Path]:
    """Picture files in a folder, in the order of their numbers.

    Hidden files of the public archive (``._001.bmp``), which are not pictures, are skipped.
    """
    return natural_sorted(
        path for path in folder.iterdir() if path.suffix.lower() in suffixes and not path.name.startswith('.')
    )


def avenue_files(folder: str | Path) -> dict[str, Path]:
    """Label files of CUHK Avenue by video, ``01`` for ``1_label.mat``, in the order of their numbers.

    Raises:
        MissingFileError: There is no such folder, or no such file in it.
    """
    found = [path for path in natural_sorted(_folder(folder, 'Avenue').iterdir()) if _AVENUE.fullmatch(path.name)]
    if not found:
        raise MissingFileError(f"There is no label (1_label.mat) in {folder}. Give Avenue's folder testing_label_mask")
    return {f'{int(path.name.split("_")[0]):02d}': path for path in found}


def read_avenue_masks(folder: str | Path, names: Collection[str] | None = None) -> dict[str, np.ndarray]:
    """Frame masks of CUHK Avenue, from ``1_label.mat`` and so on.

    Lu et al., "Abnormal Event Detection at 150 FPS in MATLAB", ICCV 2013. A file holds ``volLabel``: a cell for each
    frame, with a mask of the picture's size.

    Args:
        folder (str | Path): ``testing_label_mask``.
        names (Collection[str] | None): Videos to read; None reads all.

    Returns:
        dict[str, np.ndarray]: Frame masks by video (``01`` for ``01.avi``): bool, shape (N,).

    Raises:
        MissingFileError: There is no such file.
        DataError: A file cannot be read, or has no ``volLabel``.
    """
    masks: dict[str, np.ndarray] = {}
    for name, path in avenue_files(folder).items():
        if names is not None and name not in names:
            continue
        cells = read_mat(path, 'volLabel')
        if cells is None or not len(cells):
            raise DataError(f'{path} has no volLabel')
        cells = cells if isinstance(cells, list) else np.moveaxis(np.atleast_3d(cells), 2, 0)
        masks[name] = np.array([bool(np.any(cell)) for cell in cells])
    return masks


def _folder(path: str | Path, dataset: str) -> Path:
    if not Path(path).is_dir():
        raise MissingFileError(f'There is no folder {path}. Give the folder with the ground truth of {dataset}')
    return Path(path)
