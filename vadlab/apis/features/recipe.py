"""Store the recipe of features in their folder."""

import contextlib
import json
from pathlib import Path
from typing import Any

from vadlab.datasets.formats.feature_recipe import RECIPE_FILE, read_recipe
from vadlab.utils.config import config_differences
from vadlab.utils.errors import DataError
from vadlab.utils.json_file import write_json


def check_recipe(out: Path, recipe: dict[str, Any], facts: dict[str, Any], what: str = 'features') -> list[str]:
    """Write the recipe to a folder of features, or compare it with the existing one.

    Args:
        out (Path): Folder of the features.
        recipe (dict): All settings that the features depend on. A folder contains features of one recipe only.
        facts (dict): Additional information: library versions, device, source of the weights.
        what (str): Name of the contents, for messages.

    Returns:
        list[str]: Facts that differ from the stored ones, each as ``key: old -> new``.

    Raises:
        DataError: The folder contains features of another recipe, or features without a recipe.
    """
    path = out / RECIPE_FILE
    recipe = json.loads(json.dumps(recipe))
    if not path.exists():
        stray = next((p for p in out.rglob('*.npy') if not p.name.startswith('.')), None) if out.is_dir() else None
        if stray is not None:
            raise DataError(
                f'{out} holds {what} without a {RECIPE_FILE} (such as {stray.relative_to(out)}), which could not '
                'be distinguished from new ones. Choose another --out.'
            )
        with contextlib.suppress(FileExistsError):  # another process was faster: compare with its recipe
            write_json(path, {'recipe': recipe, 'facts': facts}, is_new=True)
            return []
    found = read_recipe(out)
    differences = config_differences(found['recipe'], recipe)
    if differences:
        raise DataError(
            f'{out} holds {what} of another recipe ({"; ".join(differences[:6])}). Choose another --out, or make '
            'them again: --overwrite.'
        )
    return config_differences(found.get('facts', {}), json.loads(json.dumps(facts)))
