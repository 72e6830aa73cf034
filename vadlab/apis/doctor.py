"""A description of an installation, to paste into a report of a fault."""

import os
import platform
import re
import sys
from importlib.util import find_spec

import torch

from vadlab import __version__
from vadlab.models.layers.roi_align import mmcv_ops_problem
from vadlab.utils.own_files import TOOLS
from vadlab.utils.runtime import versions

#: The extras of the package: the modules that each installs, and what needs it.
EXTRAS = {
    'audio': (['librosa'], 'spectrograms of sound'),
    'captions': (['nltk'], "WordNet for METEOR's synonyms"),
    'faiss': (['faiss'], 'nearest neighbours, faster'),
    'fiftyone': (['fiftyone'], 'results in FiftyOne'),
    'live': (['paho', 'prometheus_client'], 'MQTT and metrics of live cameras'),
    'onnx': (['onnx', 'onnxruntime', 'onnxscript'], 'models in ONNX'),
    'openai': (['openai'], 'vision-language models behind a server'),
    'ray': (['ray'], 'files on the nodes of a cluster'),
    'service': (['fastapi', 'uvicorn'], 'videos over HTTP'),
    'sweep': (['optuna'], 'search for the best settings'),
    'trackers': (['mlflow', 'aim', 'clearml'], 'logs to MLflow, Aim or ClearML'),
    'wandb': (['wandb'], 'logs to Weights & Biases'),
}
_PATH = re.compile(r'(?<![\w.])(?:[A-Za-z]:)?[/\\][^\s:,;)\'"]+')


def describe() -> str:
    """Versions, devices and extras, one per line; paths are left out."""
    lines = [
        f'vadlab {__version__}, {"a wheel" if TOOLS.parent.name == ".mim" else "a clone"}',
        f'Python {platform.python_version()}, {platform.system()} {platform.release()}, {platform.machine()}',
        ', '.join(f'{name} {version}' for name, version in versions().items()),
        f'{os.cpu_count()} cores, {torch.get_num_threads()} threads of torch, {_memory()}',
    ]
    for place in range(torch.cuda.device_count()):
        memory = torch.cuda.get_device_properties(place).total_memory / 2**30
        lines.append(f'GPU {place}: {torch.cuda.get_device_name(place)}, {memory:.0f} GiB, CUDA {torch.version.cuda}')
    if not torch.cuda.device_count():
        lines.append('no GPU')
    for device in ['cpu', *(['cuda'] if torch.cuda.is_available() else [])]:
        problem = mmcv_ops_problem(device)
        lines.append(f"mmcv's RoIAlign on {device}: {problem or 'works'}")
    for extra, (modules, purpose) in EXTRAS.items():
        there = _missing(modules, f'"vadlab[{extra}]"')
        lines.append(f'extra {extra} ({purpose}): {there}')
    lines.append(f"CLIP's vocabulary (texts of CLIP, FG-CLIP): {_missing(['open_clip'], '--no-deps open_clip_torch')}")
    locale = os.environ.get('LC_ALL') or os.environ.get('LANG') or 'none'
    lines.append(f'encoding {getattr(sys.stdout, "encoding", "none")}, locale {locale}')
    return '\n'.join(without_paths(line) for line in lines)


def _missing(modules: list[str], packages: str) -> str:
    missing = [module for module in modules if find_spec(module) is None]
    return f'{", ".join(missing)} missing (pip install {packages})' if missing else 'installed'


def without_paths(text: str) -> str:
    """The text with absolute paths replaced.

    >>> without_paths("no file /home/me/x.so: no such file")
    'no file PATH: no such file'
    """
    return _PATH.sub('PATH', text)


def _memory() -> str:
    try:
        return f'{os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30:.0f} GiB memory'
    except (ValueError, OSError):
        return 'memory not known'
