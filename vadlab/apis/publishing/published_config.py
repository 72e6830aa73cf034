"""The config of a model that is published: only its own settings, without paths of this machine."""

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vadlab.utils.cfg_options import set_option
from vadlab.utils.errors import ConfigError
from vadlab.utils.hub_files import FILES
from vadlab.utils.own_files import own_file
from vadlab.utils.plain_config import REPOSITORY, SETTINGS, own_path, plain_config, with_own_configs
from vadlab.utils.runtime import without_caches

#: Kinds and size of files of a model that are published with it, such as vocabularies and codebooks.
_OWN_FILES = ('.json', '.txt', '.csv', '.npy', '.safetensors')
_MOST_BYTES = 2**28


@dataclass(frozen=True)
class PublishedConfig:
    """A config for other people.

    Attributes:
        content (dict): The content of ``config.json``.
        files (dict[str, Path]): Files that the model reads, by their name in the repository.
        missing (list[str]): Files and folders that the model reads and that are not published.
    """

    content: dict[str, Any]
    files: dict[str, Path]
    missing: list[str]


def published_config(settings: Mapping[str, Any], options: Mapping[str, Any] | None = None) -> PublishedConfig:
    """The config in JSON, and the files that the model reads.

    Folders of data become variables: ``data_root`` for the test data, further ones are numbered. A folder outside the
    working directory is published as ``data/NAME``. Small files that the model or its transforms read are published,
    too. Caches and pretrained weights in local files are left out.

    Args:
        settings (Mapping[str, Any]): The flattened config, as in a checkpoint.
        options (Mapping[str, Any] | None): Changes, from :func:`~vadlab.utils.cfg_options.parse_cfg_options`.

    Raises:
        ConfigError: A setting cannot be published; the message lists the places.
    """
    values = {key: value for key, value in settings.items() if key in SETTINGS and value is not None}
    for key, value in (options or {}).items():
        set_option(values, key, value, SETTINGS)
    without_caches(values)
    values = _own_files(values)
    files: dict[str, Path] = {}
    missing: list[str] = []
    for key in ('model', 'data_preprocessor'):
        if key in values:
            values[key] = _with_files(values[key], files, missing)
    for kind in ('train', 'val', 'test'):
        dataset = (values.get(f'{kind}_dataloader') or {}).get('dataset')
        if isinstance(dataset, dict) and 'pipeline' in dataset:
            dataset['pipeline'] = _with_files(dataset['pipeline'], files, missing)
    roots = dict.fromkeys(root.rstrip('/') for root in _data_roots(values) if root.rstrip('/') not in ('', '.'))
    names = {root: f'data_root_{i}' if i else 'data_root' for i, root in enumerate(roots)}
    content = plain_config(_with_variables(values, names), {name: _public(root) for root, name in names.items()})
    return PublishedConfig(content, files, sorted(set(missing)))


def _with_files(value: Any, files: dict[str, Path], missing: list[str]) -> Any:
    """Settings of a model in which local files are named by their place in the repository."""
    if isinstance(value, str):
        path = Path(value)
        if len(value) > 1_000 or '/' not in value or own_file(value) != value or not path.exists():
            return value
        if value.startswith(('configs/', 'vadlab/')):  # VADLab's, in its clone
            return value
        if path.suffix not in _OWN_FILES or not path.is_file() or path.stat().st_size > _MOST_BYTES:
            missing.append(value)
            return value
        name = next((name for name, known in files.items() if known == path), None)
        if name is None:
            stems = [f'{FILES}/{path.stem}{f"_{i}" if i else ""}{path.suffix}' for i in range(len(files) + 1)]
            name = next(one for one in stems if one not in files)
            files[name] = path
        return f'${{{REPOSITORY}}}/{name}'
    if isinstance(value, dict):
        return {key: _with_files(one, files, missing) for key, one in value.items()}
    return type(value)(_with_files(one, files, missing) for one in value) if isinstance(value, list | tuple) else value


def _own_files(value: Any, key: str = '') -> Any:
    """Settings with VADLab's files by their path in a clone, without caches and pretrained weights of this machine."""
    if isinstance(value, str):
        path = own_path(value)
        return None if key in ('pretrained', 'cache_dir') and path == value and os.path.isabs(path) else path
    if isinstance(value, dict):
        return with_own_configs({name: _own_files(one, name) for name, one in value.items()})
    return type(value)(_own_files(one, key) for one in value) if isinstance(value, list | tuple) else value


def _data_roots(values: Mapping[str, Any]) -> Iterator[str]:
    """``data_root`` of each data set, those of the tests first."""
    for kind in ('test', 'val', 'train'):
        yield from _texts(values.get(f'{kind}_dataloader'), 'data_root')
    yield from _texts(values, 'data_root')


def _texts(value: Any, name: str) -> Iterator[str]:
    for key, one in value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ():
        if key == name and isinstance(one, str):
            yield one
        yield from _texts(one, name)


def _with_variables(value: Any, names: Mapping[str, str]) -> Any:
    if isinstance(value, str):
        for root in sorted(names, key=len, reverse=True):
            if value.rstrip('/') == root or value.startswith(f'{root}/'):
                return f'${{{names[root]}}}{value[len(root) :]}'
        return value
    if isinstance(value, dict):
        return {key: _with_variables(one, names) for key, one in value.items()}
    return type(value)(_with_variables(one, names) for one in value) if isinstance(value, list | tuple) else value


def _public(root: str) -> str:
    """The published default of a folder: relative, without ``..``."""
    path = Path(root)
    return f'data/{path.name}' if path.is_absolute() or '..' in path.parts or root.startswith('~') else root


def check_has_model(settings: Mapping[str, Any], source: str) -> None:
    """Check that a config describes a model.

    Raises:
        ConfigError: It does not.
    """
    if not isinstance(settings.get('model'), Mapping) or not isinstance(settings['model'].get('type'), str):
        raise ConfigError(f'{source} describes no model: it has no model.type.')
