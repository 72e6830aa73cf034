"""Code blocks of the documents: found, checked against the real commands, and run.

A block is ``sh`` or ``python``. A comment ``# needs ...`` in its first line says what it needs that a test does not
have: data, weights, a network, a camera. A first line such as ``# configs/mine.py`` says that the block is that file.
"""

import argparse
import ast
import importlib
import os
import re
import shlex
import shutil
import subprocess
import sys
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from vadlab.__main__ import _OWN, commands
from vadlab.utils.config import load_config, parse_cfg_options
from vadlab.utils.own_files import config_file

ROOT = Path(__file__).parents[1]

#: Pages whose blocks are run from top to bottom, in one folder. The value is the page in whose folder they continue;
#: None is an empty folder.
RUN_PAGES: dict[str, str | None] = {
    'docs/start.md': None,
    'docs/tutorials/own_videos.md': 'docs/start.md',
    'docs/tutorials/own_camera.md': None,
    'docs/tutorials/own_features.md': 'docs/start.md',
    'docs/tutorials/own_method.md': 'docs/start.md',
    'docs/tutorials/captions.md': None,
    'docs/tutorials/wildlife.md': None,
}
#: Pages whose folder is a clone.
IN_A_CLONE = {'docs/tutorials/own_method.md'}

_FENCE = re.compile(r'^```([^\n`]*)\n(.*?)^```$', re.DOTALL | re.MULTILINE)
_FILE = re.compile(r'# ([\w./-]+\.(?:py|yml|json|csv|txt))\n')
_NEEDS = re.compile(r'# needs \S')
_HERE_DOCUMENT = re.compile(r"<< *'?(\w+)'?\n.*?^\1$", re.DOTALL | re.MULTILINE)
_COMMAND = re.compile(
    r'^(?:\$ )?(?:\w+=\S* )*(?:python3?|vadlab(?= [a-z-])|make|pip|torchrun|curl|git|export|source|sbatch) ', re.M
)
_PLACEHOLDER = re.compile(r'[A-Z][A-Z_]*(?:\.\.\.)?')
_OPERATORS = {'&&', '||', ';', '|', '&'}

#: Programs of others: what they are given is not checked.
OF_OTHERS = {
    '.', 'awk', 'cat', 'cd', 'cp', 'curl', 'echo', 'export', 'ffmpeg', 'git', 'ls', 'mkdir', 'mlflow', 'optuna', 'ray',
    'grep', 'head', 'rm', 'sbatch', 'scp', 'shuf', 'source', 'srun', 'tail', 'tensorboard', 'vllm',
}  # fmt: skip


@dataclass(frozen=True)
class Block:
    """A fenced block of a page.

    Args:
        page (str): Path from the root of the repository.
        line (int): Line of the opening fence, from 1.
        language (str): What follows the fence.
        text (str): What is between the fences.
    """

    page: str
    line: int
    language: str
    text: str

    def __str__(self) -> str:
        return f'{self.page}:{self.line}'

    @property
    def is_code(self) -> bool:
        return self.language in ('sh', 'python')

    @property
    def is_marked(self) -> bool:
        """Whether it says that it needs something."""
        return bool(_NEEDS.match(self.text))

    @property
    def file(self) -> str | None:
        """Path of the file that the block is, if it is one."""
        found = _FILE.match(self.text)
        return found[1] if found else None


def pages() -> list[str]:
    """All documents that people read, from the root of the repository."""
    inside = (path for path in (ROOT / 'docs').rglob('*.md') if not {'_build', 'reference'} & set(path.parts))
    return ['README.md', 'CONTRIBUTING.md', *sorted(path.relative_to(ROOT).as_posix() for path in inside)]


@cache
def blocks_of(page: str, root: Path = ROOT) -> tuple[Block, ...]:
    """The blocks of a page in their order."""
    text = (root / page).read_text(encoding='utf-8')
    return tuple(
        Block(page, text.count('\n', 0, found.start()) + 1, found[1].strip(), found[2])
        for found in _FENCE.finditer(text)
    )


def looks_like_commands(block: Block) -> bool:
    """Whether a block of another language has a line that starts a program; a whole script is a file."""
    if block.text.startswith('#!'):
        return False
    return block.language in ('', 'text', 'bash', 'shell', 'console') and bool(_COMMAND.search(block.text))


# --------------------------------------------------------------------------------------------------------------- checks


def faults(block: Block) -> list[str]:
    """What is wrong with a block of code: options, configs, targets, extras, files and names that do not exist."""
    if block.language == 'python':
        return [f'{block}: {fault}' for fault in _faults_of_python(block.text)]
    found = []
    for words in command_lines(block.text):
        fault = _fault_of_command(words, block.page)
        found += [f'{block}: {fault}'] if fault else []
    return found


def command_lines(text: str) -> list[list[str]]:
    """The commands of a shell block as lists of words, without comments, redirections and here documents."""
    found: list[list[str]] = []
    line = ''
    for part in _HERE_DOCUMENT.sub('', text).splitlines():
        line = f'{line}\n{part}'
        if line.endswith('\\') or _is_open(line):
            continue
        lexer = shlex.shlex(line.replace('\\\n', ' '), posix=True, punctuation_chars=';|&')
        lexer.whitespace_split, lexer.commenters = True, '#'
        words: list[str] = []
        for word in [*lexer, ';']:
            if word in _OPERATORS:
                found += [words] if words else []
                words = []
            elif word != '...':
                words.append(word)
        line = ''
    return [words for words in map(_without_assignments, found) if words]


def _is_open(line: str) -> bool:
    """Whether a quotation continues on the next line."""
    try:
        shlex.split(line, comments=True)
    except ValueError:
        return True
    return False


def _without_assignments(words: list[str]) -> list[str]:
    kept = list(words)
    while kept and re.match(r'\w+=', kept[0]):
        del kept[0]
    ends = [index for index, word in enumerate(kept) if re.match(r'\d?[<>]', word)]
    return kept[: ends[0]] if ends else kept


def _fault_of_command(words: list[str], page: str) -> str | None:
    program, *rest = words
    if program == 'vadlab':
        return _fault_of_vadlab(rest, page)
    if program in ('python', '.venv/bin/python', 'torchrun', 'python3.11'):
        return _fault_of_python_command(rest, page)
    if program == 'make':
        return _fault_of_make(rest)
    if program in ('pip', 'uv'):
        return _fault_of_pip(rest, page)
    return None if program in OF_OTHERS else f'unknown program {program}: teach it to tests/doc_blocks.py'


def _fault_of_vadlab(words: list[str], page: str) -> str | None:
    name, *rest = words
    if name == 'copy-config':
        return None if Path(config_file(rest[0])).is_file() else f'no config {rest[0]}'
    if name in _OWN or name == '--version':
        return None
    tool = commands().get(name)
    return f'no command vadlab {name}' if tool is None else _fault_of_tool(tool, rest, page)


def _fault_of_python_command(words: list[str], page: str) -> str | None:
    if words[:2] == ['-m', 'vadlab']:
        return _fault_of_vadlab(words[2:], page)
    if words[:2] == ['-m', 'pytest']:
        paths = [word for word in words[2:] if word.startswith('tests/')]
        gone = [path for path in paths if not (ROOT / path).exists() and path not in _files_of_all_pages()]
        return f'no {gone}' if gone else None
    for index, word in enumerate(words):
        found = re.search(r'(?:^|/)tools/(\w+)\.py$', word)
        if found:
            tool = ROOT / 'tools' / f'{found[1]}.py'
            return _fault_of_tool(tool, words[index + 1 :], page) if tool.is_file() else f'no tools/{found[1]}.py'
    if words[:1] in (['-m'], ['-c']):
        return None
    if words[:1] and (words[0] in _files_of_all_pages() or _outputs_of(page) & {Path(words[0]).parts[0]}):
        return None
    return f'no file {words[:1]}'


@cache
def _files_of_all_pages() -> set[str]:
    files = {block.file for page in pages() for block in blocks_of(page)} - {None}
    return files | {file.removeprefix('my_project/') for file in files}


@cache
def _copied_on(page: str) -> set[str]:
    """Files that ``vadlab copy-config`` makes on a page."""
    lines = [words for block in blocks_of(page) if block.language == 'sh' for words in command_lines(block.text)]
    return {
        words[-1] if len(words) == 4 else f'{words[2]}.py' for words in lines if words[:2] == ['vadlab', 'copy-config']
    }


@cache
def _outputs_of(page: str) -> set[str]:
    """Folders that the commands of a page write."""
    lines = [words for block in blocks_of(page) if block.language == 'sh' for words in command_lines(block.text)]
    return {words[words.index('--out') + 1] for words in lines if '--out' in words}


class _Found(Exception):
    """Raised where a tool reads its command line, with its parser as the value."""


class _Refused(Exception):
    """The command line is wrong."""


@cache
def _load_tool(path: Path):
    spec = importlib.util.spec_from_file_location(f'doc_tool_{path.stem}', path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@cache
def parser_of(tool: Path) -> argparse.ArgumentParser:
    """The parser of a tool, taken where it begins to read a command line; nothing else of the tool runs."""
    original = argparse.ArgumentParser.parse_known_args

    def stop(self, args=None, namespace=None):
        raise _Found(self)

    argparse.ArgumentParser.parse_known_args = stop
    try:
        _load_tool(tool).main([])
    except _Found as found:
        return found.args[0]
    finally:
        argparse.ArgumentParser.parse_known_args = original
    raise ValueError(f'{tool.name} reads no command line')


def read_command_line(tool: Path, words: list[str]) -> argparse.Namespace:
    """What a tool's own parser makes of these words.

    Raises:
        ValueError: The parser refuses them.
    """

    def refuse(parser, message):
        raise _Refused(message)

    module, original = _load_tool(tool), argparse.ArgumentParser.error
    argparse.ArgumentParser.error = refuse
    try:
        return module.parse_args(words) if hasattr(module, 'parse_args') else parser_of(tool).parse_args(words)
    except _Refused as refused:
        raise ValueError(str(refused)) from None
    finally:
        argparse.ArgumentParser.error = original


def options_of(tool: Path) -> set[str]:
    """The options of a tool, as its parser knows them."""
    return set(parser_of(tool)._option_string_actions)


def _fault_of_tool(tool: Path, words: list[str], page: str) -> str | None:
    try:
        arguments = read_command_line(tool, words)
    except ValueError as error:
        return f'{tool.name} {shlex.join(words)}: {error}'
    given = getattr(arguments, 'configs', None) or getattr(arguments, 'config', None) or []
    options = tuple(getattr(arguments, 'cfg_options', None) or ())
    for config in [given] if isinstance(given, str | Path) else given:
        fault = _fault_of_config(str(config), tuple(o for o in options if not o.endswith('=')), page)
        if fault:
            return fault
    return None


@cache
def _fault_of_config(config: str, options: tuple[str, ...], page: str) -> str | None:
    if _PLACEHOLDER.fullmatch(config) or '::' in config or '://' in config:
        return None
    if config in _files_of_all_pages() | _copied_on(page):
        return None  # it is run, or checked where it is written
    path = Path(config_file(config))
    path = path if path.is_absolute() else ROOT / path
    if not path.is_file():
        return f'no config {config}'
    try:
        load_config(path, parse_cfg_options(list(options)))
    except Exception as error:
        return f'{config} {shlex.join(options)}: {error}'
    return None


def _fault_of_make(words: list[str]) -> str | None:
    makefile = (ROOT / 'Makefile').read_text(encoding='utf-8')
    for word in words:
        if '=' in word:
            name = word.split('=')[0]
            if f'$({name})' not in makefile and f'{name} ' not in makefile:
                return f'make has no variable {name}'
        elif not word.startswith('-') and not re.search(rf'^{re.escape(word)}:', makefile, re.MULTILINE):
            return f'no make {word}'
    return None


def _fault_of_pip(words: list[str], page: str) -> str | None:
    text = (ROOT / 'pyproject.toml').read_text(encoding='utf-8')
    for before, word in zip(['', *words], words, strict=False):
        for extra in re.findall(r'(?:vadlab|\.|\.whl)\[([\w,-]+)\]', word):
            gone = [
                name for name in extra.split(',') if not re.search(rf'^{re.escape(name)} = \{{', text, re.MULTILINE)
            ]
            if gone:
                return f'no extra {gone}'
        is_file = before in ('-r', '-c', '--requirement', '--constraint')
        if is_file and not (ROOT / word).is_file() and Path(word).parts[0] not in _outputs_of(page):
            return f'no {word}'
    return None


def _faults_of_python(text: str) -> list[str]:
    try:
        tree = ast.parse(text)
    except SyntaxError as error:
        return [f'syntax: {error}']
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.split('.')[0] == 'vadlab':
            found += [f'{node.module} has no {name.name}' for name in node.names if not _has(node.module, name.name)]
    return found


def _has(module: str, name: str) -> bool:
    if f'{module.replace(".", "/")}.py' in _files_of_all_pages():
        return True
    try:
        loaded = importlib.import_module(module)
        return hasattr(loaded, name) or importlib.util.find_spec(f'{module}.{name}') is not None
    except ModuleNotFoundError:
        return False


# -------------------------------------------------------------------------------------------------------------- running


def copy_of_repository(folder: Path) -> None:
    """Copy what a method's files are added to."""
    for part in ('vadlab', 'tools', 'configs', 'docs', 'tests'):
        ignored = shutil.ignore_patterns('__pycache__', '_build', 'reference')
        shutil.copytree(ROOT / part, folder / part, ignore=ignored, dirs_exist_ok=True)
    for part in ('pyproject.toml', 'README.md', 'CONTRIBUTING.md'):
        shutil.copy(ROOT / part, folder)


def run_page(page: str, folder: Path, programs: Path) -> str:
    """Run the blocks of a page in a folder, and compare what they print with what the page shows.

    A block that is a file is written; if the file exists, it is appended.

    Args:
        page (str): The page.
        folder (Path): Where its commands run.
        programs (Path): Folder for the programs ``vadlab`` and ``python`` of this environment.

    Returns:
        str: Everything that was printed.
    """
    env = environment(programs, folder if (folder / 'vadlab').is_dir() else ROOT)
    blocks = blocks_of(page)
    everything = printed = ''
    for block in blocks:
        if block.is_marked:
            printed = ''
        elif block.file:
            path = folder / block.file
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open('a', encoding='utf-8') as file:
                file.write(block.text)
        elif block.is_code:
            words = ['bash', '-euo', 'pipefail', '-c'] if block.language == 'sh' else [sys.executable, '-c']
            result = subprocess.run(
                [*words, block.text], cwd=folder, env=env, capture_output=True, text=True, check=False, timeout=900
            )
            printed = result.stdout + result.stderr
            everything += f'\n--- {block}\n{block.text}\n{printed}'
            assert result.returncode == 0, f'{block} ended with {result.returncode}:\n{printed[-4000:]}'
        elif block.language == 'text':
            gone = lines_not_printed(block.text, printed)
            assert not gone, f'{block}: not printed: {gone}\nprinted:\n{printed[-6000:]}'
    return everything


def lines_not_printed(shown: str, printed: str) -> list[str]:
    """Lines that a page shows and a command did not print, in this order. Numbers may differ; ``...`` is anything."""
    left = printed.replace('\r', '\n').splitlines()
    gone = []
    for line in shown.splitlines():
        if not line.strip() or line.strip() == '...':
            continue
        pattern = re.compile(_pattern_of(line))
        index = next((index for index, real in enumerate(left) if pattern.fullmatch(_plain(real))), None)
        if index is None:
            gone.append(line)
        else:
            left = left[index + 1 :]
    return gone


_NUMBER = re.compile(r'\d[\d.,:]*(?:e[+-]\d+)?')


def _plain(line: str) -> str:
    return _NUMBER.sub('0', ' '.join(line.split()))


def _pattern_of(line: str) -> str:
    return '.*'.join(re.escape(_NUMBER.sub('0', part)) for part in ' '.join(line.split()).split('...'))


def environment(programs: Path, package: Path) -> dict[str, str]:
    programs.mkdir(parents=True, exist_ok=True)
    for name, words in (('vadlab', f'{sys.executable} -m vadlab'), ('python', sys.executable)):
        path = programs / name
        path.write_text(f'#!/bin/sh\nexec {words} "$@"\n', encoding='utf-8')
        path.chmod(0o755)
    return {
        **os.environ,
        'PATH': f'{programs}{os.pathsep}{os.environ["PATH"]}',
        'PYTHONPATH': str(package),
        'COLUMNS': '160',
        'HF_HUB_OFFLINE': '1',
        'MPLBACKEND': 'Agg',
        'OMP_NUM_THREADS': '1',
    }
