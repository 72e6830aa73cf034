"""Model files from the Hugging Face hub or its local cache, with a time limit."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from vadlab.utils import hub_session
from vadlab.utils.errors import CheckpointError
from vadlab.utils.hub_session import import_hub, limit_waits
from vadlab.utils.json_file import read_json


def hub_folder(repo_id: str, alternatives: Sequence[Sequence[str]]) -> Path:
    """Folder with a model's files from the hub: the first set that it has, downloaded unless it is in the cache.

    Args:
        repo_id (str): Id of the model, such as ``openai/clip-vit-base-patch32``.
        alternatives (Sequence[Sequence[str]]): Sets of file names, in order of preference. The shards that a
            ``....index.json`` names belong to the set.

    Returns:
        Path: A folder of the cache.

    Raises:
        MissingDependencyError: huggingface_hub is not installed.
        CheckpointError: There is no such model, it does not have one of the sets of files, or the hub cannot be reached
            or does not answer for ``hub_session.HUB_TIMEOUT_S`` seconds.
    """
    hub = import_hub(f'Downloading {repo_id}')
    try:
        for local in (True, False):
            if not local:
                _ask_once(hub, repo_id)
            for names in alternatives:
                folder = _files(hub, repo_id, names, local)
                if folder is not None:
                    return folder
        reason = f'it needs one of these: {" / ".join(" + ".join(names) for names in alternatives)}.'
    except Exception as error:  # each layer of the network has its own errors
        reason = next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)[:200]
        cause: Exception = error
    else:
        cause = FileNotFoundError(reason)
    raise CheckpointError(
        f'There is no local folder or file {repo_id!r}, and the Hugging Face model of that id is neither in the cache '
        f'nor could be downloaded: {reason} (The hub has {hub_session.HUB_TIMEOUT_S} s to answer.) Without network: '
        f'set HF_HUB_OFFLINE=1 to look in the cache alone, or copy {" and ".join(alternatives[0])} into a folder and '
        'give its path instead of the id.'
    ) from cause


def _ask_once(hub: Any, repo_id: str) -> None:
    """Check within the time-out whether the hub answers; the library alone would retry for minutes."""
    limit_waits(hub)
    try:
        hub.get_hf_file_metadata(hub.hf_hub_url(repo_id, 'config.json'), timeout=hub_session.HUB_TIMEOUT_S)
    except hub.errors.EntryNotFoundError:
        pass  # it answers


def _files(hub: Any, repo_id: str, names: Sequence[str], local: bool) -> Path | None:
    folder = None
    for name in names:
        path = _file(hub, repo_id, name, local)
        if path is None:
            return None
        folder = path.parent
        if name.endswith('.index.json') and any(_file(hub, repo_id, n, local) is None for n in shard_names(path)):
            return None
    return folder


def _file(hub: Any, repo_id: str, name: str, local: bool) -> Path | None:
    try:
        return Path(hub.hf_hub_download(repo_id, name, local_files_only=local, etag_timeout=hub_session.HUB_TIMEOUT_S))
    except hub.errors.LocalEntryNotFoundError:
        if not local:
            raise
    except hub.errors.EntryNotFoundError:
        pass
    return None


def shard_names(index: Path) -> list[str]:
    """File names of the shards that an index of sharded weights lists.

    Raises:
        CheckpointError: It is not such an index, or names files outside its folder.
    """
    try:
        shards = read_json(index)['weight_map']
        names = sorted(set(shards.values()))
        if all(Path(name).name == name for name in names):
            return names
    except (ValueError, KeyError, TypeError, AttributeError):
        pass
    raise CheckpointError(f'{index} has no weight_map of plain file names.')
