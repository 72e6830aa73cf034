"""Upload of a folder to a repository of the hub, in one commit, without replacing what somebody else wrote."""

import os
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from vadlab.utils import hub_session
from vadlab.utils.errors import HubError, VADLabError
from vadlab.utils.hub_address import HubAddress
from vadlab.utils.hub_files import MANIFEST, read_hub_manifest
from vadlab.utils.hub_session import explained, import_hub, is_offline, limit_waits, status_of

#: Files that the hub makes itself, or that a new repository starts with.
_OF_THE_HUB = {'.gitattributes'}
_CARD = 'README.md'
#: The hub advises fewer than 100 files in a commit.
_MOST_IN_A_COMMIT = 99


@dataclass(frozen=True)
class Target:
    """Where to upload.

    Attributes:
        address (HubAddress): The repository; its ``revision`` is the branch, made if it does not exist.
        private (bool): A new repository can be seen by its owner only.
        overwrite (bool): Replace what an earlier push wrote.
    """

    address: HubAddress
    private: bool = False
    overwrite: bool = False


def upload(files: Mapping[str, Path], target: Target, tell: Callable[[str], None] = print) -> HubAddress:
    """Upload files; returns the address with the new commit.

    Many files are several commits. The first has the manifest, so that an interrupted push is known as one, and can be
    repeated with ``overwrite``.

    Args:
        files (Mapping[str, Path]): Where each file is, by its name in the repository.
        target (Target): Where to.
        tell (Callable): Called with what happens.

    Raises:
        HubError: The hub cannot be reached, the token may not write, the repository has files of somebody else, or it
            has an earlier push and ``overwrite`` is False. A refusal changes nothing.
    """
    address = target.address
    hub = import_hub(f'Pushing to {address}')
    if is_offline(hub):
        raise HubError(f'{address}: HF_HUB_OFFLINE forbids requests to the hub. Unset it to push.')
    limit_waits(hub)
    api = hub.HfApi(library_name='vadlab')
    with _explained_push(hub, address):
        _check_token(hub, api, address)
        where = {'repo_id': address.repo_id, 'repo_type': address.repo_type}
        before = _commit(hub, api, where, None)
        branch = address.revision or None
        if before is not None and branch is not None:
            before = _commit(hub, api, where, branch) or ''
        outdated = _check_own(hub, api, target, files) if before else []
        if before is None:
            api.create_repo(**where, private=target.private)
            tell(f'{address.repo_id} is made{", private" if target.private else ""}.')
        if branch is not None and not before:
            api.create_branch(**where, branch=branch, exist_ok=True)
        first = sorted(files, key=lambda name: (name not in (MANIFEST, _CARD), name))
        for at in range(0, len(first), _MOST_IN_A_COMMIT):
            names = first[at : at + _MOST_IN_A_COMMIT]
            operations: list[Any] = [hub.CommitOperationAdd(name, os.fspath(files[name])) for name in names]
            operations += [hub.CommitOperationDelete(name) for name in outdated] if at == 0 else []
            done = api.create_commit(
                **where,
                operations=operations,
                commit_message='Push by VADLab',
                revision=branch,
                parent_commit=before or None,
            )
            before = done.oid
            if len(files) > _MOST_IN_A_COMMIT:
                tell(f'{min(at + _MOST_IN_A_COMMIT, len(files))} of {len(files)} files are uploaded')
    return replace(address, revision=done.oid)


def _check_token(hub: Any, api: Any, address: HubAddress) -> None:
    """Check who the user is, and that the token may write.

    Raises:
        HubError: There is no token, the hub does not know it, or it may only read.
    """
    login = 'log in (hf auth login) or set HF_TOKEN, with a token that may write: ' + (
        f'{hub.constants.ENDPOINT}/settings/tokens'
    )
    try:
        user = api.whoami()
    except hub.errors.LocalTokenNotFoundError as error:
        raise HubError(f'{address}: to push, {login}') from error
    except hub.errors.HfHubHTTPError as error:
        if status_of(error) in (401, 403):
            raise HubError(f'{address}: the hub does not know the token. To push, {login}') from error
        raise
    role = ((user.get('auth') or {}).get('accessToken') or {}).get('role')
    if role == 'read':
        raise HubError(f'{address}: the token of {user.get("name")} may only read. To push, {login}')
    owner = address.repo_id.partition('/')[0]
    known = {user.get('name'), *(org.get('name') for org in user.get('orgs') or ())}
    if owner not in known:
        raise HubError(
            f'{address}: {owner} is neither you ({user.get("name")}) nor one of your organisations. Push to '
            f'{user.get("name")}/{address.repo_id.partition("/")[2]}'
        )


def _commit(hub: Any, api: Any, where: dict[str, str], revision: str | None) -> str | None:
    """The latest commit of a branch; None if there is no such repository or branch."""
    try:
        return api.repo_info(**where, revision=revision, timeout=hub_session.HUB_TIMEOUT_S).sha
    except hub.errors.RevisionNotFoundError:
        return None
    except hub.errors.GatedRepoError:
        raise
    except hub.errors.RepositoryNotFoundError:
        return None


def _check_own(hub: Any, api: Any, target: Target, names: Collection[str]) -> list[str]:
    """Check that all files of the repository come from ``vadlab push``; returns those that are outdated.

    Raises:
        HubError: They do not, or an earlier push would be replaced.
    """
    address = target.address
    where = {'repo_id': address.repo_id, 'repo_type': address.repo_type, 'revision': address.revision or None}
    there = set(api.list_repo_files(**where)) - _OF_THE_HUB
    if MANIFEST not in there:
        foreign = sorted(there & {*names} if there <= {_CARD} else there)
        if foreign:
            raise HubError(
                f'{address} has files that vadlab push did not write ({_listed(foreign)}). Push to another name, or to '
                'a branch of its own: --revision BRANCH'
            )
        return []
    manifest = read_hub_manifest(
        Path(hub.hf_hub_download(**where, filename=MANIFEST, etag_timeout=hub_session.HUB_TIMEOUT_S)), str(address)
    )
    foreign = sorted(there - {*manifest, MANIFEST, _CARD})
    clash = [name for name in foreign if name in names]
    if clash:
        raise HubError(f'{address} has files that vadlab push did not write ({_listed(clash)}). Push to another name.')
    if not target.overwrite:
        raise HubError(
            f'{address} has a model or features from an earlier push. Add --overwrite to replace them (the old commit '
            'remains in its history), or push to another name, or to a branch: --revision BRANCH'
        )
    return sorted(there & {*manifest} - {*names})


def _listed(names: Sequence[str]) -> str:
    return ', '.join(names[:3]) + (f' and {len(names) - 3} more' if len(names) > 3 else '')


class _explained_push:
    """Like :func:`explained`, with messages for what only a push can meet."""

    def __init__(self, hub: Any, address: HubAddress) -> None:
        self._hub, self._address = hub, address
        self._inner = explained(hub, address)

    def __enter__(self) -> None:
        self._inner.__enter__()

    def __exit__(self, kind: Any, error: Any, trace: Any) -> bool:
        status = status_of(error) if error is not None else None
        if error is not None and not isinstance(error, VADLabError):
            if status == 403:
                raise HubError(
                    f'{self._address}: the token has no right to write there. Use one with the role "write" for '
                    f'{self._address.repo_id.partition("/")[0]}: {self._hub.constants.ENDPOINT}/settings/tokens'
                ) from error
            if status in (409, 412):
                raise HubError(
                    f'{self._address}: somebody else changed the repository meanwhile. Look at it, then push again.'
                ) from error
            if isinstance(error, ValueError) and 'README.md' in str(error):
                raise HubError(f'{self._address}: {" ".join(str(error).split())[:300]}') from error
        return bool(self._inner.__exit__(kind, error, trace))
