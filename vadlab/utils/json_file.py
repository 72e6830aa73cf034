"""Writing JSON files whole or not at all."""

import json
import os
from pathlib import Path
from typing import Any

from .errors import ConfigError


def check_writable(path: str | Path, option: str) -> None:
    """Find out before long work that its result cannot be written; folders that lack are made.

    Args:
        path (str | Path): The file to be.
        option (str): What the user named it by, for the message.

    Raises:
        ConfigError: Its folder cannot be made or written to, or it is a folder itself.
    """
    path = Path(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.is_dir():
            raise IsADirectoryError(0, 'is a folder')
        part = _part(path)
        part.touch()
        part.unlink()
    except OSError as error:
        raise ConfigError(f'{option} {path} cannot be written: {error.strerror}') from error


def write_json(path: str | Path, content: Any, **options: Any) -> None:
    """Write a file that is read as whole by others, with the permissions that any new file gets.

    Args:
        path (str | Path): The file; folders that lack are made.
        content (Any): What ``json.dump`` takes; NaN is refused, since it is no JSON.
        **options (Any): Further arguments of ``json.dump``.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    part = _part(path)
    with part.open('w', encoding='utf-8') as file:
        json.dump(content, file, indent=2, allow_nan=False, ensure_ascii=False, **options)
        file.write('\n')
    os.replace(part, path)


def _part(path: Path) -> Path:
    return path.with_name(f'.{path.name}.{os.getpid()}.part')
