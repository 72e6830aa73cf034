"""Metadata of clips: one CSV format for all sources."""

import csv
import difflib
import io
import math
import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from vadlab.utils.atomic import write_text
from vadlab.utils.errors import ConfigError, DataError, MissingFileError, check_names
from vadlab.utils.suggest import nearest
from vadlab.utils.text_file import read_table

from ..problem_list import ProblemList
from .class_names import equal_but_for_case

SPLITS = ('train', 'val', 'test')
#: Columns with a fixed meaning; all others are heads, or kept unchanged.
COLUMNS = ('clip_id', 'video', 'split', 'start', 'end', 'audio')
_OPTIONAL = ('start', 'end', 'audio')
_LOOKS_LIKE = 0.8  # similarity from which a column counts as misspelled
#: What pandas and spreadsheets write for a missing value. NA and None may be names.
_MISSING_VALUES = {'nan', '<na>', 'nat', '#n/a'}
_FORBIDDEN = set('\\:*?"<>|\0\n\r\t')


@dataclass(frozen=True)
class AVClipRecord:
    """One line of the metadata.

    Attributes:
        clip_id (str): Unique over all splits; also the name of its prepared files, so ``/`` makes folders.
        video (str): The video's path below the folder of videos.
        split (str): ``train``, ``val`` or ``test``.
        start (float | None): Start of the clip in the video, in seconds; None for the video's start.
        end (float | None): End of the clip, in seconds; None for the video's end.
        audio (str): Separate file with the sound, below the folder of videos; empty for the video's own track.
        columns (dict[str, str]): All other columns.
    """

    clip_id: str
    video: str
    split: str
    start: float | None = None
    end: float | None = None
    audio: str = ''
    columns: dict[str, str] = field(default_factory=dict)

    def labels(self, head: str) -> tuple[str, ...]:
        """The labels in a column: separated by ``;``, none in an empty cell."""
        return tuple(dict.fromkeys(label for part in self.columns[head].split(';') if (label := part.strip())))


def read_metadata(
    path: str | os.PathLike | Sequence[str | os.PathLike], heads: Sequence[str] = ()
) -> list[AVClipRecord]:
    """Read and check metadata; all problems are reported in one error.

    Args:
        path (str | Sequence[str]): A CSV with a column ``split``; or a folder with ``train.csv``, ``val.csv`` and
            ``test.csv``, or such files, whose names are the splits.
        heads (Sequence[str]): Required columns.

    Returns:
        list[AVClipRecord]: The clips, in the order of the files.

    Raises:
        MissingFileError: There is no such file.
        DataError: A file cannot be read, a column is missing or misspelled, a cell is invalid, a clip is listed twice,
            or labels differ only in capital letters or spaces.
    """
    files = _files(path)
    problems = ProblemList('Metadata')
    records: list[AVClipRecord] = []
    for file in files:
        records += _read_file(file, heads, problems)
    _check_unique(records, problems)
    for head in heads:
        for same in equal_but_for_case(label for record in records for label in record.labels(head)):
            problems.note(f'labels of {head} differ in capital letters or spaces only', ' and '.join(map(repr, same)))
    problems.raise_if_any(', '.join(map(str, files)), 'Fix these lines')
    return records


def classes_of(records: Sequence[AVClipRecord], column: str, source: str) -> list[str]:
    """All labels of a column, sorted; ``source`` names the file in the error if there are none."""
    classes = sorted({label for record in records for label in record.labels(column)})
    if not classes:
        raise DataError(f'{source}: no training clip has a label in the column {column!r}')
    return classes


def write_metadata(path: str | os.PathLike, records: Sequence[AVClipRecord]) -> None:
    """Write records atomically as one CSV, which :func:`read_metadata` reads.

    Args:
        path (str): The file; missing folders are made.
        records (Sequence[AVClipRecord]): The clips; their other columns may differ.

    Raises:
        DataError: A name is not UTF-8.
    """
    check_names((name for record in records for name in (record.clip_id, record.video)), 'videos')
    write_text(path, format_metadata(records))


def format_metadata(records: Sequence[AVClipRecord]) -> str:
    """Records as the text of a CSV."""
    others = list(dict.fromkeys(name for record in records for name in record.columns))
    used = [name for name in _OPTIONAL if any(getattr(record, name) not in (None, '') for record in records)]
    text = io.StringIO()
    writer = csv.writer(text, lineterminator='\n')
    writer.writerow(['clip_id', 'video', 'split', *others, *used])
    for record in records:
        writer.writerow(
            [record.clip_id, record.video, record.split]
            + [record.columns.get(name, '') for name in others]
            + [_format(getattr(record, name)) for name in used]
        )
    return text.getvalue()


def _format(value: float | str | None) -> str:
    return f'{value:.6f}'.rstrip('0').rstrip('.') if isinstance(value, float) else value or ''


def unseen_labels(records: Sequence[AVClipRecord], head: str, classes: Sequence[str]) -> Counter[str]:
    """Labels of a head that are not among the classes, with their numbers of clips."""
    known = set(classes)
    return Counter(label for record in records for label in record.labels(head) if label not in known)


def describe_unseen(unseen: Counter[str], classes: Sequence[str]) -> str:
    """A phrase that lists labels that are not in training, each with the class that may be meant."""
    parts = []
    for label, count in unseen.most_common(5):
        close = difflib.get_close_matches(label, classes, n=1, cutoff=0.6)
        parts.append(f'{label!r} of {count} clips' + (f' (a misspelling of {close[0]!r}?)' if close else ''))
    return ', '.join(parts) + (', ...' if len(unseen) > 5 else '')


def _files(path: str | os.PathLike | Sequence[str | os.PathLike]) -> list[Path]:
    files = [Path(path)] if isinstance(path, (str, os.PathLike)) else [Path(p) for p in path]
    if len(files) == 1 and files[0].is_dir():
        folder = files[0]
        files = [folder / f'{split}.csv' for split in SPLITS if (folder / f'{split}.csv').is_file()]
        if not files:
            raise MissingFileError(f'Metadata: the folder {folder} holds none of train.csv, val.csv and test.csv')
    for file in files:
        if not file.is_file():
            raise MissingFileError(f'Metadata: there is no file {file}')
    return files


def _read_file(file: Path, heads: Sequence[str], problems: ProblemList) -> list[AVClipRecord]:
    header, rows = _read_rows(file)
    split_of_name = file.stem if file.stem in SPLITS else None
    _check_header(file, header, heads, split_of_name)
    if not rows:
        raise DataError(f'{file}: has a header but no clip')
    found = []
    for number, row in rows:
        where = f'{file.name} line {number}'
        if len(row) != len(header):
            problems.note(f'lines have another number of cells than the header ({len(header)})', where)
            continue
        cells = {name: cell.strip() for name, cell in zip(header, row, strict=True)}
        for name in ('clip_id', 'video', 'audio', *heads):
            absent = [part for part in cells.get(name, '').split(';') if part.strip().lower() in _MISSING_VALUES]
            if absent:
                problems.note('cells hold a missing value: leave them empty', f'{where}: {name} is {absent[0]!r}')
        clip_id, video = cells.pop('clip_id'), cells.pop('video')
        split = cells.pop('split', '') or split_of_name or ''
        if not _is_usable_id(clip_id):
            problems.note('clip_ids cannot name a file', f'{where}: {clip_id!r}')
        if not video:
            problems.note('lines do not name a video', where)
        if split not in SPLITS:
            problems.note('splits are not train, val or test', f'{where}: {split!r}')
        elif split_of_name not in (None, split):
            problems.note('splits are not that of their file', f'{where}: {split!r}')
        start, end = (_seconds(cells.pop(name, ''), name, where, problems) for name in ('start', 'end'))
        if end is not None and end <= (start or 0.0):
            problems.note('ends are not after their starts', f'{where}: {start or 0:g} to {end:g} s')
        audio = cells.pop('audio', '')
        found.append(AVClipRecord(clip_id, video, split, start, end, audio, cells))
    return found


def _read_rows(file: Path) -> tuple[list[str], list[tuple[int, list[str]]]]:
    lines = read_table(file)
    if not lines:
        raise DataError(f'{file}: is empty; wanted a header with clip_id, video, split and a column for each head')
    header = [name.strip() for name in lines[0][1]]
    if len(header) == 1:
        other = next((sign for sign in (';', '\t', '|') if sign in header[0]), None)
        if other is not None:
            raise DataError(f'{file}: cells are separated by {other!r}; write a comma (and ; between several labels)')
    return header, lines[1:]


def _check_header(file: Path, header: list[str], heads: Sequence[str], split_of_name: str | None) -> None:
    double = [name for name, count in Counter(header).items() if count > 1]
    if double:
        raise DataError(f'{file}: the column {double[0]!r} is there twice')
    for name in ['clip_id', 'video', *heads, *([] if split_of_name else ['split'])]:
        if name not in header:
            hint = ', or name the files train.csv, val.csv and test.csv' if name == 'split' else ''
            others = [n for n in header if n not in COLUMNS or n == name] or header
            raise DataError(f'{file}: has no column {name!r}{hint}. {_nearest_column(name, others)}')
    for name in ('split', *_OPTIONAL):
        if name in header:
            continue
        like = [other for other in header if other not in COLUMNS and other not in heads and _resembles(other, name)]
        if like:
            raise DataError(
                f'{file}: the column {like[0]!r} looks like {name!r} and would not be read. Rename it (to {name!r}, '
                'or to something else if it is not meant)'
            )


def _nearest_column(name: str, header: Sequence[str]) -> str:
    by_key = {_key(other): other for other in header}
    if _key(name) in by_key:
        return f'Did you mean {by_key[_key(name)]!r}?'
    return nearest(name, header)


def _key(name: str) -> str:
    return name.lower().replace('_', '').replace(' ', '').replace('-', '')


def _resembles(other: str, name: str) -> bool:
    key = _key(other)
    units = ('s', 'sec', 'secs', 'seconds', 'time', 'times', 'second')
    if key in {name + unit for unit in units}:
        return True
    return difflib.SequenceMatcher(None, key, name).ratio() >= _LOOKS_LIKE and abs(len(key) - len(name)) <= 1


def _seconds(text: str, name: str, where: str, problems: ProblemList) -> float | None:
    if not text:
        return None
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value) or value < 0:
        problems.note(f'{name}s are not seconds >= 0', f'{where}: {text!r}')
        return None
    return value


def _is_usable_id(clip_id: str) -> bool:
    parts = PurePosixPath(clip_id).parts
    return (
        bool(parts)
        and '/'.join(parts) == clip_id
        and not _FORBIDDEN & set(clip_id)
        and all(not part.startswith('.') and len(part.encode()) < 200 for part in parts)
        and not clip_id.startswith('/')
    )


def _check_unique(records: Sequence[AVClipRecord], problems: ProblemList) -> None:
    by_id: dict[str, AVClipRecord] = {}
    by_part: dict[tuple, AVClipRecord] = {}
    for record in records:
        first = by_id.setdefault(record.clip_id, record)
        if first is not record:
            both = record.split if first.split == record.split else f'{first.split} and {record.split}'
            problems.note('clips are listed twice', f'{record.clip_id} in {both}')
            continue
        part = (record.video, record.start or 0.0, record.end)
        same = by_part.setdefault(part, record)
        if same.split != record.split:
            problems.note(
                'clips are in two splits under two names',
                f'{same.clip_id} in {same.split} is {record.clip_id} in {record.split}: {record.video}',
            )


def heads_of(records: Sequence[AVClipRecord], wanted: Sequence[str] | None, usual: Sequence[str]) -> list[str]:
    """The columns that are heads: the wanted ones, or those of the usual ones that exist.

    Raises:
        ConfigError: A wanted column is missing.
    """
    columns = list(dict.fromkeys(name for record in records for name in record.columns))
    for name in wanted or ():
        if name not in columns:
            raise ConfigError(f'The metadata has no column {name!r}. {_nearest_column(name, columns)}')
    return list(wanted) if wanted is not None else [name for name in usual if name in columns]
