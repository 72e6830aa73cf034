"""What features were made by, kept beside them."""

import json
from pathlib import Path
from typing import Any

from vadlab.datasets.formats.feature_recipe import RECIPE_FILE, read_recipe
from vadlab.utils.config import config_differences
from vadlab.utils.errors import DataError
from vadlab.utils.json_file import write_json


def check_recipe(out: Path, recipe: dict[str, Any], facts: dict[str, Any], what: str = 'features') -> list[str]:
    """Write the recipe into a folder of features, or compare it with the one there.

    Args:
        out (Path): Folder of the features.
        recipe (dict): What the numbers depend on. Features made by another recipe must not lie in one folder.
        facts (dict): What is worth knowing beside it: library versions, device, where the weights came from.
        what (str): What the folder holds, for messages.

    Returns:
        list[str]: Facts that differ from those of the features there, each as ``key: old -> new``.

    Raises:
        DataError: The folder holds features of another recipe, or features without one.
    """
    path = out / RECIPE_FILE
    recipe = json.loads(json.dumps(recipe))
    if not path.exists():
        stray = next((p for p in out.rglob('*.npy') if not p.name.startswith('.')), None) if out.is_dir() else None
        if stray is not None:
            raise DataError(
                f'{out} holds {what} without a {RECIPE_FILE} (such as {stray.relative_to(out)}), which nobody could '
                'tell from new ones. Choose another --out.'
            )
        write_json(path, {'recipe': recipe, 'facts': facts})
        return []
    found = read_recipe(out)
    differences = config_differences(found['recipe'], recipe)
    if differences:
        raise DataError(
            f'{out} holds {what} of another recipe ({"; ".join(differences[:6])}). Choose another --out, or make '
            'them anew: --overwrite.'
        )
    return config_differences(found.get('facts', {}), json.loads(json.dumps(facts)))
