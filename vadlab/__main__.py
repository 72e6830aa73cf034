"""The command ``vadlab``: the tools of a clone, wherever the package is installed. ``python -m vadlab`` is the same."""

import argparse
import ast
import itertools
import re
import runpy
import shlex
import sys
from pathlib import Path
from typing import Any

from . import __version__
from .utils import printable
from .utils.cli import run_cli
from .utils.errors import ConfigError, MissingFileError
from .utils.own_files import CONFIGS, TOOLS, config_file, config_names, nearest_config
from .utils.printable import as_called, say
from .utils.suggest import nearest

#: Tools that only a clone needs.
_OF_A_CLONE = {'benchmark', 'install', 'zoo'}

#: Commands that are not tools. What they take comes after their name.
_ARGUMENTS = {'list': ' [WORD ...]', 'copy-config': ' NAME [FILE]', 'doctor': ''}
_OWN = {
    'list': 'List the configs whose name has some words, such as: vadlab list rtfm',
    'copy-config': 'Copy a config, to change it: vadlab copy-config NAME [FILE]',
    'doctor': 'Describe this installation, to paste into a report of a fault',
}


def commands() -> dict[str, Path]:
    """The tools by command: ``extract-features`` is ``tools/extract_features.py``."""
    found = {path.stem: path for path in sorted(TOOLS.glob('*.py')) if path.stem not in _OF_A_CLONE}
    return {name.replace('_', '-'): path for name, path in found.items()}


def _summary(path: Path) -> str:
    """What a file is for: the first line of its docstring or comment, to the end of a sentence, without a command."""
    text = path.read_text(encoding='utf-8')
    found = ast.get_docstring(ast.parse(text)) or _comment(text)
    return found.split('\n')[0].split(': ``')[0].rstrip('.:')


def _comment(text: str) -> str:
    """The first line of a comment; if a sentence goes on in the next lines, with its rest."""
    lines = itertools.takewhile(lambda line: line.startswith('# ') and line[2] != ' ', text.splitlines())
    found = next(lines, '#')[1:].strip()
    for line in lines:
        if found.endswith('.'):
            break
        end = re.search(r'\.(?=\s|$)', line)
        found += line[1 : end.end() if end else None].rstrip()
    return found


def usage() -> str:
    """What ``vadlab --help`` prints."""
    found = commands()
    rows = {**{name: _summary(path) for name, path in found.items()}, **_OWN}
    width = max(map(len, rows))
    listed = '\n'.join(f'  {name:{width}}  {text}' for name, text in rows.items())
    return (
        f'usage: vadlab COMMAND ... (vadlab COMMAND --help describes one)\n\n{listed}\n\n'
        'A config is a path, or the name of one that comes with VADLab: vadlab train fgclip_ucf'
    )


def list_configs(words: list[str]) -> None:
    """Print the names of configs that have all of some words, each with what it is.

    Raises:
        ConfigError: There is none.
    """
    names = [name for name in config_names() if all(word.lower() in name for word in words)]
    if not names:
        raise ConfigError(f'No config has {" and ".join(map(repr, words))} in its name. {nearest_config(words[0])}')
    width = max(map(len, names))
    for name in names:
        say(f'{name:{width}}  {_summary(CONFIGS / f"{name}.py")}'.rstrip())


def copy_config(args: list[str]) -> None:
    """Write a config of VADLab to a file that the user changes; its ``_base_`` files stay VADLab's.

    Raises:
        ConfigError: The arguments are wrong, or the file exists.
        MissingFileError: There is no such config.
    """
    if len(args) not in (1, 2):
        raise ConfigError('vadlab copy-config NAME [FILE]: give the name of a config, and where to write it.')
    source = Path(config_file(args[0]))
    if not source.is_file():
        raise MissingFileError(f'There is no config {args[0]}. {nearest_config(args[0])}')
    target = Path(args[1] if len(args) == 2 else source.name)
    if target.is_dir() or args[-1].endswith(('/', '\\')):
        target /= source.name
    if target.exists():
        raise ConfigError(f'{target} exists. Name another file: vadlab copy-config {args[0]} FILE')
    target.parent.mkdir(parents=True, exist_ok=True)
    text = as_called(_on_own_bases(source.read_text(encoding='utf-8')))
    commands_of_it = re.compile(rf'^(# .*)\bconfigs/{re.escape(source.name)}', re.MULTILINE)
    text = commands_of_it.sub(lambda found: found[1] + shlex.quote(str(target)), text)
    target.write_text(text, encoding='utf-8')
    say(f'{target} is written. Change it, then for instance: vadlab verify {target}')


def _on_own_bases(text: str) -> str:
    """A config of VADLab whose ``_base_`` files are named so that it works in any folder."""
    node = next((node for node in ast.parse(text).body if ast.unparse(node).startswith('_base_ =')), None)
    if node is None:
        return text
    lines = text.splitlines(keepends=True)
    names = [one for one in ast.walk(node) if isinstance(one, ast.Constant)]
    for name in sorted(names, key=lambda one: (one.lineno, one.col_offset), reverse=True):
        line = lines[name.lineno - 1]
        lines[name.lineno - 1] = f"{line[: name.col_offset]}'vadlab::{name.value!s}'{line[name.end_col_offset :]}"
    return ''.join(lines)


def run_tool(name: str, path: Path, args: list[str]) -> None:
    """Run a tool; its help and its errors name it as it was called."""
    make, describe = argparse.ArgumentParser.__init__, argparse.ArgumentParser.format_help

    def made(parser: argparse.ArgumentParser, prog: str | None = None, *args: Any, **kwargs: Any) -> None:
        make(parser, prog or f'vadlab {name}', *args, **kwargs)

    for method, changed in (('__init__', made), ('format_help', lambda parser: as_called(describe(parser)))):
        setattr(argparse.ArgumentParser, method, changed)
    sys.argv = [str(path), *args]
    runpy.run_path(str(path), run_name='__main__')


def main(argv: list[str] | None = None) -> int:
    """Run a command; return the exit status."""
    args = list(sys.argv[1:] if argv is None else argv)
    printable.is_command = True
    if not args or args[0] in ('-h', '--help', 'help'):
        say(usage())
        return 0
    name, rest = args[0].replace('_', '-'), args[1:]
    if name in _OWN and any(word.startswith('-') for word in rest):
        shown = f'vadlab {name}{_ARGUMENTS[name]}'
        if not {'-h', '--help'} & {*rest}:
            raise ConfigError(f'{shown}: there are no options, not {" ".join(rest)}.')
        say(f'usage: {shown}\n\n{_OWN[name]}')
        return 0
    if name in ('-V', '--version', 'version'):
        say(f'vadlab {__version__}')
    elif name == 'list':
        list_configs(rest)
    elif name == 'copy-config':
        copy_config(rest)
    elif name == 'doctor':
        if rest:
            raise ConfigError(f'vadlab doctor takes no arguments, not {" ".join(rest)}.')
        from .apis.doctor import describe

        say(describe())
    elif name in (known := commands()):
        run_tool(name, known[name], rest)
    else:
        hint = nearest(args[0], [*known, *_OWN], limit=4)
        raise ConfigError(f'There is no command {args[0]!r}. {hint} vadlab --help lists all.')
    return 0


def run() -> None:
    """Entry point of the command."""
    run_cli(main)


if __name__ == '__main__':
    run()
