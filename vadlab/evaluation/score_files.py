"""Reading score files of other programs."""

import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path

import numpy as np

from vadlab.datasets.video_names import video_id_of
from vadlab.structures.video_result import RUN_FILE
from vadlab.utils.errors import DataError, MissingFileError
from vadlab.utils.natural_order import natural_sorted
from vadlab.utils.npy_file import open_npz, read_npy
from vadlab.utils.text_file import read_table

from .functional import reduce_crops

UNITS = ('auto', 'frame', 'snippet')

_CROP = re.compile(r'(.+)__(\d+)')
_MOST_KEPT = 1 << 28  # bytes of scores that stay in memory


class ScoreFiles(Mapping[str, np.ndarray]):
    """Scores by video id, each read from its files when it is looked up.

    Every file was read and checked before. Arrays of up to 256 MiB together stay in memory; the others are read again.

    Attributes:
        shapes (dict[str, tuple[int, ...]]): Shape of each video's scores: (N,), or (N, C) for class probabilities.
    """

    def __init__(self, readers: Mapping[str, Callable[[], np.ndarray]], shapes: Mapping[str, tuple[int, ...]]) -> None:
        self._readers = dict(readers)
        self.shapes = dict(shapes)

    def __getitem__(self, video_id: str) -> np.ndarray:
        return self._readers[video_id]()

    def __iter__(self) -> Iterator[str]:
        return iter(self._readers)

    def __len__(self) -> int:
        return len(self._readers)

    def renamed(self, names: Mapping[str, str]) -> 'ScoreFiles':
        """The same scores under other names.

        Args:
            names (Mapping[str, str]): By new name, the old one.
        """
        return ScoreFiles(
            {new: self._readers[old] for new, old in names.items()},
            {new: self.shapes[old] for new, old in names.items()},
        )


def shapes_of(scores: Mapping[str, np.ndarray]) -> dict[str, tuple[int, ...]]:
    """Shape of each video's scores, without reading them if they are :class:`ScoreFiles`."""
    return scores.shapes if isinstance(scores, ScoreFiles) else {name: np.shape(scores[name]) for name in scores}


def counts_of_results(source: str | Path, scores: Mapping[str, np.ndarray]) -> dict[str, int] | None:
    """Frames of each video, from the folder that ``tools/infer.py --out`` wrote: it has a score of every frame.

    Args:
        source (str | Path): What the scores were read from.
        scores (Mapping): Of :func:`read_scores`.

    Returns:
        dict[str, int] | None: By the names of ``scores``; None if ``source`` is not such a folder.
    """
    source = Path(source)
    if not source.is_dir() or not (source / RUN_FILE).is_file() or _own_scores(source):
        return None
    return {name: shape[0] for name, shape in shapes_of(scores).items()}


def read_scores(source: str | Path, crop: int | None = None, classes: Sequence[str] | None = None) -> ScoreFiles:
    """Check the scores of videos, and read them one video at a time.

    Args:
        source (str | Path): A folder with one ``NAME.npy`` or ``NAME.csv`` per video, or one ``.npz`` with one array
            per video, or the folder that ``tools/infer.py --out`` wrote. If all are called ``NAME__0``, ``NAME__1`` and
            so on, they are crops. A csv has one row per frame or snippet, with or without a header, and one column, a
            column called ``score``, or one column per class. A header with class names gives the order of columns.
        crop (int | None): Number of the crop to use; None: the mean of all.
        classes (Sequence[str] | None): Class names, Normal first, against which headers are checked.

    Returns:
        ScoreFiles: By video id, scores of shape (N,), or class probabilities of shape (N, C).

    Raises:
        MissingFileError: There is nothing to read.
        DataError: Files cannot be used, or videos have other crops than the rest; all are counted, the first is shown.
    """
    source = Path(source)
    readers: dict[str, Callable[[], np.ndarray]] = {}
    shapes: dict[str, tuple[int, ...]] = {}
    faults: list[str] = []
    kept = 0
    for name, load in _entries(source, tuple(classes or ())).items():
        try:
            array = _checked(load())
        except DataError as error:  # its message names the file
            faults.append(str(error))
        except ValueError as error:
            faults.append(f'{name}: {error}')
        else:
            shapes[name] = array.shape
            keeps = kept + array.nbytes <= _MOST_KEPT
            kept += array.nbytes if keeps else 0
            readers[name] = partial(_kept, array) if keeps else partial(_read_again, load, name, array.shape, source)
    if faults:
        total = len(faults) + len(readers)
        raise DataError(f'{source}: the scores of {len(faults)} of {total} cannot be used (first: {faults[0]})')
    return _by_video(readers, shapes, source, crop)


def _kept(array: np.ndarray) -> np.ndarray:
    return array


def _read_again(load: Callable[[], np.ndarray], name: str, shape: tuple[int, ...], source: Path) -> np.ndarray:
    try:
        array = _checked(load())
    except ValueError as error:
        raise DataError(f'{source}: {name}: {error}') from error
    if array.shape != shape:
        raise DataError(f'{source}: the scores of {name} changed while they were evaluated')
    return array


def _entries(source: Path, classes: tuple[str, ...]) -> dict[str, Callable[[], np.ndarray]]:
    """Functions that read the arrays, by name."""
    if source.is_dir():
        readers: dict[str, Callable[..., np.ndarray]] = {'.npy': read_npy, '.csv': partial(_read_csv, classes=classes)}
        paths = _own_scores(source)
        if not paths and (source / RUN_FILE).is_file():
            return _results_in(source)
        if not paths:
            raise MissingFileError(f'There is no score file (NAME.npy or NAME.csv) in {source}')
        twice = [stem for stem, count in Counter(path.stem for path in paths).items() if count > 1]
        if twice:
            raise DataError(f'{source}: {twice[0]} is there as .npy and as .csv; keep one')
        return {path.stem: partial(readers[path.suffix], path) for path in paths}
    if not source.is_file():
        raise MissingFileError(f'There are no predictions at {source}: neither a folder nor a file')
    if source.suffix == '.npy':
        raise DataError(f'{source} holds one array; give a folder with a file for each video, or an .npz of them')
    arrays = open_npz(source)
    if not arrays:
        raise MissingFileError(f'There is no array in {source}')
    return arrays


def _own_scores(folder: Path) -> list[Path]:
    """Files of scores in a folder that ``tools/infer.py`` does not write."""
    there = (path for path in folder.iterdir() if path.suffix in ('.npy', '.csv') and not path.name.startswith('.'))
    return natural_sorted(there)


def _results_in(folder: Path) -> dict[str, Callable[[], np.ndarray]]:
    """Functions that read the scores that ``tools/infer.py --out`` wrote; names are paths below the folder."""
    paths = natural_sorted(path for path in folder.rglob('*.npz') if path.with_suffix('.json').is_file())
    if not paths:
        raise MissingFileError(f'There is no result in {folder}')
    return {path.relative_to(folder).with_suffix('').as_posix(): partial(_scores_of, path) for path in paths}


def _scores_of(path: Path) -> np.ndarray:
    arrays = open_npz(path)
    if 'scores' not in arrays:
        raise DataError(f'{path} is not a result of tools/infer.py: it has no scores')
    if not len(scores := arrays['scores']()):
        raise DataError(f'{path}: the video was not scored; its .json has the reason')
    return scores


def _read_csv(path: Path, classes: tuple[str, ...]) -> np.ndarray:
    rows = [row for _, row in read_table(path)]
    header: list[str] = []
    if rows and not _is_number(rows[0][0]):
        header, rows = [cell.strip().lower() for cell in rows[0]], rows[1:]
    try:
        numbers = [[float(cell) for cell in row] for row in rows]
    except ValueError as error:
        raise ValueError(f'not a table of numbers: {error}') from error
    widths = {len(row) for row in numbers} | ({len(header)} if header else set())
    if len(widths) > 1:
        raise ValueError(f'rows of {min(widths)} to {max(widths)} columns')
    table = np.array(numbers)
    if table.ndim != 2:
        raise ValueError('a header without a row')
    if 'score' in header:
        return table[:, header.index('score')]
    if len(header) > 1 and classes:
        wanted = [name.lower() for name in classes]
        if sorted(header) != sorted(wanted):
            raise ValueError(
                f'its header names {", ".join(header)}: neither a column score nor the classes {", ".join(classes)}'
            )
        return table[:, [header.index(name) for name in wanted]]
    return table


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _checked(array: np.ndarray) -> np.ndarray:
    if array.dtype.kind not in 'biuf':
        raise ValueError(f'{array.dtype} is not a number')
    if array.ndim == 2 and array.shape[1] == 1:
        array = array[:, 0]
    if array.ndim not in (1, 2) or array.size == 0:
        raise ValueError(f'shape {array.shape}; expected (N,) scores or (N, C) class probabilities, N > 0')
    bad = int(np.count_nonzero(~np.isfinite(array)))
    if bad:
        raise ValueError(f'{bad} of {array.size} scores are NaN or infinite')
    return array.astype(np.float32) if array.dtype.kind != 'f' or array.dtype == np.float16 else array


def _by_video(
    readers: Mapping[str, Callable[[], np.ndarray]],
    shapes: Mapping[str, tuple[int, ...]],
    source: Path,
    crop: int | None,
) -> ScoreFiles:
    has_crops = all(_CROP.fullmatch(name) for name in readers)
    grouped: dict[str, dict[int, str]] = {}
    for name in readers:
        # Only if all names have such a suffix: `__1` may be part of a name.
        match = _CROP.fullmatch(name) if has_crops else None
        base, number = (match[1], int(match[2])) if match else (name, 0)
        group = grouped.setdefault(video_id_of(base), {})
        if number in group:
            raise DataError(f'{source} has scores of {video_id_of(base)} twice')
        group[number] = name
    if crop is None:
        _check_same_crops(grouped, source)
    result: dict[str, Callable[[], np.ndarray]] = {}
    shapes_found = {}
    for video_id, group in grouped.items():
        of_crops = {shapes[name] for name in group.values()}
        if len(of_crops) > 1:
            raise DataError(f'{video_id}: its crops have the shapes {" and ".join(map(str, sorted(of_crops)))}')
        if crop is not None and crop not in group:
            raise DataError(f'{video_id} has no crop {crop}; there are {", ".join(map(str, sorted(group)))}')
        names = list(group.values()) if crop is None else [group[crop]]
        result[video_id] = readers[names[0]] if len(names) == 1 else partial(_mean, [readers[name] for name in names])
        (shapes_found[video_id],) = of_crops
    return ScoreFiles(result, shapes_found)


def _mean(readers: Sequence[Callable[[], np.ndarray]]) -> np.ndarray:
    return reduce_crops(np.stack([read() for read in readers]))


def _check_same_crops(grouped: Mapping[str, Mapping[int, str]], source: Path) -> None:
    """Check that all videos have the same crops: a mean over fewer crops is another score."""
    usual, _ = Counter(tuple(sorted(group)) for group in grouped.values()).most_common(1)[0]
    others = [name for name, group in grouped.items() if tuple(sorted(group)) != usual]
    if others:
        listed, expected = (', '.join(map(str, crops)) for crops in (sorted(grouped[others[0]]), usual))
        raise DataError(
            f'{source}: {len(others)} of {len(grouped)} videos have other crops than the rest (first: {others[0]} has '
            f'{listed}, not {expected}). Complete them, or choose one that all have by --crop'
        )


def choose_unit(lengths: Mapping[str, int], num_frames: Mapping[str, int], snippet_len: int = 16) -> str:
    """The unit of scores: the one whose number is closer to the number of scores, on most videos.

    Args:
        lengths (Mapping[str, int]): Number of scores by video, > 0.
        num_frames (Mapping[str, int]): Frames of at least these videos.
        snippet_len (int): Frames per snippet.

    Returns:
        str: ``frame`` or ``snippet``.
    """
    ratios = [num_frames[name] / length for name, length in lengths.items()]
    return 'snippet' if float(np.median(ratios)) > snippet_len**0.5 else 'frame'
