"""The recipe of a folder of snippet features."""

from pathlib import Path
from typing import Any

from vadlab.utils.errors import DataError, MissingFileError
from vadlab.utils.json_file import read_json

RECIPE_FILE = 'recipe.json'


def read_recipe(folder: Path) -> dict[str, Any]:
    """Read the recipe of a folder of features: how they were extracted.

    Raises:
        DataError: There is no recipe, or it cannot be read.
    """
    path = folder / RECIPE_FILE
    try:
        content = read_json(path)
    except MissingFileError as error:
        raise DataError(str(error)) from error
    if not isinstance(content, dict) or not isinstance(content.get('recipe'), dict):
        raise DataError(f'{path} contains no recipe. Remove it if the features are to be extracted again.')
    return content
