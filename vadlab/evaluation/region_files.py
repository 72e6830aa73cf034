"""Reading detections of other programs, and true tracks: one ``NAME.txt`` per video, one row per box."""

from pathlib import Path

import numpy as np

from vadlab.datasets.video_names import video_id_of
from vadlab.utils.errors import DataError, MissingFileError
from vadlab.utils.natural_order import natural_sorted
from vadlab.utils.text_file import read_lines

DETECTION_COLUMNS = ('frame', 'x1', 'y1', 'x2', 'y2', 'score')
TRACK_COLUMNS = ('track', 'frame', 'x1', 'y1', 'x2', 'y2')


def read_region_files(folder: str | Path, columns: tuple[str, ...]) -> dict[str, np.ndarray]:
    """Read the boxes of videos in the file format of the region- and track-based criteria.

    Args:
        folder (str | Path): Has one ``NAME.txt`` per video, with rows of comma-separated numbers; an empty file is a
            video without boxes. Frames count from 0, boxes are in pixels.
        columns (tuple[str, ...]): Columns of a row, :data:`DETECTION_COLUMNS` or :data:`TRACK_COLUMNS`.

    Returns:
        dict[str, np.ndarray]: Rows by video id, float64, shape (M, len(columns)).

    Raises:
        MissingFileError: There is no such file.
        DataError: A row is invalid, a box ends before it starts, a frame is below 0, or a value is not finite.
    """
    paths = natural_sorted(Path(folder).glob('*.txt'))
    if not paths:
        raise MissingFileError(f'There is no NAME.txt with rows {",".join(columns)} in {folder}')
    return {video_id_of(path.stem): _read(path, columns) for path in paths}


def _read(path: Path, columns: tuple[str, ...]) -> np.ndarray:
    rows = []
    for number, line in enumerate(read_lines(path), start=1):
        if not line.strip():
            continue
        try:
            row = [float(cell) for cell in line.replace(',', ' ').split()]
        except ValueError as error:
            raise DataError(f'{path}, line {number}: {error}. A row is {",".join(columns)}') from error
        fault = ''
        if len(row) != len(columns):
            fault = f'{len(row)} numbers'
        elif not np.isfinite(row).all():
            fault = 'a value that is NaN or infinite'
        else:
            named = dict(zip(columns, row, strict=True))
            if named['frame'] < 0 or named['frame'] != int(named['frame']):
                fault = f'the frame {named["frame"]:g}; frames are whole numbers from 0'
            elif named['x2'] < named['x1'] or named['y2'] < named['y1']:
                fault = 'a box that ends before it starts'
        if fault:
            raise DataError(f'{path}, line {number} has {fault}. A row is {",".join(columns)}')
        rows.append(row)
    return np.array(rows).reshape(-1, len(columns))
