"""Files of repositories on the Hugging Face hub: one revision for all of them, checked, offline from the cache.

``vadlab push`` writes a manifest, ``vadlab.json``, with the SHA-256 of each file. Files are only read as data:
:mod:`~vadlab.utils.plain_config` reads configs, :mod:`~vadlab.checkpoints.tensor_files` weights.
"""

import hashlib
import os
import re
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

from . import hub_session
from .errors import ConfigError, DataError, HubError
from .hub_address import COMMIT, HubAddress, is_address, parse_address
from .hub_session import cache_folder, check_room, explained, import_hub, is_offline, is_unreachable, limit_waits
from .json_file import read_json, shape_fault
from .printable import say

MANIFEST = 'vadlab.json'
CONFIG = 'config.json'
WEIGHTS = 'model.safetensors'
CALIBRATION = 'model.calibration.json'
METRICS = 'metrics.json'
#: Folder of further files that a model reads.
FILES = 'files'
#: Version of the manifest's format.
FORMAT = 1

_SHA256 = re.compile(r'[0-9a-f]{64}')
_OWN_PART = re.compile(r'\.[0-9a-f]{8}\.incomplete$')  # earlier versions of huggingface_hub have one per file
_LONG_AGO_S = 3600.0  # a download that runs writes at least every few minutes


@dataclass(frozen=True)
class Repository:
    """One commit of a repository.

    Attributes:
        address (HubAddress): The address, with the commit as its revision.
        files (Mapping[str, Mapping[str, Any]] | None): ``sha256`` and ``bytes`` of each file; None without a manifest.
    """

    address: HubAddress
    files: Mapping[str, Mapping[str, Any]] | None

    def file(self, name: str) -> Path:
        """A checked file of the repository, downloaded unless it is in the cache.

        Raises:
            HubError: There is no such file, it cannot be downloaded, or its checksum differs.
        """
        hub = import_hub(str(self.address))
        about = (self.files or {}).get(name)
        if self.files is not None and about is None and name in (CONFIG, WEIGHTS):
            raise HubError(f'{self.address}: {MANIFEST} does not list {name!r}. Files: {", ".join(sorted(self.files))}')
        with explained(hub, self.address, name):
            path = _cached(hub, self.address, name)
            if path is None:
                if about is not None:
                    check_room(hub, self.address, about['bytes'])
                path = _downloaded(hub, self.address, name)
        # The hub names the content of a large file by its SHA-256, and the cache keeps this name.
        digest = about['sha256'] if about is not None else path.resolve().name
        source = f"the repository's {MANIFEST}" if about is not None else 'the hub'
        if _SHA256.fullmatch(digest):
            check_digest(path, digest, source, str(replace(self.address, file=name)))
        return path


def hub_config(address: str) -> Path:
    """The config of a repository, which is data: see :mod:`~vadlab.utils.plain_config`.

    Raises:
        ConfigError: The address is wrong, or names a file that is not JSON.
        HubError: The repository or the file cannot be used.
    """
    wanted = parse_address(address)
    name = wanted.file if wanted.file.endswith('.json') else '' if not wanted.file else None
    if name is None or wanted.is_dataset:
        raise ConfigError(f'{address} is not a config. Write hf://USER/NAME, for the config of a pushed model.')
    repository = open_repository(replace(wanted, file='', sha256=''))
    for other in repository.files or ():
        if other.startswith(f'{FILES}/'):
            repository.file(other)
    return repository.file(name or CONFIG)


def local_checkpoint(path: str | os.PathLike) -> str:
    """Path of a checkpoint: the file that an address of the hub names, in the cache; other paths are unchanged.

    Every tool and config takes addresses wherever it takes a checkpoint, because all go through this function.

    Args:
        path (str | PathLike): A path, or ``hf://USER/NAME[@REVISION][/FILE][#sha256=DIGEST]``.

    Raises:
        ConfigError: The address is malformed.
        HubError: The repository or the file cannot be used, or the checksum differs.
    """
    if not is_address(path):
        return os.fspath(path)
    wanted = parse_address(path)
    if wanted.is_dataset:
        raise ConfigError(f'{wanted} is a repository of data, not a checkpoint.')
    if wanted.file and Path(wanted.file).suffix not in ('.safetensors', '.pth', '.pt', '.bin', '.ckpt', '.pkl'):
        raise ConfigError(f'{wanted} is not a checkpoint. Name a file of weights, or the repository alone.')
    repository = open_repository(replace(wanted, sha256=''))
    name = wanted.file or WEIGHTS
    found = repository.file(name)
    if wanted.sha256 and repository.files is not None:
        # A file of the manifest was compared with it, so its checksum is known.
        digest = repository.files[name]['sha256'] if name in repository.files else digest_of(found)
        if digest != wanted.sha256:
            raise HubError(
                f'{wanted}: its checksum is not the one in the address: sha256 {digest[:12]}..., expected '
                f'{wanted.sha256[:12]}.... Either the address is mistyped, or other weights were pushed: then name the '
                f'commit that you mean, hf://{wanted.repo_id}@COMMIT.'
            )
    elif wanted.sha256:
        check_digest(found, wanted.sha256, f'the address (#sha256={wanted.sha256[:12]}...)', str(wanted))
    if repository.files is not None and not wanted.file and CALIBRATION in repository.files:
        # A calibration of the user's own is beside the weights, too, and is kept.
        own = found.with_name(CALIBRATION)
        if not own.exists():
            repository.file(CALIBRATION)
    return str(found)


@cache
def open_repository(wanted: HubAddress) -> Repository:
    """The commit that an address means now. A process sees the same commit each time.

    Without network, the cache's latest commit of the revision is used, and a warning names it.

    Args:
        wanted (HubAddress): The address. With a ``file``, the repository may have no manifest.

    Raises:
        HubError: The hub cannot be reached and the cache has nothing; there is no such repository, revision or file; or
            the repository was not written by ``vadlab push`` and no file is named.
    """
    hub = import_hub(str(wanted))
    probe = wanted.file or MANIFEST
    with explained(hub, wanted, probe):
        path, is_latest = _latest(hub, wanted, probe)
    commit = _commit_of(path)
    address = replace(wanted, revision=commit, file='')
    if not is_latest:
        say(
            f'warning: {wanted}: {hub.constants.ENDPOINT} cannot be reached. Using the commit in the cache, '
            f'{commit[:12]}.',
            file=sys.stderr,
        )
    if wanted.file:  # of any repository; where there is a manifest, it counts
        with explained(hub, address, MANIFEST):
            found = _cached(hub, address, MANIFEST)
            if found is None and is_latest and not is_offline(hub):
                with suppress(hub.errors.EntryNotFoundError):
                    found = _downloaded(hub, address, MANIFEST)
        return Repository(address, None if found is None else read_hub_manifest(found, _manifest_of(address)))
    return Repository(address, read_hub_manifest(path, _manifest_of(address)))


def _latest(hub: Any, wanted: HubAddress, name: str) -> tuple[Path, bool]:
    """A file at a revision, and whether the hub confirmed that it is the latest."""
    found = _cached(hub, wanted, name)
    if found is not None and (is_offline(hub) or COMMIT.fullmatch(wanted.revision)):
        return found, True
    if is_offline(hub):
        raise hub.errors.LocalEntryNotFoundError('offline')
    limit_waits(hub)
    url = hub.hf_hub_url(wanted.repo_id, name, repo_type=wanted.repo_type, revision=wanted.revision or None)
    try:
        hub.get_hf_file_metadata(url, timeout=hub_session.HUB_TIMEOUT_S)
    except hub.errors.EntryNotFoundError as error:
        if name == MANIFEST and hub_session.status_of(error) is not None:
            raise HubError(
                f'{wanted}: the repository has no {MANIFEST}, so vadlab push did not write it. Name the file of '
                f'weights (hf://{wanted.repo_id}/FILE.safetensors), and use a config of your own.'
            ) from error
        raise
    except Exception as error:
        if found is None or not is_unreachable(hub, error):
            raise
        return found, False
    return _downloaded(hub, wanted, name), True


def _cached(hub: Any, address: HubAddress, name: str) -> Path | None:
    try:
        return Path(
            hub.hf_hub_download(
                address.repo_id,
                name,
                repo_type=address.repo_type,
                revision=address.revision or None,
                local_files_only=True,
            )
        )
    except hub.errors.LocalEntryNotFoundError:
        return None


def _downloaded(hub: Any, address: HubAddress, name: str) -> Path:
    limit_waits(hub)
    _remove_killed_downloads(hub, address)
    return Path(
        hub.hf_hub_download(
            address.repo_id,
            name,
            repo_type=address.repo_type,
            revision=address.revision or None,
            etag_timeout=hub_session.HUB_TIMEOUT_S,
        )
    )


def _remove_killed_downloads(hub: Any, address: HubAddress) -> None:
    """Remove what killed downloads left in the cache.

    huggingface_hub writes each download to a file with a random name, so that two processes never write to the same
    file, and does not look for files of earlier runs. So a part cannot be continued, and would stay for ever.
    """
    blobs = cache_folder(hub) / f'{address.repo_type}s--{address.repo_id.replace("/", "--")}' / 'blobs'
    removed = 0
    for part in blobs.glob('*.incomplete'):
        with suppress(OSError):  # another process removed it, or may not
            stat = part.stat()
            if _OWN_PART.search(part.name) and time.time() - stat.st_mtime > _LONG_AGO_S:
                part.unlink()
                removed += stat.st_size
    if removed:
        text = f'removed from the cache: {removed / 2**20:,.1f} MiB of a download of {address} that was killed'
        say(text, file=sys.stderr)


def _commit_of(path: Path) -> str:
    """The commit in the path of a cached file: ``.../snapshots/COMMIT/FILE``."""
    parts = path.parts
    at = len(parts) - 1 - parts[::-1].index('snapshots')
    return parts[at + 1]


def _manifest_of(address: HubAddress) -> str:
    return str(replace(address, file=MANIFEST))


def read_hub_manifest(path: Path, name: str) -> dict[str, dict[str, Any]]:
    """``sha256`` and ``bytes`` of each file that a manifest lists.

    Args:
        path (Path): The file.
        name (str): Its name for messages.

    Raises:
        HubError: It is damaged, of a later format, or names files outside its folder.
    """
    try:
        content = read_json(path, unique_keys=True)
    except DataError as error:
        raise HubError(f'{name} cannot be used: {error}') from error
    shape = {'format': int, 'files': {str: {'sha256': str, 'bytes': int}}}
    fault = shape_fault(content, shape)
    if fault is None and content['format'] > FORMAT:
        raise HubError(f'{name} has the format {content["format"]}; this VADLab reads up to {FORMAT}. Update VADLab.')
    if fault is None:
        fault = next((why for file, about in content['files'].items() if (why := _entry_fault(file, about))), None)
    if fault is not None:
        raise HubError(f'{name} is not a manifest of vadlab push: {fault}')
    return content['files']


def _entry_fault(name: str, about: Mapping[str, Any]) -> str | None:
    if not is_inside(name):
        return f'{name[:80]!r} is not the path of a file in the repository'
    if not _SHA256.fullmatch(about['sha256']) or about['bytes'] < 0:
        return f'{name[:80]!r} has no valid sha256 and size'
    return None


def is_inside(name: str) -> bool:
    """Whether a name from outside is a path below a folder: no absolute path, no ``..``, no backslash or colon.

    >>> is_inside('features/a.npy'), is_inside('../a.npy'), is_inside('/etc/passwd')
    (True, False, False)
    """
    parts = name.split('/')
    return (
        all(part not in ('', '.', '..') for part in parts)
        and not re.search(r'[\\:\0-\x1f\x7f]', name)
        and len(name) < 1_000
    )


def digest_of(path: str | os.PathLike) -> str:
    """SHA-256 of a file."""
    with open(path, 'rb') as file:
        return hashlib.file_digest(file, 'sha256').hexdigest()


def check_digest(path: Path, wanted: str, source: str, name: str) -> None:
    """Check a file of the cache.

    Raises:
        HubError: Its SHA-256 is another one.
    """
    found = digest_of(path)
    if found != wanted:
        raise HubError(
            f'{name}: its checksum is not the one in {source}: sha256 {found[:12]}..., expected {wanted[:12]}.... The '
            f'file is damaged or was replaced. Remove it and try again: rm {path.resolve()}'
        )
