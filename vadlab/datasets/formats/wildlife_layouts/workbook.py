"""Reading sheets of an .xlsx file: cells as text, without styles and formulas."""

import re
import xml.etree.ElementTree as ElementTree
import zipfile
from pathlib import Path

from vadlab.utils.errors import DataError, MissingFileError
from vadlab.utils.npy_file import ZIP_DAMAGE

_MAIN = '{http://schemas.openxmlformats.org/spreadsheetml/2006/main}'
_RELATION = '{http://schemas.openxmlformats.org/officeDocument/2006/relationships}id'
_MOST_BYTES = 500_000_000  # per part, unpacked


def read_sheet(path: Path, sheet: str) -> list[dict[str, str]]:
    """Rows of a sheet as dicts by the names in its first row.

    Args:
        path (Path): An ``.xlsx`` file.
        sheet (str): Name of the sheet.

    Raises:
        MissingFileError: There is no such file.
        DataError: It cannot be read, or has no such sheet.
    """
    if not path.is_file():
        raise MissingFileError(f'There is no {path}')
    try:
        with zipfile.ZipFile(path) as archive:
            target = _sheet_file(archive, path, sheet)
            shared = _shared_strings(archive)
            rows = [_cells(row, shared) for row in _parse(archive, target).iter(f'{_MAIN}row')]
    except (*ZIP_DAMAGE, ElementTree.ParseError, KeyError, IndexError) as error:
        if isinstance(error, DataError):
            raise
        raise DataError(f'{path}: cannot be read as a workbook ({error})') from error
    if not rows:
        return []
    header = {column: name.strip() for column, name in rows[0].items() if name.strip()}
    return [
        {name: row.get(column, '').strip() for column, name in header.items()} for row in rows[1:] if any(row.values())
    ]


def _parse(archive: zipfile.ZipFile, name: str) -> ElementTree.Element:
    if archive.getinfo(name).file_size > _MOST_BYTES:
        raise ValueError(f'{name} is too large')
    return ElementTree.fromstring(archive.read(name))


def _sheet_file(archive: zipfile.ZipFile, path: Path, sheet: str) -> str:
    sheets = {s.get('name'): s.get(_RELATION) for s in _parse(archive, 'xl/workbook.xml').iter(f'{_MAIN}sheet')}
    if sheet not in sheets:
        raise DataError(f'{path}: has no sheet {sheet!r}, only {", ".join(map(str, sheets))}')
    for relation in _parse(archive, 'xl/_rels/workbook.xml.rels'):
        if relation.get('Id') == sheets[sheet]:
            target = str(relation.get('Target'))
            return target.lstrip('/') if target.startswith('/') else f'xl/{target}'
    raise KeyError(sheet)


def _shared_strings(archive: zipfile.ZipFile) -> list[str]:
    if 'xl/sharedStrings.xml' not in archive.namelist():
        return []
    items = _parse(archive, 'xl/sharedStrings.xml').iter(f'{_MAIN}si')
    return [''.join(text.text or '' for text in item.iter(f'{_MAIN}t')) for item in items]


def _cells(row: ElementTree.Element, shared: list[str]) -> dict[str, str]:
    """Text of a row's cells by column letters."""
    found = {}
    for cell in row.iter(f'{_MAIN}c'):
        column = re.match('[A-Z]+', cell.get('r', ''))
        value = cell.find(f'{_MAIN}v')
        text = '' if value is None else value.text or ''
        if cell.get('t') == 's' and text:
            text = shared[int(text)]
        elif cell.get('t') == 'inlineStr':
            text = ''.join(part.text or '' for part in cell.iter(f'{_MAIN}t'))
        if column:
            found[column[0]] = text
    return found
