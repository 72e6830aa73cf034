"""Files that a command names: whether they exist, before anything is loaded that takes seconds."""

from pathlib import Path

from .errors import MissingFileError
from .suggest import nearest


def require_config(path: str | Path, named_by: str | Path | None = None) -> None:
    """Make sure that a config file exists.

    Args:
        path (str | Path): The config.
        named_by (str | Path | None): The config whose ``_base_`` names it.

    Raises:
        MissingFileError: It does not; the message lists the nearest names in its folder.
    """
    path = Path(path)
    if path.is_file():
        return
    if not path.parent.is_dir():
        raise MissingFileError(f'Config {path} not found: there is no folder {path.parent}.')
    known = [file.name for file in path.parent.glob('*.py')]
    hint = nearest(path.name, known) if known else f'There is no config in {path.parent}.'
    raise MissingFileError(f'Config {path} not found{f" (named by {named_by})" if named_by else ""}. {hint}')


def require_checkpoint(path: str | Path) -> None:
    """Make sure that a checkpoint exists, and is a file.

    Raises:
        MissingFileError: It does not, or is a folder; the message lists the checkpoints there.
    """
    path = Path(path)
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
