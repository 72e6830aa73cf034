"""What a folder holds, apart from the files that desktops put into every folder that they show."""

import os
from collections.abc import Iterator
from pathlib import Path

from .run_log import log

#: Written by macOS and Windows without the user's doing, in lower case.
_OF_THE_DESKTOP = frozenset(['.ds_store', 'thumbs.db', 'desktop.ini'])


def folder_content(folder: str | os.PathLike) -> list[Path]:
    """Files and folders in a folder, by name, without ``.DS_Store``, ``Thumbs.db`` and ``desktop.ini``.

    Args:
        folder (str | os.PathLike): The folder; a missing one holds nothing.
    """
    if not os.path.isdir(folder):
        return []
    return sorted(path for path in Path(folder).iterdir() if path.name.lower() not in _OF_THE_DESKTOP)


def walk(folder: str | os.PathLike[str], tell: bool = True) -> Iterator[tuple[str, list[str], list[str]]]:
    """``os.walk`` through links to folders, too, but not through a link to a folder that it is in.

    Args:
        folder (str | os.PathLike): The folder.
        tell (bool): Log each folder in it that cannot be read, and is left out.

    Yields:
        tuple: A folder, the names of its folders, which the caller may change, and those of its files.

    Raises:
        OSError: The folder itself cannot be read.
    """

    def leave_out(error: OSError) -> None:
        if error.filename == os.fspath(folder):
            raise error
        if tell:
            log(f'The folder {error.filename} is left out: {error.strerror}')

    for here, subfolders, files in os.walk(os.fspath(folder), onerror=leave_out, followlinks=True):
        inside = Path(os.path.realpath(here))
        subfolders[:] = [name for name in subfolders if not _leads_back(os.path.join(here, name), inside)]
        yield here, subfolders, files


def _leads_back(path: str, inside: Path) -> bool:
    return os.path.islink(path) and inside.is_relative_to(os.path.realpath(path))
