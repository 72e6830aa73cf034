"""Code shared by the training and testing tools: options, set-up, tables."""

import argparse
import importlib.metadata
import importlib.util
import logging
import os
import platform
import re
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import vadlab

from .errors import ConfigError, MissingDependencyError
from .hub_address import is_address, parse_address
from .required_files import require_config

if TYPE_CHECKING:
    from mmengine.config import Config


def add_common_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options that every tool that runs an experiment takes."""
    parser.add_argument('--seed', type=int, help='seed of all random generators')
    parser.add_argument(
        '--cfg-options', nargs='+', metavar='KEY=VALUE', help='change the config: variables, or dotted keys'
    )
    parser.add_argument(
        '--launcher', choices=['none', 'pytorch', 'slurm', 'mpi'], default='none', help='how several processes start'
    )
    # The older form of torchrun passes it; the environment variable has the same value.
    parser.add_argument('--local_rank', '--local-rank', type=int, default=0, help=argparse.SUPPRESS)


def add_backend_argument(parser: argparse._ActionsContainer) -> None:
    """Add the option that chooses what runs the model."""
    parser.add_argument(
        '--backend',
        choices=['torch', 'onnxruntime'],
        default='torch',
        help='onnxruntime: CHECKPOINT is a folder that tools/export.py wrote',
    )


def config_from_arguments(args: argparse.Namespace, check: bool = True) -> 'Config':
    """Load the config that the arguments name, apply ``--cfg-options``, and register VADLab's parts.

    Args:
        args (Namespace): From a parser with :func:`add_common_arguments` and ``config``.
        check (bool): Also check that the packages of the log's backends are installed.
    """
    quiet_third_parties()
    require_config(args.config)
    os.environ.setdefault('LOCAL_RANK', str(args.local_rank))

    import torch  # here, after the arguments and the path are found right: these take seconds to load

    from .config import load_config, parse_cfg_options
    from .setup_env import register_all_modules

    register_all_modules()
    config = load_config(args.config, parse_cfg_options(args.cfg_options))
    config.launcher = args.launcher
    config.setdefault('default_scope', 'vadlab')
    if args.seed is not None:
        config.randomness = {**config.get('randomness', {}), 'seed': args.seed}
    if args.launcher != 'none' and not torch.cuda.is_available():
        config.setdefault('env_cfg', {})
        config.env_cfg['dist_cfg'] = {**config.env_cfg.get('dist_cfg', {}), 'backend': 'gloo'}
    if check:
        check_backends(config)
    return config


def check_backends(config: 'Config') -> None:
    """Check that the packages of the log's backends are installed.

    Raises:
        MissingDependencyError: One is not; the message names the command that installs it.
    """
    needs = {
        'WandbVisBackend': ('wandb', 'pip install "vadlab[wandb]"  (or: pip install wandb)'),
        'MLflowVisBackend': ('mlflow', 'pip install "vadlab[trackers]"  (or: pip install mlflow)'),
        'AimVisBackend': ('aim', 'pip install "vadlab[trackers]"  (or: pip install aim)'),
        'ClearMLVisBackend': ('clearml', 'pip install "vadlab[trackers]"  (or: pip install clearml)'),
        'TensorboardVisBackend': ('tensorboard', 'pip install tensorboard'),
    }
    for backend in (config.get('visualizer') or {}).get('vis_backends') or []:
        package, command = needs.get(backend.get('type'), (None, None))
        if package and importlib.util.find_spec(package) is None:
            raise MissingDependencyError(f'{backend["type"]} needs the package {package}: {command}')


def quiet_third_parties() -> None:
    """Silence messages of other packages that a user cannot act on."""
    os.environ.setdefault('NO_ALBUMENTATIONS_UPDATE', '1')
    os.environ.setdefault('TF_CPP_MIN_LOG_LEVEL', '3')
    for module in (
        'mmengine',
        'mmcv',
        'mmdet',
        'torch',
        'tensorboard',
        'timm',
        'transformers',
        'google',
        'pkg_resources',
    ):
        for category in (DeprecationWarning, FutureWarning, UserWarning):
            warnings.filterwarnings('ignore', category=category, module=rf'{module}(\..*)?')
    for name in ('matplotlib', 'PIL', 'libav'):
        logging.getLogger(name).setLevel(logging.ERROR)


def default_work_dir(config_path: str | Path) -> str:
    """Default folder of a run, if neither the config nor the command names one.

    >>> default_work_dir('configs/rtfm_demo.py'), default_work_dir('hf://lab/rtfm@v1')
    ('work_dirs/rtfm_demo', 'work_dirs/lab--rtfm')
    """
    if is_address(config_path):
        return str(Path('work_dirs') / parse_address(config_path).name)
    return str(Path('work_dirs') / Path(config_path).stem)


def versions() -> dict[str, str]:
    """Versions of the packages that results depend on."""
    found = {'vadlab': vadlab.__version__, 'python': platform.python_version(), 'torch': _torch_version()}
    for package in ('mmengine', 'mmcv', 'mmdet', 'numpy', 'av', 'cv2'):
        if importlib.util.find_spec(package) is not None:
            name = {'mmengine': 'onedl-mmengine', 'mmcv': 'onedl-mmcv', 'mmdet': 'onedl-mmdetection'}.get(
                package, package
            )
            name = 'opencv-python' if package == 'cv2' else name
            try:
                found[package] = importlib.metadata.version(name)
            except importlib.metadata.PackageNotFoundError:
                found[package] = 'unknown'
    return found


def _torch_version() -> str:
    """``torch.__version__``, read from its file.

    Loading torch takes a second, and the package's metadata do not have the build (``+cu128``).
    """
    torch = importlib.util.find_spec('torch')
    for folder in (torch and torch.submodule_search_locations) or ():
        file = Path(folder, 'version.py')
        if file.is_file() and (found := re.search(r"^__version__ = '(.+)'", file.read_text('utf-8'), re.MULTILINE)):
            return found[1]
    return 'unknown'


def use_amp(config: 'Config') -> None:
    """Turn on mixed precision in a config (``--amp``).

    Raises:
        ConfigError: The config does not train.
    """
    wrapper = config.get('optim_wrapper')
    if wrapper is None:
        raise ConfigError('--amp: the config has no optim_wrapper.')
    if wrapper.get('type', 'OptimWrapper') == 'OptimWrapper':
        wrapper['type'] = 'AmpOptimWrapper'
        wrapper.setdefault('dtype', 'bfloat16')


def without_caches(node: object) -> None:
    """Turn off every frame cache in a config."""
    if isinstance(node, dict):
        if node.get('cache') is not None:
            node['cache'] = None
        for value in node.values():
            without_caches(value)
    elif isinstance(node, (list, tuple)):
        for value in node:
            without_caches(value)


def format_table(rows: Sequence[tuple[str, ...]], header: tuple[str, ...]) -> str:
    """A text table: a header, a rule and rows, in columns of the needed width."""
    cells = [header, *rows]
    widths = [max(len(row[i]) for row in cells) for i in range(len(header))]
    lines = ['  '.join(c.ljust(w) for c, w in zip(row, widths, strict=True)).rstrip() for row in cells]
    lines.insert(1, '  '.join('-' * w for w in widths))
    return '\n'.join(lines)


def format_value(value: Any) -> str:
    """A metric's value for a table."""
    return f'{value:.4f}' if isinstance(value, float) else str(value)
