"""Reading experiment configs: MMEngine's Python dialect with late-bound variables.

A config is a Python file that is executed: open only configs of people you trust. ``_base_`` names the files it builds
on, and dicts are merged key by key as MMEngine does (``_delete_=True`` included). ``{{_base_.x}}`` and files that
import their bases under ``read_base()`` work, too. A config in JSON, as from the hub, is data and never executed: see
:mod:`~vadlab.utils.plain_config`.

Two features are added:

* **Late-bound variables.** A top-level variable with a plain value (number, string, None, list or tuple of these) that
  an experiment or ``--cfg-options name=value`` sets, replaces the assignment of that name in its ``_base_`` files
  *before* those are evaluated. So ``image_size`` is written once and every pipeline that reads it follows. A part of a
  variable (``train_pipeline.1.num_frames=5``) is set there as well, before anything copies it.
* **No option is lost.** A dotted option whose parents do not exist is an error that names the nearest known key. A
  top-level name that is neither an argument of the Runner nor read by an expression is a warning that does the same.

The whole config is then checked, see :mod:`~vadlab.utils.config_check`.
"""

import ast
import contextlib
import importlib
import inspect
import os
import re
import traceback
import types
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mmengine.config import Config, ConfigDict
from mmengine.runner import Runner

from .cfg_options import parse_cfg_options, set_option
from .config_check import check_config
from .errors import ConfigError
from .hub_address import is_address, parse_address
from .hub_files import hub_config
from .own_files import CONFIGS, config_file, own_file
from .plain_config import is_plain_config, read_plain_config, with_own_configs
from .required_files import require_config
from .suggest import nearest

__all__ = [
    'RUNNER_KEYS',
    'ConfigWarning',
    'config_differences',
    'config_path',
    'load_config',
    'parse_cfg_options',
    'read_config',
    'require_parts',
    'runner_config',
]

# Parts that a config needs to be used.
_PARTS = {
    'trained': ('model', 'train_dataloader', 'train_cfg', 'optim_wrapper'),
    'tested': ('model', 'test_dataloader', 'test_cfg', 'test_evaluator'),
}

#: Keys that the Runner looks up in the whole config, beside its constructor's arguments, and ``work_dir`` of our tools.
RUNNER_KEYS = frozenset(inspect.signature(Runner.__init__).parameters) - {'self', 'cfg'} | {
    'activation_checkpointing',
    'allow_config_change',
    'compile',
    'custom_imports',
    'find_unused_parameters',
    'sync_bn',
    'efficient_conv_bn_eval',
    'model_wrapper_cfg',
    'sanity_check',
    'smoke_pass',  # the former name of sanity_check
    'features',
    'feature_config',  # of a method on snippet features: the config of an extractor, for raw videos
}

#: Those of them that no expression of a config reads: ``features`` of an extraction is a variable of a data set, and
#: ``feature_config`` one that a config may change.
_SETTING_KEYS = RUNNER_KEYS - {'features', 'feature_config'}
_NAMES_OF_MMENGINE = frozenset({'filename', 'text', 'pretty_text', 'env_variables'})
_SCALARS = (bool, int, float, str, type(None))


class ConfigWarning(UserWarning):
    """Something in a config has no effect."""


@dataclass
class _Source:
    """One config file: its text, its syntax tree and the files it builds on."""

    path: Path
    text: str
    tree: ast.Module
    bases: list['_Source'] = field(default_factory=list)

    @property
    def imports_bases(self) -> bool:
        """Whether it imports its bases under ``with read_base():``, MMEngine's other dialect."""
        return any(isinstance(node, ast.With) and 'read_base' in ast.unparse(node.items[0]) for node in self.tree.body)

    def walk(self) -> Iterator['_Source']:
        """This file and all its ``_base_`` files, recursively."""
        yield self
        for base in self.bases:
            yield from base.walk()


class _Base(ConfigDict):
    """The name ``_base_`` inside a config file: the values of the base files, which the config may also change."""

    def __getattr__(self, key: str) -> Any:
        if key.startswith('__') or key not in self:
            raise AttributeError(f'the _base_ files do not define {key!r}. {nearest(key, list(self))}')
        return self[key]


def load_config(path: str | Path, cfg_options: Mapping[str, Any] | None = None) -> Config:
    """Read a config with its ``_base_`` files, import its ``custom_imports``, and check it.

    Args:
        path (str | Path): The config file, the name of one of VADLab's, such as ``fgclip_ucf``, or ``hf://USER/NAME``.
        cfg_options (Mapping[str, Any] | None): New values, as for :func:`read_config`.

    Returns:
        Config: Keys of the Runner and the variables; ``filename`` and ``text`` are those of ``path``.

    Raises:
        MissingFileError: ``path`` or one of its ``_base_`` files does not exist.
        ConfigError: A file cannot be evaluated, a module cannot be imported, or a setting cannot be used; the message
            lists all such settings.
    """
    config = read_config(path, cfg_options)
    _import_modules(config.get('custom_imports'), str(path))
    check_config(runner_config(config)._cfg_dict.to_dict(), str(path))
    return config


def read_config(path: str | Path, cfg_options: Mapping[str, Any] | None = None) -> Config:
    """Read a config with its ``_base_`` files, without importing or checking anything.

    Args:
        path (str | Path): The config file, or the name of one of VADLab's, such as ``fgclip_ucf``.
        cfg_options (Mapping[str, Any] | None): New values by name of a variable, or by dotted key such as
            ``train_dataloader.batch_size``, where an integer indexes a list; from :func:`parse_cfg_options`.

    Raises:
        MissingFileError: ``path`` or one of its ``_base_`` files does not exist.
        ConfigError: A file cannot be evaluated, or the key of an option does not exist.
    """
    options = dict(cfg_options or {})
    if is_address(path) or is_plain_config(path):
        return _read_data(path, options)
    path = config_path(path)
    source = _read(path, seen=())
    variables = _assigned(source)
    bound = {k: v for k, v in options.items() if k in variables and not isinstance(v, dict)}
    for name, value in bound.items():
        _check_kind(name, value, variables[name])
    inside = {k: v for k, v in options.items() if k not in bound}
    if source.imports_bases:
        bound, inside = {}, options
        _refuse_variables(options)
    values = _evaluated(source, bound, inside)
    _warn_of_unread(source, values)
    for key in inside:
        if key.split('.')[0] not in _SETTING_KEYS:
            others = {k: v for k, v in inside.items() if k != key}
            _check_reaches_setting(key, values, _evaluated(source, bound, others))

    if taken := sorted(_NAMES_OF_MMENGINE & set(values)):
        raise ConfigError(
            f"{path}: {taken[0]!r} is the name of an attribute of MMEngine's Config. Rename the variable."
        )
    text = '\n'.join(f'{s.path}\n{s.text}' for s in source.walk())
    return Config(_with_own_files(values), cfg_text=text, filename=str(Path(path).absolute()))


def _read_data(path: str | Path, options: Mapping[str, Any]) -> Config:
    """A config in JSON over VADLab's own hooks and logs, which are not part of it."""
    if is_address(path):
        file: str | Path = hub_config(str(path))
        name = parse_address(path).name
    else:
        file, name = path, Path(path).stem
    frame = _evaluate(_read(CONFIGS / 'default_runtime.py', seen=()), {}, {})
    found = read_plain_config(file, options)
    for name_of_variable in options.keys() & found.keys():
        _check_kind(name_of_variable, options[name_of_variable], [found[name_of_variable]])
    values = {**{key: one for key, one in frame.items() if key in RUNNER_KEYS}, **with_own_configs(found)}
    for key, value in options.items():
        if key not in found or isinstance(found[key], dict | list):
            set_option(values, key, value, RUNNER_KEYS)
    # MMEngine names logs by the file, and saves the config that it runs beside them, as Python.
    return Config(_with_own_files(values), cfg_text=f'{file}\n', filename=str(Path(f'{name}.py').absolute()))


def _with_own_files(value: Any) -> Any:
    """Values with paths that exist; see :func:`own_file`."""
    if isinstance(value, str):
        return own_file(value)
    if isinstance(value, dict):
        return type(value)((key, _with_own_files(one)) for key, one in value.items())
    return type(value)(map(_with_own_files, value)) if type(value) in (list, tuple) else value


def _import_modules(wanted: Any, where: str) -> None:
    """Import the modules in ``custom_imports``."""
    if not wanted:
        return
    names = wanted.get('imports') if isinstance(wanted, Mapping) else None
    names = [names] if isinstance(names, str) else names
    if not isinstance(names, (list, tuple)) or not all(isinstance(name, str) for name in names):
        raise ConfigError(f"{where}: custom_imports must be a dict such as dict(imports=['my_package.my_module']).")
    for name in names:
        try:
            importlib.import_module(name)
        except (ImportError, TypeError, ValueError) as error:
            missing = getattr(error, 'name', None) or ''
            text = f'{where}: custom_imports: {name!r} cannot be imported: {error}.'
            if isinstance(error, ModuleNotFoundError) and f'{name}.'.startswith(f'{missing}.'):
                text += (
                    f' Put the folder that holds {name.split(".")[0]!r} on the path: PYTHONPATH=FOLDER python '
                    'tools/train.py ...'
                )
            if not wanted.get('allow_failed_imports', False):
                raise ConfigError(text) from error
            warnings.warn(text, ConfigWarning, stacklevel=3)


def runner_config(config: Config) -> Config:
    """The part of a config that the Runner reads; it is dumped beside a run and saved in its checkpoints.

    Variables are left out: in a flat file nothing reads them.
    """
    kept = {k: v for k, v in config._cfg_dict.to_dict().items() if k in RUNNER_KEYS}
    return _FlatConfig(kept, cfg_text=config.text or None, filename=config.filename)


# The text of the config goes into every checkpoint, and yapf takes longer to format it than a small model takes for
# an epoch.
_formatted: dict[str, str] = {}


class _FlatConfig(Config):
    """A config that caches its formatted text."""

    @property
    def pretty_text(self) -> str:
        key = repr(self._cfg_dict)
        if key not in _formatted:
            _formatted.clear()
            _formatted[key] = super().pretty_text
        return _formatted[key]


def require_parts(config: Config, name: str | Path, use: str) -> None:
    """Check that a config has all parts for a use.

    Args:
        config (Config): The config.
        name (str | Path): Its name, for the message.
        use (str): ``trained`` or ``tested``.

    Raises:
        ConfigError: One is missing.
    """
    missing = [key for key in _PARTS[use] if config.get(key) is None]
    if missing:
        raise ConfigError(f'{name} cannot be {use}: it sets no {", ".join(missing)}.')


def config_differences(old: Any, new: Any, prefix: str = '') -> list[str]:
    """Dotted keys in which two configs differ, each as ``key: old -> new``."""
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        lines = []
        for key in sorted(set(old) | set(new), key=str):
            missing = '(not set)'
            lines += config_differences(
                old.get(key, missing), new.get(key, missing), f'{prefix}.{key}' if prefix else key
            )
        return lines
    if isinstance(old, (list, tuple)) and isinstance(new, (list, tuple)) and len(old) == len(new):
        return [
            x for i, (a, b) in enumerate(zip(old, new, strict=True)) for x in config_differences(a, b, f'{prefix}.{i}')
        ]
    return [] if old == new else [f'{prefix}: {old!r} -> {new!r}']


def _read(path: Path, seen: tuple[Path, ...]) -> _Source:
    require_config(path, seen[-1] if seen else None)
    if path.resolve() in seen:
        raise ConfigError(f'{path} builds on itself: {" -> ".join(str(p) for p in (*seen, path))}.')
    try:
        text = path.read_text(encoding='utf-8')
        tree = _Placeholders().visit(ast.parse(_fill_in(text, path), filename=str(path)))
    except SyntaxError as error:
        raise ConfigError(f'{path}, line {error.lineno}: {error.msg}: {(error.text or "").strip()}') from error
    except (ValueError, RecursionError) as error:  # not UTF-8, a zero byte, brackets without end
        raise ConfigError(f'{path} is not a config file: {error}') from error
    source = _Source(path, text, tree)
    if source.imports_bases and seen:
        raise ConfigError(f'{path} imports its bases by read_base(), so {seen[-1]} cannot name it as a _base_.')
    for node in tree.body:
        if _target(node) == '_base_':
            tree.body.remove(node)
            bases = _literal(node.value)  # type: ignore[attr-defined]
            bases = [bases] if isinstance(bases, str) else bases
            if not isinstance(bases, (list, tuple)) or not all(isinstance(b, str) for b in bases):
                raise ConfigError(f'{path}, line {node.lineno}: _base_ must be a list of file names.')
            source.bases = [_read(_base_path(base, path), (*seen, path.resolve())) for base in bases]
            break
    return source


def config_path(name: str | Path) -> Path:
    """Path of a config: a path, the name of one of VADLab's, or ``package::file`` of an installed package."""
    text = str(name)
    return _base_path(text, Path()) if '::' in text else Path(config_file(text))


def _base_path(base: str, path: Path) -> Path:
    """Path of a ``_base_`` entry: a file relative to the config, or ``package::file`` of an installed package."""
    if '::' not in base:
        return path.parent / base
    if base.startswith('vadlab::'):
        return Path(config_file(base))
    try:
        return Path(Config._get_cfg_path(base, str(path))[0])
    except (ImportError, OSError, ValueError, KeyError, AssertionError) as error:
        raise ConfigError(f'{path}: _base_ {base!r} cannot be found: {error}') from error


_ENVIRONMENT = re.compile(r'\{\{\s*\$(\w+)\s*:\s*(.*?)\s*\}\}')
_BASE_VALUE = re.compile(r'\{\{\s*(_base_(?:\.\w+)+)\s*\}\}')


def _fill_in(text: str, path: Path) -> str:
    """Replace MMEngine's predefined names and environment variables (``{{$NAME:default}}``) in a text."""
    names = {
        'fileDirname': str(path.absolute().parent),
        'fileBasename': path.name,
        'fileBasenameNoExtension': path.stem,
        'fileExtname': path.suffix,
    }
    for name, value in names.items():
        text = re.sub(rf'\{{\{{\s*{name}\s*\}}\}}', value.replace('\\', '/'), text)
    return _ENVIRONMENT.sub(lambda match: os.environ.get(match[1], match[2]), text)


class _Placeholders(ast.NodeTransformer):
    """Replaces MMEngine's ``{{_base_.x}}``, with or without quotes, by ``_base_.x``."""

    def visit_Set(self, node: ast.Set) -> ast.AST:
        inner = node.elts[0]
        if len(node.elts) == 1 and isinstance(inner, ast.Set) and ast.unparse(inner.elts[0]).startswith('_base_.'):
            return inner.elts[0]
        return self.generic_visit(node)

    def visit_Constant(self, node: ast.Constant) -> ast.AST:
        match = _BASE_VALUE.fullmatch(node.value) if isinstance(node.value, str) else None
        if match is None:
            return node
        value = ast.parse(match[1], mode='eval').body
        return ast.fix_missing_locations(ast.copy_location(value, node))


def _target(node: ast.stmt) -> str | None:
    """The name that a plain top-level assignment sets."""
    if isinstance(node, ast.Assign) and len(node.targets) == 1 and isinstance(node.targets[0], ast.Name):
        return node.targets[0].id
    return None


_NOT_LITERAL = object()


def _literal(node: ast.expr) -> Any:
    try:
        return ast.literal_eval(node)
    except (ValueError, TypeError, SyntaxError):
        return _NOT_LITERAL


def _is_plain(value: Any) -> bool:
    if isinstance(value, (list, tuple)):
        return all(_is_plain(v) for v in value)
    return isinstance(value, _SCALARS)


def _stored(node: ast.AST) -> set[str]:
    """Names that a top-level statement assigns, including inside its branches."""
    if isinstance(node, (ast.Assign, ast.AnnAssign, ast.AugAssign)):
        targets = node.targets if isinstance(node, ast.Assign) else [node.target]
        return {n.id for t in targets for n in ast.walk(t) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)}
    if isinstance(node, (ast.If, ast.For, ast.While, ast.With, ast.Try)):
        return {name for child in ast.iter_child_nodes(node) for name in _stored(child)}
    return set()


def _plain_assignments(source: _Source, bound: Mapping[str, Any]) -> dict[str, Any]:
    """Variables of this file (not of its bases) with a plain value: a literal, or an expression of such variables."""
    found: dict[str, Any] = {}
    for node in source.tree.body:
        names = _stored(node)
        if not isinstance(node, (ast.Assign, ast.AnnAssign)):
            for name in names:  # the effect of a branch or += is not known before evaluation
                found.pop(name, None)
            continue
        space = {**found, **{k: v for k, v in bound.items() if k in found}}
        if isinstance(node, ast.AnnAssign) and node.value is not None:  # its annotation is not evaluated
            node = ast.copy_location(ast.Assign(targets=[node.target], value=node.value), node)
        statement = ast.fix_missing_locations(ast.Module(body=[node], type_ignores=[]))
        try:
            exec(compile(statement, str(source.path), 'exec'), {'__builtins__': {}}, space)
        except Exception:
            space = {}
        for name in names:
            found.pop(name, None)
            if name in space and _is_plain(space[name]) and not name.startswith('_'):
                found[name] = space[name]
    return found


def _assigned(source: _Source) -> dict[str, list[Any]]:
    """Every top-level name set in a file or its bases, with those of its values that are plain."""
    names: dict[str, list[Any]] = {}
    for file in source.walk():
        plain = _plain_assignments(file, {})
        for node in file.tree.body:
            for name in _stored(node):
                if not name.startswith('_'):
                    names.setdefault(name, []).extend([plain[name]] if name in plain else [])
    return names


def _check_kind(name: str, value: Any, known: list[Any]) -> None:
    """Refuse a value of another type, such as a word where the config has a number."""
    if not known or value is None or any(v is None for v in known):
        return
    current = known[0]
    wrong_switch = isinstance(current, bool) and not isinstance(value, bool)
    number = isinstance(current, (int, float)) and not isinstance(current, bool)
    if wrong_switch or (number and (not isinstance(value, (int, float)) or isinstance(value, bool))):
        raise ConfigError(f'{name} is {current!r} in the config and cannot be {value!r}.')


def _evaluated(source: _Source, bound: Mapping[str, Any], inside: Mapping[str, Any]) -> dict[str, Any]:
    """The values of a config, with the variables in ``bound`` replaced and the dotted options in ``inside`` set."""
    early = {k: v for k, v in inside.items() if k.split('.')[0] not in _SETTING_KEYS}
    values = _unshared(_evaluate(source, bound, early))  # so that an option sets only its own key
    for key, value in inside.items():
        set_option(values, key, value, RUNNER_KEYS)
    return values


def _unshared(value: Any) -> Any:
    """A deep copy in which no dict or list is shared."""
    if isinstance(value, dict):
        return {k: _unshared(v) for k, v in value.items()}
    return type(value)(map(_unshared, value)) if type(value) in (list, tuple) else value


def _evaluate(source: _Source, bound: Mapping[str, Any], inside: Mapping[str, Any]) -> dict[str, Any]:
    """Run a file over its bases, with ``bound`` in place of its own assignments to those names."""
    if source.imports_bases:
        return _evaluate_by_mmengine(source)
    below = {**_plain_assignments(source, bound), **bound}
    base: dict[str, Any] = {}
    for file in source.bases:
        values = _evaluate(file, below, inside)
        double = sorted(k for k in set(base) & set(values) if base[k] != values[k])
        if double:
            raise ConfigError(f'{source.path}: {", ".join(double)} set in more than one of its _base_ files.')
        base.update(values)

    base = _Base(base)
    namespace: dict[str, Any] = {'__file__': str(source.path), '_base_': base}
    for node in source.tree.body:
        if _target(node) not in bound:
            _run(node, source, namespace, bound)
        for name in _stored(node) & set(bound):
            if name == _target(node) or name in namespace:
                namespace[name] = _unshared(bound[name])
        for key, value in inside.items():
            if key.split('.')[0] in namespace:
                with contextlib.suppress(ConfigError):  # this file may have only a part; the whole is checked later
                    set_option(namespace, key, value)
    own = {
        k: v
        for k, v in namespace.items()
        if not k.startswith('_') and not isinstance(v, (types.ModuleType, types.FunctionType, type))
    }
    try:
        return Config._merge_a_into_b(_unshared(own), base)
    except (TypeError, KeyError) as error:
        raise ConfigError(f'{source.path}: cannot be merged into its _base_ files: {error}') from error


def _run(node: ast.stmt, source: _Source, namespace: dict[str, Any], bound: Mapping[str, Any]) -> None:
    """Run one statement of a config."""
    statement = ast.fix_missing_locations(ast.Module(body=[node], type_ignores=[]))
    try:
        exec(compile(statement, str(source.path), 'exec'), namespace)
    except Exception as error:
        lines = [f.lineno for f in traceback.extract_tb(error.__traceback__) if f.filename == str(source.path)]
        read = {n.id for n in ast.walk(node) if isinstance(n, ast.Name)}
        late = ', '.join(f'{k}={v!r}' for k, v in bound.items() if k in read)
        where = f'{source.path}, line {lines[-1] if lines else node.lineno}'
        reason = f'{type(error).__name__}: {error}'
        raise ConfigError(f'{where}: {reason}' + (f' (where {late} was set from outside)' if late else '')) from error


def _evaluate_by_mmengine(source: _Source) -> dict[str, Any]:
    """The values of a file that uses ``read_base()``, MMEngine's other dialect, in which nothing is late-bound."""
    try:
        return Config.fromfile(source.path)._cfg_dict.to_dict()
    except Exception as error:
        raise ConfigError(f'{source.path}: {type(error).__name__}: {error}') from error


def _refuse_variables(options: Mapping[str, Any]) -> None:
    """Refuse options on variables if the config is evaluated before options are set."""
    for key in options:
        if key.split('.')[0] not in RUNNER_KEYS:
            raise ConfigError(
                f'--cfg-options {key}: a config that imports its bases by read_base() is evaluated before options are '
                'set, so a variable would change nothing. Set the dotted key that it reaches, such as '
                'train_dataloader.batch_size.'
            )


def _warn_of_unread(source: _Source, values: Mapping[str, Any]) -> None:
    """Warn of top-level names that neither the Runner nor an expression reads."""
    read = set()
    for file in source.walk():
        for node in ast.walk(file.tree):
            if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load):
                read.add(node.id)
            elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == '_base_':
                read.add(node.attr)
    known = RUNNER_KEYS | read & set(values)
    for file in source.walk():
        for key in sorted({name for node in file.tree.body for name in _stored(node)} & set(values) - known):
            text = f'{file.path}: nothing reads {key!r}. {nearest(key, sorted(known), limit=12)}'
            warnings.warn(text, ConfigWarning, stacklevel=4)


def _check_reaches_setting(key: str, values: Mapping[str, Any], without: Mapping[str, Any]) -> None:
    """Refuse an option inside a variable if it changes only the variable, and no setting.

    Raises:
        ConfigError: The message names the places that hold a copy of the variable.
    """
    root = key.split('.')[0]
    if values.get(root) == without.get(root):
        return
    if {k: v for k, v in values.items() if k in RUNNER_KEYS} != {k: v for k, v in without.items() if k in RUNNER_KEYS}:
        return
    copies = [
        place
        for name in sorted(_SETTING_KEYS & set(without))
        for place in _keys_with_value(without[name], without[root], name)
    ]
    hint = f'Set {" and ".join(place + key[len(root) :] for place in copies)}.' if copies else 'Nothing reads it.'
    raise ConfigError(f'--cfg-options {key}: {root} is a variable, and this part of it reaches no setting. {hint}')


def _keys_with_value(node: Any, wanted: Any, path: str) -> Iterator[str]:
    """Dotted keys below ``path`` at which ``node`` holds a value equal to ``wanted``."""
    if node == wanted:
        yield path
    elif isinstance(node, (dict, list, tuple)):
        for key, value in node.items() if isinstance(node, dict) else enumerate(node):
            yield from _keys_with_value(value, wanted, f'{path}.{key}')
