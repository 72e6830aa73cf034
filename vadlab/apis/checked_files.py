"""Cache of file checks, so that a second verification takes seconds."""

import hashlib
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from vadlab.utils.atomic import write_text
from vadlab.utils.errors import DataError, MissingFileError
from vadlab.utils.json_file import read_json


def default_cache_dir() -> Path | None:
    """The folder with results of earlier checks; None for a user without a home."""
    cache = os.environ.get('XDG_CACHE_HOME') or os.path.expanduser('~/.cache')
    return None if cache.startswith('~') else Path(cache, 'vadlab', 'verify')


def cache_problem(folder: str) -> str | None:
    """Why results cannot be kept in a folder, which is made; None if they can."""
    try:
        os.makedirs(folder, exist_ok=True)
    except OSError as error:
        return f'{error.filename}: {error.strerror}'
    return None if os.access(folder, os.R_OK | os.W_OK | os.X_OK) else f'{folder}: Permission denied'


def cached_check(path: str, recipe: str, cache_dir: str | None, look: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """The cached result of a check of this file, or the result of a new check.

    Args:
        path (str): The file; its size and modification time are part of the key.
        recipe (str): Name and version of the check; part of the key.
        cache_dir (str | None): Folder with results; None always checks and stores nothing.
        look (Callable): Checks the file; its result must be serialisable as JSON.

    Returns:
        dict[str, Any]: The result, or ``error`` if the file does not exist.
    """
    if cache_dir is None:
        return look()
    try:
        cached = cache_file(path, recipe, cache_dir)
    except OSError as error:
        return {'error': f'{path}: {error.strerror}'}
    found = known_result(cached)
    if found is None:
        found = look()
        write_text(cached, json.dumps(found))
    return found


def cache_file(path: str, recipe: str, cache_dir: str) -> Path:
    """Where the result of a check of a file is kept.

    Raises:
        OSError: The file cannot be reached.
    """
    stat = os.stat(path)
    key = f'{recipe}|{os.path.abspath(path)}|{stat.st_size}|{stat.st_mtime_ns}'
    return Path(cache_dir) / f'{hashlib.sha256(key.encode()).hexdigest()[:32]}.json'


def known_result(cached: Path) -> dict[str, Any] | None:
    """The result in a file of the cache; None if there is none, or if it was truncated when a process was killed."""
    if cached.is_file():
        try:
            if isinstance(found := read_json(cached), dict):
                return found
        except (DataError, MissingFileError):
            pass
    return None
