"""Checks that files of a command line exist, before slow packages are loaded."""

import os
import re
from collections.abc import Callable, Iterable
from pathlib import Path

from .errors import ConfigError, MissingFileError
from .hub_address import is_address, parse_address
from .hub_files import local_checkpoint
from .own_files import config_file, nearest_config, own_base
from .suggest import nearest

#: The checkpoint of a model that loads its weights itself, or is used with the ``pretrained`` weights of its config.
NO_CHECKPOINT = 'none'
_HUB_ID = re.compile(r'^[A-Za-z0-9][\w.-]*/[\w.-]+$')
_WEIGHT_ENDINGS = ('.pt', '.pth', '.bin', '.safetensors', '.ckpt')
_CONFIG_ENDINGS = ('.py', '.json', '.yaml', '.yml')


def require_model(config: str | Path, checkpoint: str | Path, backend: str = 'torch') -> str:
    """Check that a config and a checkpoint exist; :data:`NO_CHECKPOINT` is accepted.

    Returns:
        str: The checkpoint, see :func:`require_checkpoint`.

    Raises:
        MissingFileError, ConfigError, HubError: See :func:`require_config` and :func:`require_checkpoint`.
    """
    require_config(config)
    return NO_CHECKPOINT if checkpoint == NO_CHECKPOINT else require_checkpoint(checkpoint, backend)


def require_config(path: str | Path, named_by: str | Path | None = None) -> None:
    """Check that a config file exists.

    Args:
        path (str | Path): The config: a path, the name of one of VADLab's, or an address of the hub.
        named_by (str | Path | None): The config whose ``_base_`` names it.

    Raises:
        MissingFileError: It does not exist; the message lists the nearest names in its folder.
        ConfigError: An address is malformed, the path is empty, or the file is not a config.
    """
    if is_address(path):
        parse_address(path)
        return
    _require_text(path, 'config')
    path = Path(config_file(path) if named_by is None else path)  # a _base_ is relative to its config
    if path.is_file():
        if path.suffix.lower() not in _CONFIG_ENDINGS:
            raise ConfigError(
                f'{path} is not a config, which ends with .py. Name the config first, then the checkpoint.'
            )
        return
    known = [file.name for file in path.parent.glob('*.py')]
    if named_by is not None and (own := own_base(path)) is not None:
        hint = f"The one of VADLab is '{own}'."
    elif not path.parent.is_dir():
        hint = f'There is no folder {path.parent}.'
    elif len(path.parts) == 1 and named_by is None:  # the name of one of VADLab's configs, probably
        hint = nearest_config(path.name)
    else:
        hint = nearest(path.name, known) if known else f'There is no config in {path.parent}.'
    raise MissingFileError(f'Config {path} not found{f" (named by {named_by})" if named_by else ""}. {hint}')


def require_checkpoint(path: str | Path, backend: str = 'torch') -> str:
    """Check that a checkpoint exists and is a file; with the backend ``onnxruntime``, an exported folder.

    Returns:
        str: Its path; that of an address of the hub (``hf://USER/NAME``) is in the cache.

    Raises:
        MissingFileError: It does not exist, or is a folder; the message lists the checkpoints in the folder.
        ConfigError: The path is empty.
        HubError: The file of an address cannot be had.
    """
    _require_text(path, 'checkpoint')
    given, path = path, Path(local_checkpoint(path))
    is_exported = (path / 'manifest.json').is_file()
    if backend == 'onnxruntime':
        if not is_exported:
            raise MissingFileError(
                f'--backend onnxruntime takes a folder that tools/export.py wrote, and {path} is not one (it has no '
                'manifest.json). Export the checkpoint: python tools/export.py CONFIG CHECKPOINT --out FOLDER'
            )
        return str(given)
    if is_exported:
        raise MissingFileError(
            f'{path} is an exported model, not a checkpoint. Add --backend onnxruntime; a command without this '
            'option needs the checkpoint.'
        )
    if path.is_dir():
        known = sorted(file.name for file in path.glob('*.pth'))
        raise MissingFileError(
            f'Checkpoint {path} is a folder. Give a file'
            + (f' in it: {", ".join(known[:5])}{", ..." if len(known) > 5 else ""}' if known else ' of weights')
        )
    if not path.is_file():
        known = [file.name for file in path.parent.glob('*.pth')] if path.parent.is_dir() else []
        hint = nearest(path.name, known) if known else f'There is no .pth file in the folder {path.parent.resolve()}.'
        raise MissingFileError(f'Checkpoint {path} not found. {hint}')
    return str(path) if is_address(given) else str(given)


def require_paths(paths: Iterable[str | Path], what: str, advice: str | Callable[[str | Path], str] = '.') -> None:
    """Check that files or folders exist.

    Args:
        paths (Iterable[str | Path]): Files or folders.
        what (str): Noun for each of them, for the message.
        advice (str | Callable): End of the message, or a function that takes the path and returns it, such as
            :func:`no_file_advice`.

    Raises:
        MissingFileError: One does not exist.
        ConfigError: One is empty.
    """
    for path in paths:
        _require_text(path, what)
        if not Path(path).exists():
            ending = advice if isinstance(advice, str) else advice(path)
            raise MissingFileError(f'There is no {what} {path}{ending}')


def no_file_advice(path: str | Path) -> str:
    """End of a message that there is no such file: about addresses, links to nothing, pipes and devices."""
    text = str(path)
    if re.match(r'\w+:/', text):  # Path makes one slash of two
        return '. Addresses are not read: download the file first. tools/watch.py watches cameras.'
    if os.path.islink(text) and not os.path.exists(text):
        return f'. It is a link to {os.readlink(text)}, which does not exist.'
    if text == '-' or os.path.exists(text):
        return '. Pipes and devices are not read: write a file first. tools/watch.py watches cameras.'
    return '.'


def _require_text(path: str | Path, what: str) -> None:
    """Refuse an empty path, which pathlib takes for the working directory."""
    if os.fspath(path) == '':
        raise ConfigError(f'The path of the {what} is empty. Is a variable of the shell not set?')


def require_clip_weights(path_or_id: str) -> None:
    """Check that CLIP weights exist, unless they are given by a Hugging Face id.

    Args:
        path_or_id (str): A file, a folder, or an id such as ``openai/clip-vit-base-patch32``.

    Raises:
        MissingFileError: It is not one of these.
    """
    is_id = _HUB_ID.match(path_or_id) and not path_or_id.endswith(_WEIGHT_ENDINGS)
    if not Path(path_or_id).expanduser().exists() and not is_id:
        raise MissingFileError(
            f'No CLIP weights at {path_or_id!r}. Give a file (OpenAI .pt, .safetensors, .pth), a Hugging Face folder, '
            'or a Hugging Face id such as openai/clip-vit-base-patch32.'
        )
