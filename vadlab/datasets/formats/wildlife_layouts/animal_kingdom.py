import ast
from pathlib import Path
from typing import Any

from vadlab.datasets.problem_list import ProblemList
from vadlab.utils.errors import DataError, MissingFileError

from ..av_clip_metadata import AVClipRecord
from .layout_files import check_columns, joined, read_table
from .workbook import read_sheet

_COLUMNS = ('video_id', 'type', 'list_animal', 'list_animal_action')
_SPLITS = {'train': 'train', 'val': 'val', 'validation': 'val', 'test': 'test'}


def read_animal_kingdom(root: Path) -> list[AVClipRecord]:
    """Read Animal Kingdom's action recognition part: clips with labels for all animals and all actions.

    Ng et al., "Animal Kingdom", CVPR 2022, arXiv:2204.08129. Layout of the release, relative to its
    ``action_recognition``::

        AR_metadata.xlsx        sheet AR: video_id, type (train, test), labels, list_animal, list_animal_action, ...
        dataset/video/<video_id>.mp4
        annotation/{train,val}.csv, df_action.xlsx    the same actions per frame, as numbers; not read here

    ``list_animal`` is a Python list of names, ``list_animal_action`` one of (animal, action) pairs; an entry of the
    second with an apostrophe in the animal's name is such a list in a string. The folders were checked against the
    authors' repository (github.com/sutdcv/Animal-Kingdom, README_action_recognition.md), the sheet and its columns
    against four public programs that read it. The release (available on request) was not at hand. A table saved as
    ``AR_metadata.csv`` is also read.

    ``species`` and ``behaviour`` are multi-label. The authors define a training and a test split, but no validation
    split.

    Args:
        root (Path): ``action_recognition``, or the folder above it.

    Returns:
        list[AVClipRecord]: Clips, with paths relative to ``root``.

    Raises:
        MissingFileError: The table is missing.
        DataError: A column is missing, or a list cannot be read.
    """
    found = sorted(root.glob('AR_metadata.*')) or sorted(root.glob('action_recognition/AR_metadata.*'))
    table = next((path for path in found if path.suffix in ('.xlsx', '.csv')), None)
    if table is None:
        raise MissingFileError(f'{root} is not an Animal Kingdom release: AR_metadata.xlsx is not in it')
    rows = read_sheet(table, 'AR') if table.suffix == '.xlsx' else read_table(table, _COLUMNS)
    check_columns(table, list(rows[0]) if rows else [], _COLUMNS)
    videos = _video_folder(root, table.parent)
    problems, records = ProblemList('Animal Kingdom'), []
    for row in rows:
        try:
            animals, pairs = _animals(row['list_animal']), _pairs(row['list_animal_action'])
        except (ValueError, SyntaxError, TypeError, IndexError, RecursionError, MemoryError) as error:
            problems.note('lists of animals and actions cannot be read', f'{row["video_id"]}: {error}')
            continue
        if row['type'].lower() not in _SPLITS:
            problems.note('types are neither train nor test', f'{row["video_id"]}: {row["type"]!r}')
            continue
        records.append(
            AVClipRecord(
                clip_id=row['video_id'],
                video=(videos / f'{row["video_id"]}.mp4').as_posix(),
                split=_SPLITS[row['type'].lower()],
                columns=dict(species=joined(animals), behaviour=joined([action for _, action in pairs])),
            )
        )
    problems.raise_if_any(str(table), 'Is this the table of the release?')
    return records


def _video_folder(root: Path, table_folder: Path) -> Path:
    """Folder of the videos, relative to the root; the release's folder if there are none yet."""
    places = [table_folder / 'dataset' / 'video', table_folder / 'video', table_folder / 'dataset', root / 'video']
    return next((place for place in places if place.is_dir()), places[0]).relative_to(root)


def _animals(text: str) -> list[str]:
    return [str(name) for name in _as_list(text)]


def _pairs(text: str) -> list[tuple[str, str]]:
    pairs = []
    for entry in _as_list(text):
        # "[(\"Pallas's Gull\", 'Flying')]": the release quotes such entries twice.
        for animal, action in _as_list(entry) if isinstance(entry, str) else [entry]:
            pairs.append((str(animal), str(action)))
    return pairs


def _as_list(text: str) -> list[Any]:
    found = ast.literal_eval(text)
    found = [found] if isinstance(found, tuple) and found and not isinstance(found[0], tuple) else list(found)
    if not all(isinstance(entry, (str, tuple, list)) for entry in found):
        raise DataError(f'{text[:60]!r} is not a list of names')
    return found
