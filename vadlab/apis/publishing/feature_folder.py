"""Features for other people: the files of a folder with their recipe, lists and annotations, and a card."""

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from vadlab import __version__
from vadlab.datasets.formats.feature_files import read_feature_shape
from vadlab.datasets.formats.feature_recipe import RECIPE_FILE, read_recipe
from vadlab.utils.atomic import write_text
from vadlab.utils.errors import DataError
from vadlab.utils.hub_files import FORMAT, MANIFEST, digest_of, is_inside
from vadlab.utils.json_file import write_json

from .model_card import CardFacts, card_text, recipe_lines

_FEATURES = ('.npy',)
_LISTS = ('.txt', '.csv', '.list', '.json')
_CARD = 'README.md'


@dataclass
class FeatureFolder:
    """Files to publish.

    Attributes:
        files (dict[str, Path]): Where each file is, by its name in the repository.
        left_out (list[str]): Files of other kinds, hidden files and links.
        recipes (dict[str, dict]): Content of each recipe, by its folder.
    """

    files: dict[str, Path] = field(default_factory=dict)
    left_out: list[str] = field(default_factory=list)
    recipes: dict[str, dict[str, Any]] = field(default_factory=dict)


def is_feature_folder(folder: Path) -> bool:
    """Whether a folder, or one inside it, holds features with a recipe."""
    return (folder / RECIPE_FILE).is_file() or any(folder.glob(f'*/{RECIPE_FILE}'))


def find_features(folder: Path) -> FeatureFolder:
    """Features below a folder, with recipes, lists and annotations.

    Raises:
        DataError: A feature file cannot be read or belongs to no recipe, a name cannot be published, or a list names
            folders of this machine.
    """
    found = FeatureFolder()
    for path in _walk(folder):
        name = path.relative_to(folder).as_posix()
        hidden = any(part.startswith('.') for part in Path(name).parts)
        if hidden or path.is_symlink() or path.suffix not in (*_FEATURES, *_LISTS):
            found.left_out.append(name)
        elif not is_inside(name) or name.endswith(MANIFEST):
            raise DataError(f'{path}: its name cannot be published. Rename it.')
        else:
            found.files[name] = path
    for name in found.files:
        if Path(name).name == RECIPE_FILE:
            found.recipes[str(Path(name).parent)] = read_recipe(folder / Path(name).parent)
    for name, path in found.files.items():
        if path.suffix in _FEATURES:
            if not any(parent in found.recipes for parent in map(str, Path(name).parents)):
                raise DataError(f'{path} has no {RECIPE_FILE} above it, so nobody could tell how it was made.')
            try:
                read_feature_shape(str(path))
            except DataError as error:
                raise DataError(f'{path} {error}') from error
        elif Path(name).name != RECIPE_FILE:
            _check_public(path, folder)
    return found


def _walk(folder: Path) -> Iterator[Path]:
    """Files below a folder, sorted; folders that are links are one entry."""
    for path in sorted(folder.iterdir()):
        if path.is_dir() and not path.is_symlink():
            yield from _walk(path)
        else:
            yield path


def _check_public(path: Path, folder: Path) -> None:
    text = path.read_bytes()
    for private in {os.path.expanduser('~'), str(folder.resolve())} - {'/', '~'}:
        if f'{private}/'.encode() in text:
            raise DataError(
                f'{path} names files by {private}/..., which others do not have. Write them relative to it.'
            )


def write_feature_card(
    found: FeatureFolder, scratch: Path, facts: CardFacts, tell: Any = print
) -> tuple[dict[str, Path], str]:
    """Write manifest, card and public recipes to a scratch folder.

    Args:
        found (FeatureFolder): The features.
        scratch (Path): An empty folder.
        facts (CardFacts): What the author tells.
        tell (Callable): Called with what is left out.

    Returns:
        tuple: Where each file of the repository is, and the text of the card.
    """
    files = dict(found.files)
    for place, content in found.recipes.items():
        name = (Path(place) / RECIPE_FILE).as_posix()
        files[name] = scratch / name
        write_json(files[name], _public(content))
    if found.left_out:
        tell(
            f'left out: {len(found.left_out)} files that are hidden, links, or neither features nor lists '
            f'(first: {found.left_out[0]})'
        )
    facts.files = {
        name: {'sha256': digest_of(path), 'bytes': path.stat().st_size} for name, path in sorted(files.items())
    }
    write_json(scratch / MANIFEST, {'format': FORMAT, 'vadlab': __version__, 'files': facts.files})
    card = _card(found, facts)
    write_text(scratch / _CARD, card)
    return {MANIFEST: scratch / MANIFEST, _CARD: scratch / _CARD, **files}, card


def _card(found: FeatureFolder, facts: CardFacts) -> str:
    from huggingface_hub import DatasetCardData

    sets = []
    for place, content in found.recipes.items():
        names = [
            name
            for name, path in found.files.items()
            if path.suffix in _FEATURES and (place == '.' or name.startswith(f'{place}/'))
        ]
        shapes = [read_feature_shape(str(found.files[name])) for name in names]
        sets.append(
            {
                'place': place,
                'files': len(names),
                'snippets': sum(shape.num_snippets for shape in shapes),
                'dims': sorted({shape.feature_dim for shape in shapes}),
                'recipe': recipe_lines(content['recipe']),
            }
        )
    header = DatasetCardData(license=facts.licence, tags=['vadlab', 'video-anomaly-detection', 'features'])
    total = sum(about['bytes'] for about in facts.files.values())
    lists = [name for name, path in found.files.items() if path.suffix in _LISTS and not name.endswith(RECIPE_FILE)]
    values = {'facts': facts, 'name': facts.repo_id.partition('/')[2], 'sets': sets, 'bytes': total, 'lists': lists}
    return card_text('feature_card.md.jinja', header.to_yaml().strip(), values)


def _public(value: Any) -> Any:
    """A recipe with file names instead of absolute paths."""
    if isinstance(value, str):
        return Path(value).name if os.path.isabs(value) else value
    if isinstance(value, Mapping):
        return {key: _public(one) for key, one in value.items()}
    return [_public(one) for one in value] if isinstance(value, list) else value
