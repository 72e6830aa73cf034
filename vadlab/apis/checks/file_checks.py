"""A check of each of many files, by all workers, with the results of earlier checks."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from vadlab.utils.atomic import write_text
from vadlab.utils.many_files import Lost, Ready, over_files

from ..checked_files import cache_file, known_result
from .check_context import CheckContext


def check_files(
    look: Callable[[Any], dict[str, Any]],
    files: dict[str, Any],
    context: CheckContext,
    recipe: str | None = None,
    patience_s: float = 1.0,
) -> dict[str, dict[str, Any]]:
    """Results of a check of each file.

    Args:
        look (Callable): Checks a file, in a worker; can be pickled. Its result is serialisable as JSON, with ``error``
            for a file that cannot be used.
        files (dict[str, Any]): What ``look`` takes, by the path of the file.
        context (CheckContext): The engine, the cache and the progress.
        recipe (str | None): Name and version of the check, with which results are kept; None keeps none.
        patience_s (float): See :func:`~vadlab.utils.many_files.over_files`.

    Returns:
        dict[str, dict]: By path, in the order of ``files``.
    """
    results: dict[str, dict[str, Any]] = {}
    places: dict[str, Path] = {}
    context.progress(0, len(files))
    if recipe is not None and context.cache_dir is not None:
        for path in files:
            try:
                places[path] = cache_file(path, recipe, context.cache_dir)
            except OSError as error:
                results[path] = {'error': f'{path}: {error.strerror}'}
                continue
            if (known := known_result(places[path])) is not None:
                results[path] = known
        context.progress(len(results), len(files))
    left: Sequence[str] = [path for path in files if path not in results]
    items = [files[path] for path in left]
    for number, result in over_files(Ready(look), items, context.engine, patience_s=patience_s):
        path = left[number]
        if isinstance(result, Lost):
            results[path] = {'error': f'{path}: {result.reason}'}
        else:
            results[path] = result
            if path in places:
                write_text(places[path], json.dumps(result))
        context.progress(len(results), len(files))
    return {path: results[path] for path in files}
