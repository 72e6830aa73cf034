"""Code shared by tools that make data sets: recorded settings of a folder, and parallel writing."""

import json
import multiprocessing
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Protocol, TypeVar

import cv2

from vadlab.utils.atomic import write_text
from vadlab.utils.errors import ConfigError
from vadlab.utils.option_checks import require_folder
from vadlab.utils.progress import ProgressBar

_FEW = 32  # up to this number of items, starting processes takes longer than the work


class Writable(Protocol):
    """An item of a data set that writes its own file."""

    def write(self, folder: Path) -> bool:
        """Write the item below a folder unless the file exists; returns whether it was written."""


Item = TypeVar('Item', bound=Writable)


def check_settings(out: Path, settings: dict) -> None:
    """Record the settings of a folder, or compare them with the recorded ones.

    Raises:
        ConfigError: The folder holds a data set with other settings.
    """
    require_folder(out, '--out')
    note = out / 'settings.json'
    if not note.exists():
        write_text(note, json.dumps(settings) + '\n')
        return
    try:
        there = json.loads(note.read_text(encoding='utf-8'))
    except json.JSONDecodeError as error:
        raise ConfigError(f'{note} is damaged ({error}). Remove {out}, or choose another --out.') from error
    if there != settings:
        raise ConfigError(f'{out} holds another data set ({there}, not {settings}). Remove it, or choose another --out')


def write_missing(items: Sequence[Item], folder: Path, file_of: Callable[[Item], str], workers: int, what: str) -> int:
    """Write the items whose files are missing, with a progress bar; returns the number of written items.

    Args:
        items (Sequence): Items of a data set.
        folder (Path): Folder for the files.
        file_of (Callable): Returns the file of an item below ``folder``.
        workers (int): Number of processes.
        what (str): Plural noun for the items, for the bar.
    """
    missing = [item for item in items if not (folder / file_of(item)).exists()]
    for parent in {(folder / file_of(item)).parent for item in missing}:
        parent.mkdir(parents=True, exist_ok=True)
    if workers == 1 or len(missing) < _FEW:
        return sum(item.write(folder) for item in missing)
    # After OpenCV has used its threads, a forked child process can hang.
    context = multiprocessing.get_context('spawn')
    with ProgressBar(what, len(missing)) as bar, ProcessPoolExecutor(workers, mp_context=context) as pool:
        try:
            for _ in pool.map(_write, missing, [folder] * len(missing), chunksize=8):
                bar.advance()
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
    return len(missing)


def _write(item: Writable, folder: Path) -> None:
    cv2.setNumThreads(1)
    item.write(folder)
