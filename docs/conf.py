"""The documentation site: `make docs` builds it from these pages and from docstrings."""

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from vadlab import __version__  # noqa: E402

project = 'VADLab'
author = copyright = 'The VADLab contributors'
release = version = __version__

extensions = [
    'myst_parser',
    'sphinx.ext.apidoc',
    'sphinx.ext.autodoc',
    'sphinx.ext.napoleon',
    'sphinx_copybutton',
]
html_theme = 'furo'
html_title = f'VADLab {version}'
html_static_path = ['site']
html_css_files = ['site.css']
exclude_patterns = ['_build', 'site']

highlight_language = 'none'  # blocks without a language are output, not Python

# Pages link to files of the repository, such as ../CONTRIBUTING.md#checks, and to headings of each other.
myst_heading_anchors = 4
myst_enable_extensions = ['dollarmath']

apidoc_modules = [
    {
        'path': '../vadlab',
        'destination': 'reference',
        'max_depth': 2,
        'separate_modules': False,
        'module_first': True,
        'automodule_options': {'members', 'show-inheritance'},
        'exclude_patterns': ['../vadlab/__main__.py', '../vadlab/openmp.py'],
    }
]
autodoc_member_order = 'bysource'
autodoc_default_options = {'members': True, 'ignore-module-all': True}  # each object where it is defined
autodoc_typehints = 'none'  # docstrings give types, shapes and units
napoleon_use_rtype = False
napoleon_use_ivar = True
napoleon_custom_sections = [(name, 'params_style') for name in ('Metainfo', 'Ground truth', 'Predictions')]
# Types in docstrings are words, such as Event, of which there are several.
suppress_warnings = ['ref.python']


def setup(app: object) -> None:
    """Links to files outside docs/ lead to their pages."""
    app.connect('source-read', _link_inside)  # type: ignore[attr-defined]


def _link_inside(app: object, page: str, source: list[str]) -> None:
    for way in ('../../', '../'):
        source[0] = source[0].replace(f']({way}CONTRIBUTING.md', '](/contributing.md')
