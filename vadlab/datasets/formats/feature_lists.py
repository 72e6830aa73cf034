r"""Reading the public formats of lists of snippet features, and parsing their file names.

* VadCLIP: a csv of ``path,label``, one row per crop (``.../Abuse/Abuse001_x264__0.npy,Abuse``).
* RTFM: ``G:\UCF_Train_ten_crop_i3d\Abuse001_x264_i3d.npy``, all ten crops in one file.
* UR-DMU: ``dataset/Abuse/Abuse001_x264__0.npy``, one line per crop.
* PEL4VAD: ``train/Abuse001_x264.npy``, ``train/Abuse001_x264__1.npy``: no suffix is crop 0. For ShanghaiTech
  ``train/01_0014_0.npy 1.0``, with a label.
* The data sets' own lists of videos: ``Abuse/Abuse001_x264.mp4``, ``01_0014``.
"""

import re
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from vadlab.utils.errors import DataError
from vadlab.utils.text_file import read_lines, read_table

from ..video_names import VIDEO_ENDINGS, video_id_of

CROP_SEPARATORS = ('auto', '__', '_', None)

_EXTRACTOR = re.compile(r'_(i3d|c3d)$')
# Names may contain spaces and commas, so a name ends at the first file extension; without one, at the first separator.
_ENDINGS = '|'.join(re.escape(ending) for ending in ('.npy', *VIDEO_ENDINGS))
_LINE = re.compile(rf'(.*?(?:{_ENDINGS})|[^\s,]+)(?:(?:\s*,\s*|\s+)(\S.*))?', re.IGNORECASE)
_CROP = {separator: re.compile(rf'^(.+?){separator}(\d{{1,2}})$') for separator in ('__', '_')}


class ListEntry(NamedTuple):
    """One line of a list.

    Attributes:
        name (str): A feature file or a video, as in the list, with ``/`` between folders.
        label (str | None): Label beside it.
    """

    name: str
    label: str | None

    @property
    def is_file(self) -> bool:
        """Whether it names a feature file, not a video."""
        return self.name.lower().endswith('.npy')


def read_feature_list(path: str | Path) -> tuple[list[ListEntry], str]:
    """Read a list of feature files or of videos.

    Args:
        path (str | Path): A ``.csv`` with the columns ``path`` and ``label`` (others are skipped), or a text file
            with one name per line and, optionally, a label after spaces, a tab or a comma. Lines that begin with ``#``
            and a space are comments. UTF-8.

    Returns:
        tuple[list[ListEntry], str]: The entries in order, and the name of the format for the log.

    Raises:
        MissingFileError: There is no such file.
        DataError: It is not text, has no column ``path``, or no entry.
    """
    path = Path(path)
    if path.suffix.lower() == '.csv':
        entries, layout = _from_csv(path), 'csv'
    else:
        entries, layout = parse_list(read_lines(path)), 'list of features'
        if entries and not any(entry.is_file for entry in entries):
            layout = 'list of videos'
    if not entries:
        raise DataError(
            f'{path} is empty: it does not name a feature file. A line looks like: Abuse/Abuse001_x264__0.npy'
        )
    return entries, layout


def _from_csv(path: Path) -> list[ListEntry]:
    rows = [row for _, row in read_table(path)]
    if not rows:
        return []
    header = [cell.strip().lower() for cell in rows[0]]
    if 'path' not in header:
        raise DataError(f'{path}: the first line has no column "path" (it has: {", ".join(rows[0])})')
    at, label_at = header.index('path'), header.index('label') if 'label' in header else None
    entries = []
    for row in rows[1:]:
        name, label = (row[i].strip() if i is not None and i < len(row) else '' for i in (at, label_at))
        if name:
            entries.append(ListEntry(name.replace('\\', '/'), label or None))
    return entries


def parse_list(lines: Iterable[str]) -> list[ListEntry]:
    r"""Entries of a list in a text file.

    >>> parse_list(['# name and class', 'a/drinking (31).mp4\t1', 'Abuse001,Abuse'])
    [ListEntry(name='a/drinking (31).mp4', label='1'), ListEntry(name='Abuse001', label='Abuse')]
    """
    entries = []
    for line in lines:
        match = _LINE.fullmatch(line.strip())
        if match is not None and not f'{line.strip()} '.startswith('# '):
            entries.append(ListEntry(match[1].replace('\\', '/'), match[2]))
    return entries


def crop_separator_of(names: Iterable[str]) -> str | None:
    """Separator of a video's name and the number of the crop in a feature set.

    ``__`` before one or two digits always marks a crop (``Abuse001_x264__3``). A single ``_`` does only if all names
    have it, and each video then has the same crops, counted from 0 (``01_0014_0`` .. ``01_0014_9``), or all have the
    same single crop: ``clip_1``, ``clip_2`` are two videos.

    Args:
        names (Iterable[str]): File names, with or without folders and ``.npy``.

    Returns:
        str | None: ``__``, ``_`` or None.
    """
    stems = [_stem(name) for name in names]
    if any(_CROP['__'].match(stem) for stem in stems):
        return '__'
    crops = defaultdict(set)
    for stem in stems:
        match = _CROP['_'].match(stem)
        if match is None:
            return None
        crops[match[1]].add(int(match[2]))
    kinds = {frozenset(numbers) for numbers in crops.values()}
    if len(kinds) != 1:
        return None
    (numbers,) = kinds
    counted = numbers == frozenset(range(len(numbers))) and len(numbers) > 1
    return '_' if counted or (len(numbers) == 1 and len(crops) > 1) else None


def split_feature_name(name: str, separator: str | None = '__') -> tuple[str, int | None]:
    """Video id and crop number in the name of a feature file.

    >>> split_feature_name('Abuse/Abuse001_x264__3.npy')
    ('Abuse001_x264', 3)
    >>> split_feature_name('SH_Test_ten_crop_i3d/01_0015_i3d.npy')
    ('01_0015', None)
    >>> split_feature_name('train/01_0014_7.npy', '_')
    ('01_0014', 7)

    Args:
        name (str): Name with or without folders and ``.npy``.
        separator (str | None): Separator of video and crop, from :func:`crop_separator_of`.
    """
    stem, crop = _stem(name), None
    match = _CROP[separator].match(stem) if separator else None
    if match:
        stem, crop = match[1], int(match[2])
    return video_id_of(_EXTRACTOR.sub('', stem)), crop


def _stem(name: str) -> str:
    last = name.rpartition('/')[2]
    return last[:-4] if last[-4:].lower() == '.npy' and last[:-4].strip('.') else last
