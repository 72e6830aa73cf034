"""Pages from the jinja2 templates of this package, with their style and scripts in files beside them.

Pages work from disk: no server, no network, no inline script. All text from data is escaped, in HTML by jinja2, in JSON
inside a page by :func:`inline_json`.
"""

import functools
import json
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from vadlab.utils.atomic import write_bytes, write_text

ASSETS = 'assets'
_HERE = Path(__file__).parent
_UNSAFE = {'<': '\\u003c', '>': '\\u003e', '&': '\\u0026', '\u2028': '\\u2028', '\u2029': '\\u2029'}


def inline_json(content: Any) -> Markup:
    r"""JSON for a ``<script type="application/json">``: no text in it can end the element.

    >>> inline_json('</script>')
    Markup('"\\u003c/script\\u003e"')
    """
    text = json.dumps(content, ensure_ascii=False, allow_nan=False, separators=(',', ':'))
    return Markup(''.join(_UNSAFE.get(char, char) for char in text) if set(text) & _UNSAFE.keys() else text)


@functools.cache
def _environment() -> Environment:
    made = Environment(
        loader=FileSystemLoader(_HERE / 'templates', encoding='utf-8'),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters['inline_json'] = inline_json
    made.filters['clock'] = clock
    return made


def clock(seconds: float) -> str:
    """A time or duration as ``m:ss.s``, from an hour on as ``h:mm:ss``.

    >>> clock(64.25), clock(3 * 3600 + 61)
    ('1:04.3', '3:01:01')
    """
    if seconds >= 3599.95:
        whole = int(seconds + 0.5)
        return f'{whole // 3600}:{whole % 3600 // 60:02d}:{whole % 60:02d}'
    tenths = int(seconds * 10 + 0.5)
    return f'{tenths // 600}:{tenths % 600 // 10:02d}.{tenths % 10}'


def write_page(path: Path, template: str, **values: Any) -> Path:
    """Write a page atomically.

    Args:
        path (Path): The file.
        template (str): File in ``templates/``.
        **values (Any): Variables of the template; each must be given.

    Returns:
        Path: ``path``.
    """
    write_text(path, _environment().get_template(template).render(**values))
    return path


def write_assets(folder: Path, names: tuple[str, ...] | None = None) -> None:
    """Write the style and the scripts of the pages to ``assets/`` below a folder.

    Args:
        folder (Path): Folder of the report.
        names (tuple[str, ...] | None): Files in ``static/``; None for all.
    """
    for file in sorted((_HERE / 'static').iterdir()):
        if file.is_file() and (names is None or file.name in names):
            write_bytes(folder / ASSETS / file.name, file.read_bytes())
