"""Addresses of files on the Hugging Face hub: ``hf://USER/NAME[@REVISION][/FILE][#sha256=DIGEST]``."""

import os
import re
from dataclasses import dataclass
from urllib.parse import unquote

from .errors import ConfigError

#: A full commit id: the address of a repository that never changes.
COMMIT = re.compile(r'[0-9a-f]{40}')

_PART = r'[A-Za-z0-9](?:[\w.-]{0,94}[A-Za-z0-9])?'
_ADDRESS = re.compile(
    rf'hf:/{{1,2}}(?P<kind>datasets/|models/)?(?P<repo>{_PART}/{_PART})'
    r'(?:@(?P<revision>refs/pr/\d+|[\w.%-]+))?(?:/(?P<file>[^#@]+))?(?:#sha256=(?P<sha256>[0-9a-fA-F]{64}))?'
)
_FORM = 'hf://USER/NAME, hf://USER/NAME@REVISION or hf://USER/NAME@REVISION/FILE, each with #sha256=DIGEST or without'


@dataclass(frozen=True)
class HubAddress:
    """The parts of an address.

    Attributes:
        repo_id (str): ``USER/NAME``.
        is_dataset (bool): The repository holds data, not a model.
        revision (str): A branch, a tag or a commit; empty for the main branch.
        file (str): Path of a file in the repository; empty for what the repository is about.
        sha256 (str): Digest that the file must have, 64 lower-case digits; empty for any.
    """

    repo_id: str
    is_dataset: bool = False
    revision: str = ''
    file: str = ''
    sha256: str = ''

    def __str__(self) -> str:
        text = f'hf://{"datasets/" * self.is_dataset}{self.repo_id}'
        text += f'@{self.revision}' if self.revision else ''
        return f'{text}/{self.file}' if self.file else text

    @property
    def repo_type(self) -> str:
        """The kind of repository, as huggingface_hub names it."""
        return 'dataset' if self.is_dataset else 'model'

    @property
    def name(self) -> str:
        """A file name for results: ``USER--NAME``."""
        return self.repo_id.replace('/', '--')


def is_address(text: str | os.PathLike) -> bool:
    """Whether a text is meant as an address of the hub. ``pathlib`` removes one of its slashes.

    >>> is_address('hf://lab/rtfm'), is_address('work_dirs/epoch_1.pth')
    (True, False)
    """
    return os.fspath(text).startswith('hf:/')


def suggested_address(text: str) -> str:
    """The address that the address of a page of the hub, or one in capitals, was meant to be; else empty.

    >>> suggested_address('https://huggingface.co/lab/rtfm/tree/main'), suggested_address('HF://lab/rtfm')
    ('hf://lab/rtfm', 'hf://lab/rtfm')
    >>> suggested_address('configs/rtfm_ucf.py')
    ''
    """
    page = rf'(?i:https?://)?(?i:www\.)?(?i:huggingface\.co|hf\.co)/(?P<repo>(?:datasets/)?{_PART}/{_PART})(?:/.*)?'
    found = re.fullmatch(page, text) or re.fullmatch(r'(?i:hf):/{1,2}(?P<repo>.+)', text)
    return f'hf://{found["repo"]}' if found and not is_address(text) else ''


def parse_address(text: str | os.PathLike) -> HubAddress:
    """The parts of an address of the hub.

    >>> parse_address('hf://lab/rtfm@v1/best.safetensors')
    HubAddress(repo_id='lab/rtfm', is_dataset=False, revision='v1', file='best.safetensors', sha256='')

    Raises:
        ConfigError: It has another form, or names a file outside the repository.
    """
    text = os.fspath(text)
    found = _ADDRESS.fullmatch(text)
    file = found['file'] or '' if found else ''
    inside = all(part not in ('', '.', '..') for part in file.split('/')) if file else True
    if found is None or '--' in found['repo'] or '..' in found['repo'] or not inside or re.search(r'[\\\0-\x1f]', file):
        raise ConfigError(f'{text} is not an address of the Hugging Face hub. Write {_FORM}.')
    return HubAddress(
        found['repo'],
        found['kind'] == 'datasets/',
        unquote(found['revision'] or ''),
        file,
        (found['sha256'] or '').lower(),
    )
