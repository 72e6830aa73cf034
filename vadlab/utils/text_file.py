"""Reading text files of unknown origin: lists, tables, annotations."""

import csv
import io
import os
import re
import stat
from pathlib import Path

from .errors import DataError, MissingFileError

#: Far above any text file that VADLab reads: COCO's captions have 0.1 GB.
MOST_BYTES = 2**30
_MOST_IN_A_CELL = 100_000  # characters


def read_bytes(path: str | os.PathLike[str], most: int | None = None) -> bytes:
    """Content of a regular file.

    Args:
        path (str | PathLike): The file.
        most (int | None): Refuse a larger file, in bytes; None for :data:`MOST_BYTES`.

    Raises:
        MissingFileError: There is no such file.
        DataError: It cannot be read, is not a regular file (a folder, a pipe, a device), or is too large.
    """
    most = MOST_BYTES if most is None else most
    try:
        # Opening a pipe without a writer would block.
        with open(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), 'rb') as file:
            found = os.fstat(file.fileno())
            if not stat.S_ISREG(found.st_mode):
                raise DataError(f'{path} is not a regular file')
            if found.st_size > most:
                raise DataError(f'{path} has {found.st_size:,} bytes; the limit is {most:,}')
            return file.read(most)
    except (FileNotFoundError, NotADirectoryError) as error:
        raise MissingFileError(f'There is no file {path}') from error
    except IsADirectoryError as error:
        raise DataError(f'{path} is a folder') from error
    except OSError as error:
        raise DataError(f'{path} cannot be read: {error.strerror}') from error
    except ValueError as error:
        if isinstance(error, DataError):
            raise
        raise MissingFileError(f'There is no file {os.fspath(path)!r}: {error}') from error


def read_text(path: str | os.PathLike[str]) -> str:
    """Content of a text file in UTF-8, with or without a byte order mark.

    Raises:
        MissingFileError: There is no such file.
        DataError: It cannot be read, is too large, or is not text in UTF-8; the message names the line.
    """
    return decode_text(read_bytes(path), path)


def decode_text(raw: bytes, source: str | os.PathLike[str]) -> str:
    """Decode bytes in UTF-8, with or without a byte order mark.

    Raises:
        DataError: They are not text in UTF-8.
    """
    advice = 'Save it in UTF-8'
    if raw[:2] in (b'\xff\xfe', b'\xfe\xff'):
        raise DataError(f'{source} is in UTF-16. {advice}')
    try:
        text = raw.decode('utf-8-sig')
    except UnicodeDecodeError as error:
        line = raw.count(b'\n', 0, error.start) + 1
        raise DataError(
            f'{source}, line {line}: the byte 0x{error.object[error.start]:02x} is not UTF-8. {advice}'
        ) from error
    if '\0' in text:
        line = text.count('\n', 0, text.index('\0')) + 1
        raise DataError(f'{source}, line {line}: a zero byte, which no text has. Is it a text file?')
    return text


def read_lines(path: str | os.PathLike[str]) -> list[str]:
    """Lines of a text file in UTF-8, without line breaks; see :func:`read_text`."""
    return split_lines(read_text(path))


def split_lines(text: str) -> list[str]:
    r"""Lines of a text. Unlike ``str.splitlines``, only ``\n``, ``\r\n`` and ``\r`` end a line.

    >>> split_lines('a\r\nb\u2028c\n')
    ['a', 'b\u2028c']
    """
    lines = re.split('\r\n|\r|\n', text)
    return lines[:-1] if lines[-1] == '' else lines


def read_table(path: str | os.PathLike[str], delimiter: str = ',') -> list[tuple[int, list[str]]]:
    """Rows of a table in UTF-8, with their line numbers; empty rows are skipped.

    Args:
        path (str | PathLike): The file.
        delimiter (str): Between cells.

    Returns:
        list[tuple[int, list[str]]]: Number of the row's last line, from 1, and its cells, unchanged.

    Raises:
        MissingFileError: There is no such file.
        DataError: It is not text in UTF-8, or not a table: a quote is not closed, or a cell has more than 100,000
            characters.
    """
    reader = csv.reader(io.StringIO(read_text(path), newline=''), delimiter=delimiter, strict=True)
    rows = []
    try:
        for row in reader:
            if any(len(cell) > _MOST_IN_A_CELL for cell in row):
                raise csv.Error(f'a cell has more than {_MOST_IN_A_CELL:,} characters')
            if any(cell.strip() for cell in row):
                rows.append((reader.line_num, row))
    except csv.Error as error:
        raise DataError(f'{path}, line {reader.line_num}: is not a table of cells ({error})') from error
    return rows


def read_records(path: Path, delimiter: str = ',') -> tuple[list[str], list[dict[str, str]]]:
    """The header of a table, and its rows as dicts by column name; all cells are stripped.

    Missing cells of a row are empty; cells beyond the header are skipped.

    Raises:
        MissingFileError, DataError: See :func:`read_table`; also DataError if a column name is repeated.
    """
    rows = read_table(path, delimiter)
    header = [name.strip() for name in rows[0][1]] if rows else []
    twice = next((name for name in header if name and header.count(name) > 1), None)
    if twice is not None:
        raise DataError(f'{path}: the column {twice!r} is there twice')
    records = [
        {name: cell.strip() for name, cell in zip(header, [*row, *[''] * len(header)], strict=False)}
        for _, row in rows[1:]
    ]
    return header, records
