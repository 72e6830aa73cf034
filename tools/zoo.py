"""Write the tables of methods into README.md and docs/ from configs/model-index.yml.

Usage::

    python tools/zoo.py            # write them
    python tools/zoo.py --check    # print outdated pages; status 1 if there are any
    python tools/zoo.py --demos    # print the demo configs of the weakly supervised methods

A table is between the lines ``<!-- zoo: NAME -->`` and ``<!-- zoo end -->``.
"""

import argparse
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import yaml

from vadlab.utils.atomic import write_text
from vadlab.utils.cli import run_cli
from vadlab.utils.errors import ConfigError

ROOT = Path(__file__).resolve().parents[1]
INDEX = ROOT / 'configs' / 'model-index.yml'
REQUIRED = {'name', 'task', 'class', 'paper', 'page', 'demo'}
OPTIONAL = {'code', 'configs', 'parity', 'measured'}
WEAK = 'weakly supervised video anomaly detection'
_BLOCK = re.compile(r'(<!-- zoo: (\w+) -->\n).*?(<!-- zoo end -->)', re.DOTALL)


def read_index(path: Path = INDEX) -> list[dict[str, Any]]:
    """The entries of the index.

    Raises:
        ConfigError: An entry has a missing or unknown field, or names a file that does not exist.
    """
    entries = yaml.safe_load(path.read_text(encoding='utf-8'))
    for entry in entries:
        name = entry.get('name', '(no name)')
        missing, unknown = sorted(REQUIRED - entry.keys()), sorted(entry.keys() - REQUIRED - OPTIONAL)
        if missing or unknown:
            raise ConfigError(f'{path}: {name}: missing fields {missing}, unknown fields {unknown}.')
        for file in (entry['page'], *configs_of(entry)):
            if not (ROOT / file).is_file():
                raise ConfigError(f'{path}: {name}: there is no file {file}.')
    return entries


def configs_of(entry: dict[str, Any]) -> list[str]:
    """All configs of a method, the demo config first."""
    return [entry['demo'], *(row['config'] for row in entry.get('configs', []))]


def name_of(entry: dict[str, Any]) -> str:
    """The name of a method, with a link to the authors' code, and its paper."""
    name = f'[{entry["name"]}]({entry["code"]})' if 'code' in entry else entry['name']
    return f'{name}, {entry["paper"]}'


def methods_table(entries: Sequence[dict[str, Any]]) -> list[str]:
    """One row per method: its task, its demo config, its page."""
    rows = ['| task | method | start with | then | explained in |', '| --- | --- | --- | --- | --- |']
    for entry in entries:
        then = ', '.join(f'`{config}`' for config in configs_of(entry)[1:2])
        page = f'[{Path(entry["page"]).stem}]({entry["page"]})'
        rows.append(f'| {entry["task"]} | {name_of(entry)} | `{entry["demo"]}` | {then} | {page} |')
    return rows


def published_table(entries: Sequence[dict[str, Any]]) -> list[str]:
    """One row per config of a weakly supervised method, with the authors' number."""
    rows = ['| method | config | features | published |', '| --- | --- | --- | --- |']
    for entry in entries:
        for i, row in enumerate(entry.get('configs', []) if entry['task'] == WEAK else []):
            name = '' if i else f'{name_of(entry)}; start with `{entry["demo"]}`'
            rows.append(f'| {name} | `{row["config"]}` | {row["input"]} | {row.get("published", "")} |')
    return rows


def measured_table(entries: Sequence[dict[str, Any]]) -> list[str]:
    """One row per weakly supervised method: its metrics on the demo's test videos."""
    keys = {
        'frame/auc': 'frame AUC',
        'frame/ap': 'frame AP',
        'frame/ano_auc': 'Ano-AUC',
        'segment/map': 'segment mAP (`vadclip`)',
        'blanked': 'frame AUC, blanked',
    }
    rows = [f'| method | {" | ".join(keys.values())} |', '| --- ' * (len(keys) + 1) + '|']
    for entry in entries:
        found = entry.get('measured', {})
        if found:
            cells = [' ± '.join(f'{number:.3f}' for number in found.get(key, [])) for key in keys]
            rows.append(f'| {entry["name"]} | {" | ".join(cells)} |')
    return rows


def config_table(entries: Sequence[dict[str, Any]]) -> list[str]:
    """One row per config of the folder: the first sentence of its comment."""
    rows = ['| config | what it is |', '| --- | --- |']
    for path in sorted((ROOT / 'configs').glob('*.py')):
        comment = []
        for line in path.read_text(encoding='utf-8').splitlines():
            if not line.startswith('#') or line.startswith('#  '):
                break
            comment.append(line.removeprefix('#').strip())
        sentence = ' '.join(comment).split('. ')[0].rstrip('.')
        rows.append(f'| `configs/{path.name}` | {sentence} |')
    return rows


TABLES: dict[str, Callable[[Sequence[dict[str, Any]]], list[str]]] = {
    'methods': methods_table,
    'published': published_table,
    'measured': measured_table,
    'configs': config_table,
}


def with_tables(text: str, entries: Sequence[dict[str, Any]], page: str) -> str:
    """The text of a page with updated tables.

    Raises:
        ConfigError: The page asks for a table that does not exist.
    """

    def table(match: re.Match[str]) -> str:
        if match[2] not in TABLES:
            raise ConfigError(f'{page}: there is no table {match[2]!r}. Tables are: {", ".join(TABLES)}.')
        return match[1] + '\n'.join(TABLES[match[2]](entries)) + '\n' + match[3]

    return _BLOCK.sub(table, text)


def main(argv: Sequence[str] | None = None) -> int:
    """Write or check the tables; return the exit status."""
    parser = argparse.ArgumentParser(description='Write the tables of methods into README.md and docs/.')
    mode = parser.add_mutually_exclusive_group()
    mode.add_argument('--check', action='store_true', help='write nothing; exit status 1 if a page is outdated')
    mode.add_argument('--demos', action='store_true', help='print the demo configs of the weakly supervised methods')
    args = parser.parse_args(argv)
    entries = read_index()
    if args.demos:
        print(*(entry['demo'] for entry in entries if entry['task'] == WEAK))
        return 0
    stale = []
    for page in (ROOT / 'README.md', *sorted((ROOT / 'docs').glob('*.md'))):
        text = page.read_text(encoding='utf-8')
        new = with_tables(text, entries, page.name)
        if new != text:
            stale.append(str(page.relative_to(ROOT)))
            if not args.check:
                write_text(page, new)
    if stale:
        print(f'{"Not up to date" if args.check else "Written"}: {", ".join(stale)}')
        if args.check:
            print('Run: python tools/zoo.py')
    return 1 if args.check and stale else 0


if __name__ == '__main__':
    run_cli(main)
