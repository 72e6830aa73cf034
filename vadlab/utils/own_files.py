"""Files that come with VADLab: configs, question files, weights of the demos, commands.

In a clone they are in ``configs/`` and ``tools/``; a wheel has copies in ``vadlab/.mim``, as OpenMMLab's packages do.
"""

import os
from pathlib import Path

from .suggest import nearest

PACKAGE = Path(__file__).resolve().parents[1]
_HOME = PACKAGE / '.mim' if (PACKAGE / '.mim').is_dir() else PACKAGE.parent

#: Folder of VADLab's configs.
CONFIGS = _HOME / 'configs'
#: Folder of VADLab's commands.
TOOLS = _HOME / 'tools'

_ROOTS = {'configs/': CONFIGS, 'vadlab/': PACKAGE}


def own_file(path: str) -> str:
    """A path below ``configs/`` or ``vadlab/`` that does not exist here, as a file of VADLab; others are unchanged.

    Configs name files of VADLab by paths from the root of a clone. With this, they work in any folder.
    """
    for root, folder in _ROOTS.items():
        if path.startswith(root) and not os.path.exists(path):
            own = folder / path.removeprefix(root)
            return str(own) if own.exists() else path
    return path


def config_file(name: str | os.PathLike) -> str:
    """Path of a config: a path, or the name of one of VADLab's, such as ``fgclip_ucf`` or ``vadlab::fgclip_ucf.py``.

    A file in the working directory comes first. What is neither a file nor a name stays as it is.
    """
    text = os.fspath(name)
    is_own = text.startswith('vadlab::')
    text = text.removeprefix('vadlab::')
    if os.path.isfile(text) and not is_own:
        return text
    own = CONFIGS / (text if Path(text).suffix else f'{text}.py')
    return str(own) if is_own or (os.sep not in text and own.is_file()) else own_file(text)


def own_base(path: Path) -> str | None:
    """How a ``_base_`` names the config of VADLab that a path probably means, by its last parts; None if there is none.

    >>> own_base(Path('mine/configs/_base_/models/rtfm.py')), own_base(Path('rtfm_demo')), own_base(Path('mine.py'))
    ('vadlab::_base_/models/rtfm.py', 'vadlab::rtfm_demo.py', None)
    """
    parts = path.with_suffix('.py').parts
    ends = (Path(*parts[first:]) for first in range(len(parts)))
    found = next((end for end in ends if not end.is_absolute() and (CONFIGS / end).is_file()), None)
    return None if found is None else f'vadlab::{found.as_posix()}'


def config_names() -> list[str]:
    """Names of VADLab's experiments, sorted."""
    return sorted(path.stem for path in CONFIGS.glob('*.py'))


def nearest_config(text: str) -> str:
    """A sentence that names the config whose name is nearest."""
    return nearest(Path(text).stem, config_names(), limit=4)
