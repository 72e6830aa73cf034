"""Puts configs/ and tools/ into a wheel; everything else is in pyproject.toml."""

import shutil
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

ROOT = Path(__file__).parent


class BuildWithTools(build_py):
    """Copies configs/ and tools/ into the package, where vadlab/utils/own_files.py finds them in a wheel."""

    def run(self) -> None:
        """Build as usual, then copy, unless the package stays in its clone."""
        super().run()
        if self.editable_mode:
            return
        for name in ('configs', 'tools'):
            target = Path(self.build_lib, 'vadlab', '.mim', name)
            shutil.rmtree(target, ignore_errors=True)
            shutil.copytree(ROOT / name, target, ignore=shutil.ignore_patterns('__pycache__', 'install.py'))


setup(cmdclass={'build_py': BuildWithTools})
