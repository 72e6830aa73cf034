"""Ground truth of the small benchmarks, which comes as pixel masks: a frame with any anomalous pixel is anomalous."""

import re
from pathlib import Path

import numpy as np

from vadlab.utils.errors import DataError, MissingDependencyError, MissingFileError

_AVENUE = re.compile(r'(\d+)_label\.mat')


def read_ped2_masks(folder: str | Path) -> dict[str, np.ndarray]:
    """UCSD Ped2 (and Ped1): which frames are anomalous, from ``Test001_gt/*.bmp``.

    Mahadevan et al., "Anomaly Detection in Crowded Scenes", CVPR 2010. Frames are ``Test001/*.tif``; where that folder
    is there, it must hold as many of them as there are masks.

    Args:
        folder (str | Path): The ``Test`` folder, which holds ``Test001_gt`` and so on.

    Returns:
        dict[str, np.ndarray]: By video (``Test001``): bool, shape (N,).

    Raises:
        MissingFileError: There is no ``*_gt`` folder with masks.
        DataError: Masks that cannot be read, or other numbers of masks than of frames.
    """
    from PIL import Image

    masks: dict[str, np.ndarray] = {}
    for truth in sorted(path for path in _folder(folder, 'Ped2').glob('*_gt') if path.is_dir()):
        # The public archive carries its maker's hidden copies of files (._001.bmp), which are no pictures.
        pictures = sorted(path for path in truth.iterdir() if _is_picture(path, '.bmp'))
        if not pictures:
            continue
        frames = []
        for path in pictures:
            try:
                with Image.open(path) as picture:
                    frames.append(bool(np.asarray(picture).any()))
            except OSError as error:
                raise DataError(f'{path} is no picture that can be read: {error}') from error
        name = truth.name.removesuffix('_gt')
        video = truth.with_name(name)
        count = sum(_is_picture(path, '.tif') for path in video.iterdir()) if video.is_dir() else len(frames)
        if count != len(frames):
            raise DataError(f'{name}: {len(frames)} masks in {truth} for {count} frames in {video}')
        masks[name] = np.array(frames)
    if not masks:
        raise MissingFileError(
            f"There is no mask (Test001_gt/*.bmp) in {folder}. Give UCSDped2's folder Test, which holds them"
        )
    return masks


def _is_picture(path: Path, suffix: str) -> bool:
    return path.suffix.lower() == suffix and not path.name.startswith('.')


def read_avenue_masks(folder: str | Path) -> dict[str, np.ndarray]:
    """CUHK Avenue: which frames are anomalous, from ``1_label.mat`` and so on.

    Lu et al., "Abnormal Event Detection at 150 FPS in MATLAB", ICCV 2013. A file holds ``volLabel``: a cell for each
    frame, with a mask of the picture's size.

    Args:
        folder (str | Path): ``testing_label_mask``.

    Returns:
        dict[str, np.ndarray]: By video as its file is called (``01`` of ``01.avi``): bool, shape (N,).

    Raises:
        MissingFileError: There is no such file.
        DataError: A file that cannot be read, or holds no ``volLabel``.
        MissingDependencyError: scipy, which reads these files, is not installed.
    """
    try:
        from scipy.io import loadmat
        from scipy.io.matlab import MatReadError
    except ImportError as error:
        raise MissingDependencyError("Avenue's .mat files are read with scipy: pip install scipy") from error
    masks: dict[str, np.ndarray] = {}
    found = [(match, path) for path in _folder(folder, 'Avenue').iterdir() if (match := _AVENUE.fullmatch(path.name))]
    for match, path in sorted(found, key=lambda entry: int(entry[0][1])):
        try:
            cells = loadmat(path).get('volLabel')
        except (MatReadError, ValueError, NotImplementedError, OSError) as error:
            raise DataError(f'{path} is no MATLAB file that can be read: {error}') from error
        if cells is None:
            raise DataError(f'{path} holds no volLabel')
        cells = np.ravel(cells) if cells.dtype == object else np.moveaxis(np.atleast_3d(cells), 2, 0)
        masks[f'{int(match[1]):02d}'] = np.array([bool(np.any(cell)) for cell in cells])
    if not masks:
        raise MissingFileError(f"There is no label (1_label.mat) in {folder}. Give Avenue's folder testing_label_mask")
    return masks


def _folder(path: str | Path, dataset: str) -> Path:
    if not Path(path).is_dir():
        raise MissingFileError(f'There is no folder {path}. Give the folder with the ground truth of {dataset}')
    return Path(path)
