"""What earlier looks at files found, so that a second verification takes seconds."""

import hashlib
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from vadlab.utils.atomic import write_text
from vadlab.utils.errors import DataError, MissingFileError
from vadlab.utils.json_file import read_json


def default_cache_dir() -> Path:
    """Where results of earlier checks lie."""
    return Path(os.environ.get('XDG_CACHE_HOME') or Path.home() / '.cache') / 'vadlab' / 'verify'


def remembered(path: str, recipe: str, cache_dir: str | None, look: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """The result of an earlier look at this very file, or of a new one.

    Args:
        path (str): The file; its size and time of change belong to the key.
        recipe (str): What is looked for; another recipe, another look.
        cache_dir (str | None): Folder with results; None looks anew and keeps nothing.
        look (Callable): Looks at the file; its result must survive JSON.

    Returns:
        dict[str, Any]: The result, or ``error`` where the file is gone.
    """
    if cache_dir is None:
        return look()
    try:
        stat = os.stat(path)
    except OSError as error:
        return {'error': f'{path}: {error.strerror}'}
    key = f'{recipe}|{os.path.abspath(path)}|{stat.st_size}|{stat.st_mtime_ns}'
    cached = Path(cache_dir) / f'{hashlib.sha256(key.encode()).hexdigest()[:32]}.json'
    if cached.is_file():
        try:
            if isinstance(found := read_json(cached), dict):
                return found
        except (DataError, MissingFileError):
            pass  # cut short by a kill: look again
    result = look()
    write_text(cached, json.dumps(result))
    return result
