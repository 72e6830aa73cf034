"""Atomic writes: readers see the old file or the whole new one."""

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


def part_of(path: Path, run: str = '') -> Path:
    """The hidden temporary file beside ``path``, to which this process writes first.

    Its name is ``.NAME.PID.part``, or ``.NAME.RUN-PID.part`` with the id of a run that several processes share.
    """
    return path.with_name(f'.{path.name}.{run and f"{run}-"}{os.getpid()}.part')


@contextmanager
def atomic_path(path: str | os.PathLike, is_new: bool = False) -> Iterator[Path]:
    """A temporary file to write to; it replaces ``path`` when the block ends. After an error ``path`` is unchanged.

    Args:
        path (str | os.PathLike): The file; missing folders are made.
        is_new (bool): Replace nothing: of several processes that make the file at the same time, one succeeds.

    Yields:
        Path: The temporary file, in the same folder, with the permissions of any new file.

    Raises:
        FileExistsError: With ``is_new``, the file is there when the block ends.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    part = part_of(path)
    try:
        yield part
        if not (is_new and _linked(part, path)):
            os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)


def _linked(part: Path, path: Path) -> bool:
    try:
        os.link(part, path)
    except FileExistsError:
        raise
    except OSError:  # the file system has no hard links
        if path.exists():
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(path)) from None
        return False
    return True


def write_text(path: str | os.PathLike, text: str) -> None:
    """Write a text file in UTF-8, atomically; bytes of file names that are not UTF-8 become escapes."""
    with atomic_path(path) as part:
        part.write_text(text, encoding='utf-8', errors='backslashreplace', newline='')


def write_bytes(path: str | os.PathLike, content: bytes) -> None:
    """Write a binary file atomically."""
    with atomic_path(path) as part:
        part.write_bytes(content)


@contextmanager
def no_empty_folders(folder: str | os.PathLike) -> Iterator[None]:
    """After an error, remove the folder and its parents if they are empty and did not exist before."""
    folder = Path(folder)
    new = [path for path in (folder, *folder.parents) if not path.exists()]
    try:
        yield
    except BaseException:
        for path in new:
            with suppress(OSError):  # not empty, or never made
                path.rmdir()
        raise
