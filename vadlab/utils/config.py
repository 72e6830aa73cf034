"""Reading experiment configs: MMEngine's Python dialect with late-bound variables.

A config is a Python file that is executed: open configs of people you trust only. It should hold plain assignments;
``_base_`` names the files it builds on, and dicts are merged key by key as MMEngine does (``_delete_=True`` included).
Two things are added:

* **Late-bound variables.** A top-level variable with a plain value (number, string, None, list or tuple of these) that
  an experiment or ``--cfg-options name=value`` sets, replaces the assignment of that name in its ``_base_`` files
  *before* those are evaluated. So ``image_size`` is written once and every pipeline that reads it follows.
* **No key goes unread.** A top-level name that is neither an argument of the Runner nor read by an expression is a
  misspelling, and so is a dotted option whose parents do not exist: both are errors that name the nearest known key.
"""

import ast
import inspect
import traceback
import types
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mmengine.config import Config, DictAction
from mmengine.runner import Runner
from mmengine.utils import import_modules_from_strings

from .errors import ConfigError, MissingFileError
from .suggest import nearest

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
    'smoke_pass',
    'features',
}

_SCALARS = (bool, int, float, str, type(None))


@dataclass
class _Source:
    """One config file: its text, its syntax tree and the files it builds on."""

    path: Path
    text: str
    tree: ast.Module
    bases: list['_Source'] = field(default_factory=list)

    def walk(self) -> Iterator['_Source']:
        """This file and all below it."""
        yield self
        for base in self.bases:
            yield from base.walk()


class _Base(dict):
    """What ``_base_.key`` reads from in a config file; a dict of the base files, which may be used whole."""

    def __getattr__(self, key: str) -> Any:
        if key.startswith('__') or key not in self:
            raise AttributeError(f'the _base_ files do not define {key!r}. {nearest(key, list(self))}')
        value = self[key]
        return _Base(value) if isinstance(value, dict) else value


def load_config(path: str | Path, cfg_options: Mapping[str, Any] | None = None) -> Config:
    """Read a config with everything it builds on.

    Args:
        path (str | Path): The config file.
        cfg_options (Mapping[str, Any] | None): What to change: names of variables, or dotted keys such as
            ``train_dataloader.batch_size``; an integer steps into a list. As :func:`parse_cfg_options` returns them.

    Returns:
        Config: Keys of the Runner and the variables; ``filename`` and ``text`` are those of ``path``.

    Raises:
        MissingFileError: ``path`` or one of its ``_base_`` files does not exist.
        ConfigError: A file cannot be evaluated, or a key is unknown.
    """
    source = _read(Path(path), seen=())
    options = dict(cfg_options or {})
    variables = _assigned(source)
    bound = {k: v for k, v in options.items() if k in variables and not isinstance(v, dict)}
    for name, value in bound.items():
        _check_kind(name, value, variables[name])
    values = _evaluate(source, bound)
    _check_all_read(source, values)

    for key, value in options.items():
        if key not in bound:
            _set_dotted(values, key, value)

    text = '\n'.join(f'{s.path}\n{s.text}' for s in source.walk())
    config = Config(values, cfg_text=text, filename=str(Path(path).absolute()))
    if config.get('custom_imports'):
        import_modules_from_strings(**config.custom_imports)
    return config


def parse_cfg_options(pairs: list[str] | None) -> dict[str, Any]:
    """Turn the ``key=value`` words after ``--cfg-options`` into a dict.

    Values are numbers, booleans, None, strings, or lists and tuples of them (``a,b`` or ``[a,b]`` or ``(a,b)``).

    Raises:
        ConfigError: A word without ``=``.
    """
    options = {}
    for pair in pairs or []:
        key, sign, value = pair.partition('=')
        if not sign or not key:
            raise ConfigError(f'--cfg-options takes key=value, got {pair!r} (no spaces around "=").')
        parsed = DictAction._parse_iterable(value)
        options[key] = None if parsed == 'None' else parsed
    return options


def runner_config(config: Config) -> Config:
    """The part of a config that the Runner acts on: what is dumped beside a run and saved in its checkpoints.

    Variables are left out, since in a flat file nothing reads them any more.
    """
    kept = {k: v for k, v in config._cfg_dict.to_dict().items() if k in RUNNER_KEYS}
    return _FlatConfig(kept, filename=config.filename)


# A run asks for the text of its config at every checkpoint, and formatting it takes yapf longer than a small model's
# whole epoch.
_formatted: dict[str, str] = {}


class _FlatConfig(Config):
    """A config that remembers its formatted text."""

    @property
    def pretty_text(self) -> str:
        key = repr(self._cfg_dict)
        if key not in _formatted:
            _formatted.clear()
            _formatted[key] = super().pretty_text
        return _formatted[key]


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
    if not path.is_file():
        folder = path.parent
        if not folder.is_dir():
            raise MissingFileError(f'Config {path} not found: there is no folder {folder}.')
        known = [p.name for p in folder.glob('*.py')]
        hint = nearest(path.name, known) if known else f'There is no config in {folder}.'
        by = f' (named by {seen[-1]})' if seen else ''
        raise MissingFileError(f'Config {path} not found{by}. {hint}')
    if path.resolve() in seen:
        raise ConfigError(f'{path} builds on itself: {" -> ".join(str(p) for p in (*seen, path))}.')
    text = path.read_text(encoding='utf-8')
    try:
        tree = ast.parse(text, filename=str(path))
    except SyntaxError as error:
        raise ConfigError(f'{path}, line {error.lineno}: {error.msg}: {(error.text or "").strip()}') from error
    source = _Source(path, text, tree)
    for node in tree.body:
        if _target(node) == '_base_':
            tree.body.remove(node)
            bases = _literal(node.value)  # type: ignore[attr-defined]
            bases = [bases] if isinstance(bases, str) else bases
            if not isinstance(bases, list) or not all(isinstance(b, str) for b in bases):
                raise ConfigError(f'{path}, line {node.lineno}: _base_ must be a list of file names.')
            source.bases = [_read(path.parent / base, (*seen, path.resolve())) for base in bases]
            break
    return source


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


def _plain_assignments(source: _Source) -> dict[str, Any]:
    """Variables of this very file whose value is a plain literal."""
    found = {}
    for node in source.tree.body:
        name = _target(node)
        if name is not None and _is_plain(value := _literal(node.value)):  # type: ignore[attr-defined]
            found[name] = value
    return found


def _assigned(source: _Source) -> dict[str, list[Any]]:
    """Every top-level name set anywhere, with the values it has where those are plain literals."""
    names: dict[str, list[Any]] = {}
    for file in source.walk():
        plain = _plain_assignments(file)
        for node in file.tree.body:
            name = _target(node)
            if name is not None and not name.startswith('_'):
                names.setdefault(name, []).extend([plain[name]] if name in plain else [])
    return names


def _check_kind(name: str, value: Any, known: list[Any]) -> None:
    """A word where the config has a number is a slip of the keyboard."""
    if not known or value is None or any(v is None for v in known):
        return
    current = known[0]
    wrong_switch = isinstance(current, bool) and not isinstance(value, bool)
    number = isinstance(current, (int, float)) and not isinstance(current, bool)
    if wrong_switch or (number and (not isinstance(value, (int, float)) or isinstance(value, bool))):
        raise ConfigError(f'{name} is {current!r} in the config and cannot be {value!r}.')


def _evaluate(source: _Source, bound: Mapping[str, Any]) -> dict[str, Any]:
    """Run a file over its bases, with ``bound`` in place of its own assignments to those names."""
    below = {**_plain_assignments(source), **bound}
    base: dict[str, Any] = {}
    for file in source.bases:
        values = _evaluate(file, below)
        double = sorted(k for k in set(base) & set(values) if base[k] != values[k])
        if double:
            raise ConfigError(f'{source.path}: {", ".join(double)} set in more than one of its _base_ files.')
        base.update(values)

    body = []
    for node in source.tree.body:
        name = _target(node)
        if name is not None and name in bound:
            constant = ast.parse(repr(bound[name]), mode='eval').body  # type: ignore[attr-defined]
            node = ast.copy_location(ast.Assign(targets=node.targets, value=constant), node)  # type: ignore[attr-defined]
        body.append(node)
    tree = ast.fix_missing_locations(ast.Module(body=body, type_ignores=[]))
    namespace: dict[str, Any] = {'__file__': str(source.path), '_base_': _Base(base)}
    try:
        exec(compile(tree, str(source.path), 'exec'), namespace)
    except Exception as error:
        lines = [f.lineno for f in traceback.extract_tb(error.__traceback__) if f.filename == str(source.path)]
        where = f', line {lines[-1]}' if lines else ''
        raise ConfigError(f'{source.path}{where}: {type(error).__name__}: {error}') from error
    own = {
        k: v
        for k, v in namespace.items()
        if not k.startswith('_') and not isinstance(v, (types.ModuleType, types.FunctionType, type))
    }
    try:
        return Config._merge_a_into_b(own, base)
    except (TypeError, KeyError) as error:
        raise ConfigError(f'{source.path}: cannot be merged into its _base_ files: {error}') from error


def _check_all_read(source: _Source, values: Mapping[str, Any]) -> None:
    read = set()
    for file in source.walk():
        for node in ast.walk(file.tree):
            if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load):
                read.add(node.id)
            elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == '_base_':
                read.add(node.attr)
    for key in values:
        if key not in RUNNER_KEYS and key not in read:
            where = next(s.path for s in source.walk() if any(_target(n) == key for n in s.tree.body) or not s.bases)
            known = sorted((RUNNER_KEYS | read & set(values)) - {key})
            raise ConfigError(f'{where}: nothing reads {key!r}. {nearest(key, known, limit=12)}')


def _set_dotted(values: dict[str, Any], key: str, value: Any) -> None:
    """Set ``a.b.c`` where ``a.b`` exists."""
    *parents, last = key.split('.')
    node: Any = values
    for i, part in enumerate(parents):
        node = _step(node, part, '.'.join(parents[:i]), key)
        if not isinstance(node, (dict, list, tuple)):
            where = '.'.join(parents[: i + 1])
            raise ConfigError(f'--cfg-options {key}: {where} is {node!r}, which has nothing inside it to set.')
    if isinstance(node, tuple):
        raise ConfigError(
            f'--cfg-options {key}: a tuple cannot be changed in part; set {".".join(parents)} as a whole.'
        )
    if isinstance(node, list):
        _step(node, last, '.'.join(parents), key)
        node[int(last)] = value
        return
    if not parents and last not in node and last not in RUNNER_KEYS:
        raise ConfigError(
            f'--cfg-options {key}: no such key. {nearest(last, sorted(set(node) | RUNNER_KEYS), limit=12)}'
        )
    if isinstance(node.get(last), dict) and isinstance(value, dict):
        node[last] = Config._merge_a_into_b(value, node[last])
    else:
        node[last] = value


def _step(node: Any, part: str, where: str, key: str) -> Any:
    place = f'{where} has' if where else 'there is'
    if isinstance(node, (list, tuple)):
        if not part.isdigit() or int(part) >= len(node):
            raise ConfigError(
                f'--cfg-options {key}: {where} is a list of {len(node)}; {part!r} is not an index into it.'
            )
        return node[int(part)]
    if part not in node:
        raise ConfigError(
            f'--cfg-options {key}: {place} no {part!r}. {nearest(part, sorted(map(str, node)), limit=12)}'
        )
    return node[part]
