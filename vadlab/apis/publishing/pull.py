"""Download of a pushed repository into a folder: features, or the files of a model."""

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from vadlab.utils import hub_session
from vadlab.utils.errors import HubError
from vadlab.utils.hub_address import HubAddress
from vadlab.utils.hub_files import MANIFEST, check_digest, digest_of, open_repository
from vadlab.utils.hub_session import explained, import_hub, is_offline, limit_waits

_CARD = 'README.md'
#: What ``vadlab push`` publishes: features, lists, annotations, and what belongs to a model.
_KINDS = ('.npy', '.txt', '.csv', '.list', '.json', '.safetensors')
_THREADS = 8


def pull(address: HubAddress, folder: Path, progress: Callable[[int, int], None] | None = None) -> tuple[int, int]:
    """Download all files that a repository's manifest lists; files that are there and whole are kept.

    A file that an earlier pull wrote is repaired if it is damaged. Other files are never replaced.

    Args:
        address (HubAddress): The repository.
        folder (Path): Where to; made if it does not exist.
        progress (Callable | None): Called with the number of finished files and of all.

    Returns:
        tuple[int, int]: Numbers of downloaded files and of files that were there.

    Raises:
        HubError: The repository cannot be read, lists files that ``vadlab push`` does not publish, a file differs from
            its checksum, a part of a path in the folder is a link, or another file is in the way.
    """
    hub = import_hub(str(address))
    repository = open_repository(replace(address, file=''))
    files = repository.files or {}
    for name in files:
        _refuse_kind(name, address)
    folder.mkdir(parents=True, exist_ok=True)
    root = folder.resolve()
    for name in files:
        _refuse_links(root, name)
    missing = [name for name, about in files.items() if not _is_whole(root / name, about['sha256'])]
    for name in missing:
        if os.path.lexists(root / name) and not _was_pulled(root, name):
            raise HubError(
                f'{root / name} is there, and is neither the file of {address} nor one that vadlab pull wrote. Move it '
                'away, or pull to another folder.'
            )
    if missing and is_offline(hub):
        raise HubError(f'{address}: {len(missing)} files are missing, and HF_HUB_OFFLINE forbids to download them.')
    limit_waits(hub)
    pinned = repository.address

    def fetch(name: str) -> None:
        with explained(hub, pinned, name, root):
            path = hub.hf_hub_download(
                pinned.repo_id,
                name,
                repo_type=pinned.repo_type,
                revision=pinned.revision,
                local_dir=root,
                force_download=(root / name).exists(),
                etag_timeout=hub_session.HUB_TIMEOUT_S,
            )
        check_digest(Path(path), files[name]['sha256'], f"the repository's {MANIFEST}", str(replace(pinned, file=name)))

    size = sum(files[name]['bytes'] for name in missing)
    hub_session.check_room_in(root, pinned, size)
    done = len(files) - len(missing)
    pool = ThreadPoolExecutor(_THREADS)
    try:
        for _ in pool.map(fetch, missing):
            done += 1
            if progress is not None:
                progress(done, len(files))
    finally:
        pool.shutdown(cancel_futures=True)
    if missing and (not os.path.lexists(root / _CARD) or _was_pulled(root, _CARD)):
        with explained(hub, pinned, _CARD, root), suppress(hub.errors.EntryNotFoundError):
            _refuse_links(root, _CARD)
            hub.hf_hub_download(
                pinned.repo_id, _CARD, repo_type=pinned.repo_type, revision=pinned.revision, local_dir=root
            )
    return len(missing), len(files) - len(missing)


def _refuse_kind(name: str, address: HubAddress) -> None:
    """Check that a file is of a kind that is published: programs may run others, such as ``.git/config``."""
    path = Path(name)
    if any(part.startswith('.') for part in path.parts) or path.suffix not in _KINDS:
        raise HubError(
            f'{address}: {MANIFEST} lists {name[:80]!r}, which vadlab push does not publish: it is hidden, or of '
            'another kind. Nothing was written.'
        )


def _was_pulled(root: Path, name: str) -> bool:
    """Whether an earlier pull wrote a file: huggingface_hub keeps notes of its downloads in the folder."""
    return (root / '.cache' / 'huggingface' / 'download' / f'{name}.metadata').is_file()


def _refuse_links(root: Path, name: str) -> None:
    """Check that no part of a path below a folder is a link, which would lead out of it."""
    path = root
    for part in Path(name).parts:
        path /= part
        if os.path.islink(path):
            raise HubError(f'{path} is a link. Nothing is written through links: remove it, or pull to another folder.')


def _is_whole(path: Path, digest: str) -> bool:
    return path.is_file() and digest_of(path) == digest
