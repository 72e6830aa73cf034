"""Packages that load a module when one of its names is used."""

import importlib
import re
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any


def lazy_names(package: str, folders: Iterable[str]) -> Callable[[str], Any]:
    """A ``__getattr__`` for a package that finds names in its modules.

    ``from vadlab.models.losses import InfoNCELoss`` finds the module that defines the name and imports only that one.
    So a new module needs no line in an ``__init__.py``, and importing a package loads nothing.

    Args:
        package (str): ``__name__`` of the package.
        folders (Iterable[str]): ``__path__`` of the package.

    Returns:
        Callable[[str], Any]: Takes a name; raises AttributeError if no module of the package defines it.
    """
    files = [file for folder in folders for file in sorted(Path(folder).glob('*.py')) if file.stem != '__init__']

    def __getattr__(name: str) -> Any:
        if not name.startswith('_'):
            definition = re.compile(rf'^(?:class|def) {re.escape(name)}\b|^{re.escape(name)}\b.*=', re.MULTILINE)
            for file in files:
                if definition.search(file.read_text(encoding='utf-8')):
                    return getattr(importlib.import_module(f'{package}.{file.stem}'), name)
        raise AttributeError(f'module {package!r} has no attribute {name!r}')

    return __getattr__
