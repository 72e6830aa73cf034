"""Requests to the Hugging Face hub: time limits, and one message per error."""

import errno
import os
import shutil
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from .errors import DISK_IS_FULL, HubError, MissingDependencyError, VADLabError
from .hub_address import HubAddress
from .printable import is_terminal

#: Time-out of each request to the hub, in seconds.
HUB_TIMEOUT_S = 10

_LOGIN = 'log in (hf auth login), or set HF_TOKEN'


def import_hub(purpose: str) -> Any:
    """The package huggingface_hub.

    Args:
        purpose (str): What it is needed for, for the message.

    Raises:
        MissingDependencyError: It is not installed.
    """
    try:
        import huggingface_hub
        import huggingface_hub.constants
        import huggingface_hub.errors
        import huggingface_hub.utils  # the package loads its modules late
    except ImportError as error:
        raise MissingDependencyError(
            f'{purpose} needs huggingface_hub: pip install huggingface_hub. Or give a local folder.'
        ) from error
    if not is_terminal(sys.stderr):
        with warnings.catch_warnings():
            warnings.simplefilter('ignore')  # if an environment variable asks for the bars
            huggingface_hub.utils.disable_progress_bars()
    return huggingface_hub


def limit_waits(hub: Any) -> None:
    """Set the time-out on every question to the hub; the library alone would wait for minutes."""
    session = hub.get_session()
    hooks = getattr(session, 'event_hooks', None)
    if hooks is not None and _limit_wait not in hooks['request']:
        session.event_hooks = {**hooks, 'request': [*hooks['request'], _limit_wait]}


def _limit_wait(request: Any) -> None:
    """Set a time-out on a request of the library, unless it uploads: the hub may take long to answer a commit."""
    if request.method not in ('GET', 'HEAD'):
        return
    limits = request.extensions.get('timeout') or {}
    request.extensions['timeout'] = {
        phase: min(HUB_TIMEOUT_S, limits.get(phase) or HUB_TIMEOUT_S) for phase in ('connect', 'read', 'write', 'pool')
    }


def is_offline(hub: Any) -> bool:
    """Whether the user forbids requests to the hub (``HF_HUB_OFFLINE=1``)."""
    return bool(hub.constants.HF_HUB_OFFLINE)


def cache_folder(hub: Any) -> Path:
    """Folder of the library's cache."""
    return Path(hub.constants.HF_HUB_CACHE)


def is_unreachable(hub: Any, error: Exception) -> bool:
    """Whether an error means that the hub does not answer, or has a fault of its own."""
    if isinstance(error, hub.errors.LocalEntryNotFoundError):
        return True
    status = status_of(error)
    if status is not None:
        return status >= 500
    return not isinstance(error, VADLabError | hub.errors.EntryNotFoundError) and _system_error(error) is None


def status_of(error: BaseException) -> int | None:
    """HTTP status of an error of the library."""
    return getattr(getattr(error, 'response', None), 'status_code', None)


@contextmanager
def explained(hub: Any, address: HubAddress, file: str = '', folder: Path | None = None) -> Iterator[None]:
    """Raise errors of the library as one message each.

    Args:
        hub (Any): The package.
        address (HubAddress): The repository.
        file (str): The file that is read.
        folder (Path | None): Where files are written; None for the cache.

    Raises:
        HubError: What is wrong, and how to fix it.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter('ignore')  # about a disk that is nearly full: the error follows
            yield
    except VADLabError:
        raise
    except Exception as error:  # each layer of the network has its own errors
        raise HubError(reason_of(hub, error, address, file, folder)) from error


def reason_of(hub: Any, error: Exception, address: HubAddress, file: str = '', folder: Path | None = None) -> str:
    """A message for an error of the library."""
    kinds, status = hub.errors, status_of(error)
    page = f'{hub.constants.ENDPOINT}/{"datasets/" * address.is_dataset}{address.repo_id}'
    if isinstance(error, kinds.GatedRepoError):
        return f'{address}: the owner admits readers one by one. Ask at {page}, then {_LOGIN} with that account.'
    if isinstance(error, kinds.RevisionNotFoundError):
        return (
            f'{address}: the repository {address.repo_id} has no revision {address.revision or "main"!r}. Was it '
            f'renamed or removed? Its branches and tags: {page}/tree/main'
        )
    if isinstance(error, kinds.RepositoryNotFoundError):
        return (
            f'{address}: there is no such repository, or it is private or needs a login. Check the name; if it is '
            f'right, {_LOGIN} with an account that may read it.'
        )
    if isinstance(error, kinds.LocalEntryNotFoundError):
        if is_offline(hub):
            return (
                f'{address}: {file or "it"} is not in the cache ({cache_folder(hub)}), and HF_HUB_OFFLINE forbids to '
                'download it. Run the command once with network.'
            )
        return f'{address}: {_no_answer(hub, error.__cause__ or error)}'
    if isinstance(error, kinds.EntryNotFoundError):
        return f'{address}: the repository has no file {file!r}. Its files: {page}/tree/{address.revision or "main"}'
    if status in (401, 403):
        return (
            f'{address}: the hub refuses access ({status}). Check the token: {_LOGIN}. To push, it needs the right to '
            'write.'
        )
    if status == 429:
        return f'{address}: the hub has had too many requests from here. Wait some minutes.'
    found = _system_error(error)
    if found is not None and found.errno in DISK_IS_FULL:
        return f'{address}: {_no_room(folder or cache_folder(hub), folder is None)}'
    if found is not None:
        return f'{address}: {found.filename or folder or cache_folder(hub)}: {found.strerror}'
    if 'Consistency check failed' in str(error):
        return f'{address}: the download of {file} was cut short. Run the command again.'
    if '/xet-' in str(error) and '404' in str(error):
        return f'{address}: {hub.constants.ENDPOINT} has no Xet storage. Set HF_HUB_DISABLE_XET=1.'
    return f'{address}: {_no_answer(hub, error)}'


def check_room(hub: Any, address: HubAddress, size: int) -> None:
    """Check that the disk of the cache has room for a download.

    Args:
        hub (Any): The package.
        address (HubAddress): The repository.
        size (int): Bytes to download.

    Raises:
        HubError: It has not.
    """
    check_room_in(cache_folder(hub), address, size, 'the disk of the cache', 'set HF_HOME to a folder on another disk')


def check_room_in(
    folder: Path, address: HubAddress, size: int, what: str = 'the disk', other: str = 'name a folder on another disk'
) -> None:
    """Check that a folder's disk has room for a download.

    Args:
        folder (Path): The folder, which may not exist yet.
        address (HubAddress): The repository.
        size (int): Bytes to download.
        what (str): The disk, for the message.
        other (str): How to use another disk.

    Raises:
        HubError: It has not.
    """
    there = next(path for path in (folder, *folder.parents) if path.exists())
    free = shutil.disk_usage(there).free
    if free < size:
        raise HubError(
            f'{address}: {what} is full ({folder}: {free / 2**20:,.1f} MiB free, {size / 2**20:,.1f} MiB needed). Make '
            f'room, or {other}.'
        )


def _no_room(folder: Path, is_cache: bool) -> str:
    there = next(path for path in (folder, *folder.parents) if path.exists())
    free = shutil.disk_usage(there).free / 2**20
    if not is_cache:
        return f'the disk is full ({folder}: {free:,.1f} MiB free). Make room, or name a folder on another disk.'
    return (
        f'the disk of the cache is full ({folder}: {free:,.1f} MiB free). Make room, such as by hf cache prune, or set '
        'HF_HOME to a folder on another disk.'
    )


def _no_answer(hub: Any, error: BaseException) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    status = status_of(error)
    why = f'error {status}' if status else (lines[0] if lines else type(error).__name__)[:200]
    return (
        f'{hub.constants.ENDPOINT} cannot be reached, or broke off: {why.rstrip(".")}. Check the network, then run '
        f'the command again. (The hub has {HUB_TIMEOUT_S} s to answer.)'
    )


def _system_error(error: BaseException | None) -> OSError | None:
    """The error of a file that caused an error, if there is one. Errors of the network are no such errors."""
    seen = 0
    kinds = {*DISK_IS_FULL, errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.EISDIR}
    while error is not None and seen < 10:
        if (
            isinstance(error, OSError)
            and not isinstance(error, ConnectionError | TimeoutError)
            and (error.errno in kinds or (error.errno == errno.ENOENT and error.filename))
        ):
            return error
        error, seen = error.__cause__ or error.__context__, seen + 1
    return None


def shown_path(path: str | os.PathLike) -> str:
    """The address of a file in the library's cache; other paths are unchanged.

    >>> shown_path('/c/hub/models--lab--rtfm/snapshots/0123456789012345678901234567890123456789/model.safetensors')
    'hf://lab/rtfm@0123456789012345678901234567890123456789/model.safetensors'
    >>> shown_path('work_dirs/epoch_1.pth')
    'work_dirs/epoch_1.pth'
    """
    parts = Path(path).parts
    for at, part in enumerate(parts):
        kind, _, name = part.partition('--')
        if kind in ('models', 'datasets') and parts[at + 1 : at + 2] == ('snapshots',) and len(parts) > at + 3:
            repo_id = name.replace('--', '/')
            return str(HubAddress(repo_id, kind == 'datasets', parts[at + 2], '/'.join(parts[at + 3 :])))
    return os.fspath(path)
