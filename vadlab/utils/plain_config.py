"""Configs as data: JSON with plain values, which is parsed and checked, never run.

``vadlab push`` writes the flattened config of a model in this form, and ``hf://`` addresses are read in no other.
A file comes from strangers, so it may name only parts that VADLab registers, no files outside the folders of its data,
no server and no code: see :func:`check_plain`.
"""

import math
import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from .errors import ConfigError, DataError
from .json_file import read_json, shape_fault
from .own_files import CONFIGS, PACKAGE, config_names
from .suggest import nearest

#: Version of the format.
FORMAT = 1
#: What a config may set. Hooks, logs and folders of results are the reader's own.
SETTINGS = frozenset(
    {'model', 'data_preprocessor', 'optim_wrapper', 'param_scheduler', 'randomness', 'features', 'feature_config'}
    | {f'{kind}_{part}' for kind in ('train', 'val', 'test') for part in ('dataloader', 'cfg', 'evaluator')}
    | {'find_unused_parameters', 'sync_bn'}
)
#: Modules whose registered parts a config may use. Some parts of MMEngine and MMDetection load pickles or run files.
_MODULES = (
    'vadlab.',
    'torch.optim.',
    'torch.nn.',
    'mmengine.optim.',
    'mmengine.dataset.sampler',
    'mmengine.dataset.utils',
    'mmengine.runner.loops',
    'mmengine.model.wrappers.',
)
_NEVER = {'MMDetProposals': 'it runs a config of MMDetection'}
#: Settings that name configs, which are Python: only VADLab's own.
_CONFIG_KEYS = {'config', 'feature_config', 'teacher_config'}
_LOCAL_HOSTS = {'localhost', '127.0.0.1', '::1'}
#: The variable that means the folder of the config itself, with the files that are published beside it.
REPOSITORY = 'repository'
_NAME = re.compile(r'[A-Za-z_]\w*')
#: MMEngine writes names into Python files as they are, between quotes.
_UNSAFE_IN_NAME = re.compile(r'[\'"\\\0-\x1f\x7f]')
_MOST_CHARACTERS = 100_000
_TAG = '__'


def is_plain_config(path: str | os.PathLike) -> bool:
    """Whether a config file is in this form: its name ends with ``.json``."""
    return os.fspath(path).endswith('.json')


# ---- values and their JSON -------------------------------------------------------------------------------------------


def to_json(value: Any, place: str = '') -> Any:
    """Plain values as JSON, without loss: tuples, infinite numbers and keys that are no text are marked.

    >>> to_json({'betas': (0.9, 0.999), 'T': float('inf')})
    {'betas': {'__tuple__': [0.9, 0.999]}, 'T': {'__float__': 'inf'}}

    Raises:
        ConfigError: A value is not plain; the message names its place.
    """
    if value is None or type(value) in (bool, int, str):
        return value
    if type(value) is float:
        return value if math.isfinite(value) else {'__float__': str(value)}
    if isinstance(value, tuple):
        return {'__tuple__': [to_json(one, f'{place}.{i}') for i, one in enumerate(value)]}
    if isinstance(value, list):
        return [to_json(one, f'{place}.{i}') for i, one in enumerate(value)]
    if isinstance(value, Mapping):
        if all(type(key) is str and not key.startswith(_TAG) for key in value):
            return {str(key): to_json(one, f'{place}.{key}'.lstrip('.')) for key, one in value.items()}
        return {'__dict__': [[to_json(k, place), to_json(v, f'{place}.{k}')] for k, v in value.items()]}
    raise ConfigError(f'{place or "the config"} is a {type(value).__name__}, which no file of plain values can hold.')


def from_json(value: Any) -> Any:
    """The values that :func:`to_json` wrote.

    Raises:
        ConfigError: A mark is used in another way.
    """
    if isinstance(value, list):
        return [from_json(one) for one in value]
    if not isinstance(value, dict):
        return value
    if len(value) == 1 and next(iter(value)).startswith(_TAG):
        ((tag, inner),) = value.items()
        match tag, inner:
            case '__tuple__', list():
                return tuple(map(from_json, inner))
            case '__float__', 'inf' | '-inf' | 'nan':
                return float(inner)
            case '__dict__', list() if all(isinstance(pair, list) and len(pair) == 2 for pair in inner):
                pairs = [(from_json(key), from_json(one)) for key, one in inner]
                if all(isinstance(key, str | int | float | bool | tuple | None) for key, _ in pairs):
                    try:
                        return dict(pairs)
                    except TypeError:  # a tuple that holds a list
                        pass
        raise ConfigError(f'{tag!r} is not a mark of a published config, or marks something else.')
    return {key: from_json(one) for key, one in value.items()}


# ---- files -----------------------------------------------------------------------------------------------------------


def read_plain_config(path: str | os.PathLike, variables: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Settings and variables of a config in JSON.

    Args:
        path (str | PathLike): The file.
        variables (Mapping[str, Any] | None): New values of its variables, such as ``data_root``.

    Returns:
        dict[str, Any]: The settings, with variables in place of ``${NAME}`` at the start of a text, and the variables.

    Raises:
        MissingFileError: There is no such file.
        ConfigError: It is damaged, or sets what data from outside may not set; the message names the places.
    """
    try:
        content = read_json(path, unique_keys=True)
    except DataError as error:
        raise ConfigError(str(error)) from error
    fault = shape_fault(content, {'format': int, 'variables': {str: str}, 'settings': {str: Any}})
    if fault is not None:
        raise ConfigError(f'{path} is not a config of plain values: {fault}. Configs in Python end with .py.')
    if content['format'] > FORMAT:
        raise ConfigError(
            f'{path} has the format {content["format"]}; this VADLab reads up to {FORMAT}. Update VADLab.'
        )
    settings = from_json(content['settings'])
    check_plain(settings, content['variables'], str(path))
    values = {name: (variables or {}).get(name, value) for name, value in content['variables'].items()}
    return {**values, **_filled(settings, {**values, REPOSITORY: str(Path(path).absolute().parent)})}


def plain_config(settings: Mapping[str, Any], variables: Mapping[str, str]) -> dict[str, Any]:
    """The content of a config in JSON, checked as the reader checks it.

    Args:
        settings (Mapping[str, Any]): The settings, with ``${NAME}`` where a text begins with a variable.
        variables (Mapping[str, str]): The variables.

    Raises:
        ConfigError: A setting cannot be published.
    """
    content = {'format': FORMAT, 'variables': dict(variables), 'settings': to_json(settings)}
    if problems := plain_problems(from_json(content['settings']), variables):
        raise ConfigError(
            f'The config cannot be published: {_listed(problems)}. Change these settings by --cfg-options KEY=VALUE.'
        )
    return content


def _filled(value: Any, variables: Mapping[str, Any]) -> Any:
    if isinstance(value, str):
        for name, text in variables.items():
            mark = f'${{{name}}}'
            if value == mark:
                return text
            if value.startswith(f'{mark}/'):
                return f'{text}{value.removeprefix(mark)}'
        return value
    if isinstance(value, dict):
        return {key: _filled(one, variables) for key, one in value.items()}
    return type(value)(_filled(one, variables) for one in value) if isinstance(value, list | tuple) else value


# ---- checks ----------------------------------------------------------------------------------------------------------


def check_plain(settings: Mapping[str, Any], variables: Mapping[str, str], source: str) -> None:
    """Check that settings from outside name no code, no server and no file outside the data.

    * Keys at the top: :data:`SETTINGS`. Others, such as ``custom_imports`` and ``_base_``, are refused.
    * Each ``type`` is the name of a part that VADLab, torch or MMEngine register, without the path of a module.
    * Configs that a setting names are VADLab's own. Other Python files and pickles are refused.
    * Paths are relative and without ``..``; an address of a server is refused, except on this machine. This holds for
      the texts with the variables in them, too.
    * Names have no quotes, backslashes or line breaks, which would be code in a config that is saved as Python.

    Args:
        settings (Mapping[str, Any]): The settings.
        variables (Mapping[str, str]): Variables, which follow the same rules for paths.
        source (str): Where the settings come from, for the message.

    Raises:
        ConfigError: Something is refused; the message lists the places.
    """
    if problems := plain_problems(settings, variables):
        raise ConfigError(
            f'{source} comes from outside and is refused: {_listed(problems)}. If you trust its author, write these '
            'settings into a config of your own.'
        )


def plain_problems(settings: Mapping[str, Any], variables: Mapping[str, str]) -> list[str]:
    """Settings that :func:`check_plain` refuses, each with the reason."""
    known = sorted(SETTINGS)
    problems = [f'{key}: data cannot set it. {nearest(key, known, limit=4)}' for key in settings if key not in SETTINGS]
    wrong = [name for name in variables if not _NAME.fullmatch(name) or name == REPOSITORY]
    problems += [f'{name!r} is not the name of a variable' for name in wrong]
    problems += [f'{name}: {why}' for name, text in variables.items() if (why := _text_fault(name, text))]
    kinds = _registered()
    faults = list(_faults(dict(settings), '', kinds))
    if not problems and not faults:  # a variable and the text after it may be harmless, and both together a path
        faults = list(_faults(_filled(dict(settings), variables), '', kinds))
    return problems + [f'{place}: {why}' for place, why in faults]


def _listed(problems: list[str]) -> str:
    return '; '.join(problems[:5]) + (f'; and {len(problems) - 5} more' if len(problems) > 5 else '')


def _faults(value: Any, place: str, kinds: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    if isinstance(value, str):
        if why := _text_fault(place.rpartition('.')[2], value):
            yield place, why
    elif isinstance(value, dict):
        for key, one in value.items():
            where = f'{place}.{key}'.lstrip('.')
            if isinstance(key, str):
                if key.startswith('_'):
                    yield where, 'a name that begins with an underscore has a meaning of its own'
                    continue
                if why := _text_fault('', key):
                    yield place or 'a key', why
                if _UNSAFE_IN_NAME.search(key):
                    yield place or 'a key', f'{key[:80]!r} has quotes, backslashes or line breaks'
            if key in ('type', 'constructor') and isinstance(one, str):
                if why := _kind_fault(one, kinds):
                    yield where, why
            else:
                yield from _faults(one, where, kinds)
    elif isinstance(value, list | tuple):
        for i, one in enumerate(value):
            yield from _faults(one, f'{place}.{i}', kinds)


def _kind_fault(name: str, kinds: Mapping[str, Any]) -> str | None:
    if not _NAME.fullmatch(name):
        return f'{name[:80]!r} is the path of code, not the name of a registered part'
    if name in _NEVER:
        return f'{name}: {_NEVER[name]}'
    found = kinds.get(name)
    if found is None:
        return f'{name[:80]!r} is not a part that VADLab registers. {nearest(name, list(kinds), limit=3)}'
    if not all(one.startswith(_MODULES) for one in found):
        return f'{name!r} is a part of {sorted(found)[0].partition(".")[0]} that may read other files'
    return None


def _text_fault(key: str, text: Any) -> str | None:
    if not isinstance(text, str):
        return 'it is not a text'
    if len(text) > _MOST_CHARACTERS or '\0' in text:
        return 'a text that is too long, or has a zero byte'
    if key in _CONFIG_KEYS or text.endswith('.py'):
        return None if own_config(text) is not None else f'{text[:80]!r} is not one of the configs of VADLab'
    if text.lower().endswith(('.pkl', '.pickle')):
        return f'{text[:80]!r} is a pickle, which may hold code'
    if '://' in text and not text.startswith('hf://'):
        try:
            host = urlsplit(text).hostname
        except ValueError:
            host = None
        return None if host in _LOCAL_HOSTS else f'{text[:80]!r} is the address of a server'
    parts = re.split(r'[\\/]', text)  # a pattern may hold backslashes, but no such parts
    if text.startswith(('/', '~/')) or text == '~' or re.match(r'[A-Za-z]:[\\/]|\\\\', text) or '..' in parts:
        return f'{text[:80]!r} is a path outside the folder of the data'
    return None


def own_config(text: str) -> str | None:
    """``vadlab::NAME.py`` for a name of one of VADLab's configs in any form; None for another file.

    >>> own_config('configs/rtfm_demo.py'), own_config('/tmp/x.py')
    ('vadlab::rtfm_demo.py', None)
    """
    for prefix in ('vadlab::', 'configs/', f'{CONFIGS}/'):
        text = text.removeprefix(prefix)
    name = text.removesuffix('.py')
    return f'vadlab::{name}.py' if name in config_names() else None


def own_path(text: str) -> str:
    """A file of VADLab by its path from the root of a clone, wherever VADLab is installed; others are unchanged."""
    for root, folder in (('configs', CONFIGS), ('vadlab', PACKAGE)):
        if text.startswith(f'{folder}/'):
            return f'{root}/{text.removeprefix(f"{folder}/")}'
    return text


def with_own_configs(value: Any) -> Any:
    """Settings in which configs are named as ``vadlab::NAME.py``, so that no file of the working directory is meant."""
    if isinstance(value, dict):
        return {
            key: own_config(one) or one if key in _CONFIG_KEYS and isinstance(one, str) else with_own_configs(one)
            for key, one in value.items()
        }
    return type(value)(map(with_own_configs, value)) if isinstance(value, list | tuple) else value


def _registered() -> dict[str, set[str]]:
    """Modules of the parts that a name can mean, in each of VADLab's registries and in MMEngine's functions."""
    from mmengine.registry import FUNCTIONS, Registry

    from vadlab import registry as own

    from .setup_env import register_all_modules

    register_all_modules(init_default_scope=False)
    found: dict[str, set[str]] = {}
    for registry in (FUNCTIONS, *(one for one in vars(own).values() if isinstance(one, Registry))):
        parts: dict[str, Any] = {}
        parent: Any = registry
        while parent is not None:
            parent.import_from_location()
            parts = {**parent.module_dict, **parts}  # a part of VADLab hides one of MMEngine
            parent = parent.parent
        for name, part in parts.items():
            found.setdefault(name, set()).add(f'{part.__module__}.')
    return {**{old: found[new] for old, new in own.RENAMED.items() if new in found}, **found}
