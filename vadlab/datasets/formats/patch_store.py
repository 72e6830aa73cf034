"""Patches of images on disk: outputs of the frozen blocks of a backbone."""

import fcntl
import json
import os
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from vadlab.utils.config import config_differences
from vadlab.utils.errors import ConfigError, DataError, MissingFileError
from vadlab.utils.json_file import read_json, read_json_lines, write_json

RECIPE_FILE = 'recipe.json'
_INDEX_FILE = 'images.jsonl'
_PATCH_FILE = 'patches.bin'
_TYPES = ('float16', 'float32')
_ADVICE = 'Make the patches by python tools/extract_patches.py CONFIG'


class PatchStore:
    """Reader for the patches in a folder, which maps them into memory.

    ``patches.bin`` holds the images one after another, each (tokens, width) numbers of one type. Each line of
    ``images.jsonl`` describes one image: its id, and its file's name and size, by which another image with the same id
    is detected. ``recipe.json`` holds what the numbers depend on:

    * ``weights``: a hash of the backbone below the block, and of the normalisation of pixels;
    * ``block``: the block whose input the patches are;
    * ``steps``: the transforms of the images;
    * ``shape`` and ``dtype`` of an image's patches.

    Args:
        folder (str | Path): Folder that a :class:`PatchWriter` wrote.

    Raises:
        MissingFileError: There is no such folder.
        DataError: It does not hold patches, or is damaged.
    """

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)
        self.recipe = read_recipe(self.folder)
        rows = read_index(self.folder)
        self._row: dict[int | str, tuple[int, str, int]] = {
            image_id: (row, name, size) for row, (image_id, name, size) in enumerate(rows)
        }
        if len(self._row) != len(rows):
            raise DataError(f'{self.folder / _INDEX_FILE} names {len(rows) - len(self._row)} images twice. {_ADVICE}')
        self._map: np.ndarray | None = None
        path, need = self.folder / _PATCH_FILE, len(self._row) * row_bytes(self.recipe)
        there = path.stat().st_size if path.exists() else 0
        if there < need:
            raise DataError(f'{path} is cut short: {there:,} of {need:,} bytes. {_ADVICE}')

    def __len__(self) -> int:
        return len(self._row)

    def __contains__(self, image_id: int | str) -> bool:
        return image_id in self._row

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, '_map': None}  # spawned workers map the file themselves

    def problem_of(self, image_id: int | str, path: str) -> str | None:
        """Problem of an image's patches, as a phrase after a number; None if there is none."""
        if image_id not in self._row:
            return 'images are not in it'
        _, name, size = self._row[image_id]
        if (name, size) != _file_of(path):
            return 'images are other files than it was made from'
        return None

    def read(self, image_id: int | str) -> np.ndarray:
        """A copy of an image's patches, shape (tokens, width)."""
        if self._map is None:
            shape = (len(self._row), *self.recipe['shape'])
            self._map = np.memmap(self.folder / _PATCH_FILE, self.recipe['dtype'], 'r', shape=shape)
        return np.array(self._map[self._row[image_id][0]])


class PatchWriter:
    """Writer for patches of images, which can continue after a kill.

    An image counts as written when its line in the index is complete; the line is written after the patches are on the
    disk. So a kill or a loss of power loses at most one batch of images. Use it as a context manager, in one process at
    a time.

    Args:
        folder (str | Path): The folder; made if it does not exist.
        recipe (dict): See :class:`PatchStore`.
        overwrite (bool): Remove existing patches and start over.

    Raises:
        ConfigError: The type of numbers is not supported.
        DataError: The folder holds patches of another recipe, or another process writes to it.
    """

    def __init__(self, folder: str | Path, recipe: dict[str, Any], overwrite: bool = False) -> None:
        if recipe['dtype'] not in _TYPES:
            raise ConfigError(f'Patches are stored as {" or ".join(_TYPES)}, not as {recipe["dtype"]!r}.')
        self.folder = Path(folder)
        self.recipe = json.loads(json.dumps(recipe))
        self.overwrite = overwrite
        self._lock: BinaryIO | None = None

    def __enter__(self) -> 'PatchWriter':
        self.folder.mkdir(parents=True, exist_ok=True)
        self._lock = open(self.folder / '.lock', 'wb')
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)  # the system releases the lock of a killed process
        except OSError as error:
            self._lock.close()
            raise DataError(f'Another process is writing patches to {self.folder}. Wait until it is done') from error
        try:
            self._begin()
        except BaseException:
            self._lock.close()
            raise
        return self

    def __exit__(self, *error: object) -> None:
        for file in (self._patches, self._index, self._lock):
            file.close()  # type: ignore[union-attr]

    def _begin(self) -> None:
        if self.overwrite:
            for name in (RECIPE_FILE, _INDEX_FILE, _PATCH_FILE):
                (self.folder / name).unlink(missing_ok=True)
        if not (self.folder / RECIPE_FILE).exists():
            if any((self.folder / name).exists() for name in (_INDEX_FILE, _PATCH_FILE)):
                raise DataError(f'{self.folder} holds patches without a {RECIPE_FILE}. Start over: --overwrite')
            write_json(self.folder / RECIPE_FILE, self.recipe)
        if differences := config_differences(read_recipe(self.folder), self.recipe):
            raise DataError(
                f'{self.folder} holds patches of another recipe ({"; ".join(differences[:4])}). Choose another folder, '
                'or start over: --overwrite'
            )
        for name in (_INDEX_FILE, _PATCH_FILE):
            (self.folder / name).touch()
        rows = read_index(self.folder)
        bytes_of_row = row_bytes(self.recipe)
        # If a file system lost data that it had confirmed, there may be fewer patches than lines.
        rows = rows[: (self.folder / _PATCH_FILE).stat().st_size // bytes_of_row]
        self.done: dict[int | str, tuple[str, int]] = {image_id: (name, size) for image_id, name, size in rows}
        os.truncate(self.folder / _PATCH_FILE, len(rows) * bytes_of_row)
        os.truncate(self.folder / _INDEX_FILE, sum(len(_line(*row)) for row in rows))
        self.room = shutil.disk_usage(self.folder).free // bytes_of_row  # images that fit
        self._patches = open(self.folder / _PATCH_FILE, 'ab')
        self._index = open(self.folder / _INDEX_FILE, 'ab')

    def is_done(self, image_id: int | str, path: str) -> bool:
        """Whether an image's patches are already in the folder.

        Raises:
            DataError: There are patches of another file with this id.
        """
        if image_id not in self.done:
            return False
        if self.done[image_id] != _file_of(path):
            raise DataError(
                f'{self.folder} holds patches of another file of the id {image_id} than {path} '
                f'({self.done[image_id][0]}, {self.done[image_id][1]:,} bytes). Choose another folder, or start over: '
                '--overwrite'
            )
        return True

    def write(self, images: Sequence[tuple[int | str, str]], patches: np.ndarray) -> None:
        """Add images.

        Args:
            images (Sequence): Ids and paths of n images.
            patches (np.ndarray): Floating point, shape (n, tokens, width).

        Raises:
            DataError: The store's type cannot represent the patches.
        """
        if list(patches.shape) != [len(images), *self.recipe['shape']]:
            raise ValueError(f'{len(images)} images, but patches of shape {patches.shape}; {self.recipe["shape"]} each')
        with np.errstate(over='ignore'):
            patches = np.ascontiguousarray(patches, self.recipe['dtype'])
        finite = np.isfinite(patches).all(axis=(1, 2))
        if not finite.all():
            image_id, path = images[int(finite.argmin())]
            raise DataError(
                f'Patches of image {image_id} ({path}) hold numbers that {self.recipe["dtype"]} cannot. '
                'Store them with --dtype float32, and check the weights'
            )
        self._patches.write(patches.tobytes())
        self._patches.flush()
        os.fsync(self._patches.fileno())
        for image_id, path in images:
            self.done[image_id] = _file_of(path)
            self._index.write(_line(image_id, *self.done[image_id]))
        self._index.flush()


def read_recipe(folder: Path) -> dict[str, Any]:
    """Read the recipe of a folder of patches, see :class:`PatchStore`.

    Raises:
        MissingFileError: There is no such folder.
        DataError: It does not hold patches.
    """
    path = folder / RECIPE_FILE
    try:
        recipe = read_json(path)
    except FileNotFoundError:
        raise MissingFileError(f'There are no patches in {folder} (it has no {RECIPE_FILE}). {_ADVICE}') from None
    is_recipe = isinstance(recipe, dict) and {'weights', 'block', 'steps', 'shape', 'dtype'} <= set(recipe)
    if is_recipe:
        shape = recipe['shape']
        is_recipe = isinstance(shape, list) and len(shape) == 2 and recipe['dtype'] in _TYPES
        is_recipe = is_recipe and all(isinstance(n, int) and 0 < n < 2**31 for n in shape)
    if not is_recipe:
        raise DataError(f'{path} is not a recipe of patches. {_ADVICE}')
    return recipe


def read_index(folder: Path) -> list[tuple[int | str, str, int]]:
    """Id, file name and size of each image; an incomplete last line, left by a kill, is skipped.

    Raises:
        DataError: A line is not one of an index.
    """
    rows: list[tuple[int | str, str, int]] = []
    path = folder / _INDEX_FILE
    if not path.exists():
        raise DataError(f'{folder} has no {_INDEX_FILE}. {_ADVICE}')
    for number, row in read_json_lines(path, is_ended=True):
        kinds = [type(value) for value in row] if isinstance(row, list) else []
        if kinds not in ([int, str, int], [str, str, int]):
            raise DataError(f'{path}, line {number} does not describe an image: {str(row)[:60]}. {_ADVICE}')
        rows.append((row[0], row[1], row[2]))
    return rows


def row_bytes(recipe: dict[str, Any]) -> int:
    """Bytes of an image's patches."""
    return int(np.prod(recipe['shape'])) * np.dtype(recipe['dtype']).itemsize


def _line(image_id: int | str, name: str, size: int) -> bytes:
    return json.dumps([image_id, name, size]).encode() + b'\n'


def _file_of(path: str) -> tuple[str, int]:
    try:
        return os.path.basename(path), os.path.getsize(path)
    except OSError as error:
        raise MissingFileError(f'{path} cannot be read: {error.strerror}') from error
