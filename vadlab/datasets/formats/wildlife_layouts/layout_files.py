"""Functions shared by the readers of public layouts."""

from collections.abc import Sequence
from pathlib import Path

from vadlab.utils.errors import DataError, MissingFileError
from vadlab.utils.suggest import nearest
from vadlab.utils.text_file import read_records


def read_table(path: Path, columns: Sequence[str], delimiter: str = ',') -> list[dict[str, str]]:
    """Rows of a text table by column names.

    Args:
        path (Path): The file, in UTF-8.
        columns (Sequence[str]): Required columns.
        delimiter (str): Between cells.

    Raises:
        MissingFileError: There is no such file.
        DataError: It cannot be read, or a column is missing.
    """
    if not path.is_file():
        raise MissingFileError(f'There is no {path}')
    header, rows = read_records(path, delimiter)
    check_columns(path, header, columns)
    return rows


def check_columns(path: Path, header: Sequence[str], columns: Sequence[str]) -> None:
    """Check that a table has the columns of its layout.

    Raises:
        DataError: A column is missing.
    """
    for name in columns:
        if name not in header:
            raise DataError(f'{path}: has no column {name!r}, which its layout requires. {nearest(name, list(header))}')


def unique_ids(names: Sequence[str]) -> list[str]:
    """Names made unique: the second ``a`` becomes ``a_2``."""
    seen: dict[str, int] = {}
    out = []
    for name in names:
        seen[name] = seen.get(name, 0) + 1
        out.append(name if seen[name] == 1 else f'{name}_{seen[name]}')
    return out


def joined(labels: Sequence[str]) -> str:
    """Labels as a cell of the metadata: distinct, in order, separated by ``;``."""
    return ';'.join(dict.fromkeys(label.strip().replace(';', ',') for label in labels if label.strip()))
