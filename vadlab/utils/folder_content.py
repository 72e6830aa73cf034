"""What a folder holds, apart from the files that desktops put into every folder that they show."""

import os
from pathlib import Path

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
