"""Workarounds for behaviour of MMEngine, each with its reason. Seen in onedl-mmengine 0.10.12.

The functions below can go when MMEngine changes. After an upgrade, check them and these places, which must stay where
they are because they override a method or belong to a lower layer:

======================================================== ==============================================================
place                                                    what MMEngine does
======================================================== ==============================================================
``checkpoints/tensor_files.py: forbid_unsafe_loading``   loads a file with full unpickling if ``weights_only`` fails
``checkpoints/safe_globals.py: _history_method``         allows the real ``getattr`` in a checkpoint
``registry.py: Registry.import_from_location``           imports a location only, not the modules below it
``models/*: data_preprocessor`` built by our registry    builds it with its own registry, which may not have ours
``models/*: self._is_init = True``                       ``BaseModel.init_weights`` logs every tensor
``datasets/annotated_dataset.py: _join_prefix``          joins paths when it is built, before a missing file is known
``evaluation/.../protocol_metric.py: evaluate``           gathers results by pickles in the current folder
``engine/build_errors.py: _callee``                      reports no class; read from the local ``obj_cls`` of its frame
``engine/log_folder.py``                                 creates folders and log files before the config is checked
``engine/runner.py: VADRunner.build_param_scheduler``    counts batches, not optimizer steps
``engine/runner.py: VADRunner.resume``                   reads the file again, in ``load_checkpoint``
``engine/hooks/checkpoint_hook.py``                      removes the old checkpoint before it writes the new one
``engine/hooks/early_stopping_hook.py: before_run``      asserts a train loop that can be stopped, even in a test
``engine/hooks/log_scalars_hook.py``                     logs ``lr`` of the first group only, and ``base_lr``
``engine/hooks/param_scheduler_hook.py``                 steps schedules after every batch
``engine/loops/resumable_epoch_loop.py``                 resumes at the start of an epoch (``_epoch``, ``_max_iters``)
``engine/optim/amp_optim_wrapper.py``                    asserts that there is a GPU
``engine/optim/waiting_gradients.py``                    drops accumulated gradients (``_inner_count``)
``utils/config.py``                                      evaluates a base before its child (``_merge_a_into_b``)
======================================================== ==============================================================
"""

import logging
import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from mmengine.dist import broadcast
from torch import nn

from vadlab.checkpoints.checkpoint_io import history_from_plain
from vadlab.checkpoints.tensor_files import tensors_in
from vadlab.utils.errors import ConfigError

_FILE_ONLY = (
    '\n----',  # system environment
    'Config:\n',
    'Hooks will be executed',
    'Exp name:',
    'Distributed training is not used',
    '"FileClient" will be deprecated',
    '"HardDiskBackend" is the alias',
    '`torch.compile`',
)

_OF_SLURM = {'RANK': 'SLURM_PROCID', 'WORLD_SIZE': 'SLURM_NTASKS', 'LOCAL_RANK': 'SLURM_LOCALID'}


def is_for_terminal(record: logging.LogRecord) -> bool:
    """Filter of the terminal's log. MMEngine logs the whole environment, the config, and notes on its own code."""
    return not str(record.msg).startswith(_FILE_ONLY)


def check_launcher(launcher: str) -> None:
    """Check that the launcher has started this process.

    Raises:
        ConfigError: It has not; the message names the command that does.
    """
    names, command = {
        'pytorch': (_OF_SLURM, 'torchrun --nproc_per_node=2 -m vadlab train CONFIG --launcher pytorch'),
        'slurm': (_OF_SLURM.values(), 'srun python tools/train.py CONFIG --launcher slurm'),
    }.get(launcher, ((), ''))
    missing = [name for name in names if name not in os.environ]
    if missing:
        raise ConfigError(f'--launcher {launcher}: {missing[0]} is not set. Start the command by: {command}')


def start_cpu_processes(launcher: str) -> None:
    """Start the process group on CPUs. MMEngine's ``init_dist`` sets a GPU, whatever the backend.

    Raises:
        ConfigError: The launcher is neither ``pytorch`` nor ``slurm``, or Slurm does not name the nodes.
    """
    if launcher == 'slurm':
        _use_slurm_names()
    elif launcher != 'pytorch':
        raise ConfigError(f'--launcher {launcher} needs GPUs; on CPUs use torchrun and --launcher pytorch.')
    torch.distributed.init_process_group(backend='gloo')


def _use_slurm_names() -> None:
    """Set the environment variables of torch from those of Slurm, as MMEngine does beside its choice of a GPU."""
    os.environ |= {name: os.environ[of_slurm] for name, of_slurm in _OF_SLURM.items()}
    os.environ.setdefault('MASTER_PORT', '29500')
    if 'MASTER_ADDR' not in os.environ:
        nodes = os.environ.get('SLURM_NODELIST', '')
        try:
            listed = subprocess.run(
                ['scontrol', 'show', 'hostnames', nodes], capture_output=True, text=True, check=True
            )
            os.environ['MASTER_ADDR'] = listed.stdout.split()[0]
        except (OSError, subprocess.CalledProcessError, IndexError) as error:
            raise ConfigError(
                f'--launcher slurm: scontrol does not name the nodes of {nodes!r}. Set MASTER_ADDR to the first one.'
            ) from error


def cpu_wrapper_config(config: dict | None) -> dict:
    """The config of the distributed wrapper on CPUs. MMEngine's default names a GPU for each process."""
    default = {'type': 'MMDistributedDataParallel', 'broadcast_buffers': False}
    return {**default, **(config or {}), 'device_ids': None}


def broadcast_tensors(model: nn.Module) -> None:
    """Copy the first rank's state to all ranks. ``Runner._init_model_weights`` fails on state other than tensors."""
    for value in model.state_dict().values():
        if torch.is_tensor(value):
            broadcast(value)


def prepare_resume(checkpoint: dict[str, Any], metainfo: Any) -> None:
    """Change a checkpoint in place, so that ``Runner.resume`` can use it.

    * ``Runner.resume`` executes ``meta.config``, so it is removed.
    * The log's histories become objects again; files hold plain values only.
    * ``Runner.resume`` compares pickles of ``dataset_meta``, which may differ for equal values, so equal values become
      the same object.

    Args:
        checkpoint (dict): With ``meta`` and ``message_hub``.
        metainfo (Any): ``metainfo`` of the training data set.
    """
    meta, hub = checkpoint['meta'], checkpoint['message_hub']
    meta.pop('config', None)
    hub['log_scalars'] = {name: history_from_plain(history) for name, history in hub['log_scalars'].items()}
    saved = meta.get('dataset_meta')
    if next(tensors_in(saved), None) is None and saved == metainfo:
        meta['dataset_meta'] = metainfo


def forget_instances(*parts: Any) -> None:
    """Remove managers such as loggers. MMEngine stores them by name and second, and the next run would reuse them."""
    for part in parts:
        if part is not None:
            type(part)._instance_dict.pop(part.instance_name, None)


class DeferredRemovals:
    """File backend for ``CheckpointHook``, which removes old checkpoints before it writes the new one.

    It records the paths to remove and reports that they do not exist, so that the caller can remove them afterwards.

    Args:
        backend: The real file backend, used for everything else.
        note: Takes all paths so far, whenever one is added; the new checkpoint is not yet written then.
    """

    def __init__(self, backend: Any, note: Callable[[list[Path]], None]) -> None:
        self.backend, self.note = backend, note
        self.paths: list[Path] = []

    def isfile(self, path: str) -> bool:
        """Record a path to remove."""
        self.paths.append(Path(path))
        self.note(self.paths)
        return False

    def isdir(self, path: str) -> bool:
        """Always False, so that the hook does not remove a folder."""
        return False

    def __getattr__(self, name: str) -> Any:
        return getattr(self.backend, name)
