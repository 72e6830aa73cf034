"""Packaging. requirements/ has ranges of versions; requirements/constraints.txt pins the tested versions."""

import re
import shutil
from pathlib import Path

from setuptools import find_packages, setup
from setuptools.command.build_py import build_py

ROOT = Path(__file__).parent


def requirements(name: str) -> list[str]:
    """The lines of one requirement file, without comments."""
    lines = (ROOT / 'requirements' / f'{name}.txt').read_text(encoding='utf-8').splitlines()
    return [line for line in (line.split('#')[0].strip() for line in lines) if line]


def version() -> str:
    """``__version__`` of the package, read without importing it."""
    text = (ROOT / 'vadlab' / '__init__.py').read_text(encoding='utf-8')
    match = re.search(r"^__version__ = '([^']+)'", text, re.MULTILINE)
    if match is None:
        raise RuntimeError('vadlab/__init__.py has no line __version__ = ...')
    return match[1]


class BuildWithTools(build_py):
    """Copies configs/ and tools/ into the package, where vadlab/utils/own_files.py finds them in a wheel."""

    def run(self) -> None:
        super().run()
        if self.editable_mode:  # a clone has them
            return
        for name in ('configs', 'tools'):
            target = Path(self.build_lib, 'vadlab', '.mim', name)
            shutil.rmtree(target, ignore_errors=True)
            shutil.copytree(ROOT / name, target, ignore=shutil.ignore_patterns('__pycache__', 'install.py'))


setup(
    name='vadlab',
    version=version(),
    description='Video anomaly detection with vision-language models, on MMEngine',
    long_description=(ROOT / 'README.md').read_text(encoding='utf-8'),
    long_description_content_type='text/markdown',
    license='Apache-2.0',
    packages=find_packages(include=['vadlab', 'vadlab.*']),
    package_data={
        'vadlab': [
            'simulators/surveillance/weights/*.safetensors',
            'visualization/report/templates/*.html',
            'visualization/report/static/*',
        ]
    },
    cmdclass={'build_py': BuildWithTools},
    entry_points={'console_scripts': ['vadlab = vadlab.__main__:run']},
    python_requires='>=3.11',
    install_requires=requirements('runtime') + requirements('mminstall'),
    extras_require={
        'audio': requirements('audio'),
        'captions': ['nltk>=3.9'],
        'faiss': requirements('faiss'),
        'onnx': requirements('onnx'),
        'openai': requirements('openai'),
        'fiftyone': ['fiftyone>=1.0'],
        'wandb': ['wandb>=0.17'],
        'dev': [*requirements('tests'), 'pre-commit>=3.7'],
    },
)
