"""VADLab's runner: MMEngine's Runner with exact resuming, safe checkpoints and clear errors."""

import hashlib
import logging
import os
import time
from collections.abc import Callable, Iterator, Sized
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import mmengine
import torch
from mmengine.config import Config
from mmengine.dataset import BaseDataset
from mmengine.dist import all_gather_object, get_rank, get_world_size, is_distributed, is_main_process
from mmengine.hooks import EMAHook
from mmengine.logging import MMLogger
from mmengine.model import is_model_wrapper
from mmengine.optim import OptimWrapper
from mmengine.registry import RUNNERS
from mmengine.runner import BaseLoop, Runner
from torch import nn
from torch.utils.data import DataLoader

import vadlab
from vadlab.checkpoints.checkpoint_io import (
    in_our_names,
    latest_checkpoint,
    load_weights,
    read_checkpoint,
    to_plain,
    write_checkpoint,
)
from vadlab.checkpoints.quantization import prepare_quantized
from vadlab.checkpoints.saved_config import read_saved_config
from vadlab.checkpoints.tensor_files import forbid_unsafe_loading
from vadlab.checkpoints.training_state import check_optimizer_state, check_same_kind, check_training_state
from vadlab.datasets.sample_seeds import SeededSamples
from vadlab.datasets.samplers.resumable_batch_sampler import ResumableBatchSampler
from vadlab.models.layers.weights_cache import steady_weights
from vadlab.utils.config import config_differences, runner_config
from vadlab.utils.config_check import check_config
from vadlab.utils.errors import CheckpointError, ConfigError, MissingFileError
from vadlab.utils.loader_workers import exit_if_batches_cannot_be_sent

from .build_errors import config_mistakes
from .log_folder import LogFolder, new_log_name
from .loops.resumable_epoch_loop import ResumableEpochLoop
from .mmengine_compat import (
    broadcast_tensors,
    check_launcher,
    cpu_wrapper_config,
    is_for_terminal,
    prepare_resume,
    start_cpu_processes,
)
from .random_state import capture_random_state, check_random_state
from .sanity_check import sanity_check
from .work_dir_lock import WorkDirLock


@RUNNERS.register_module()
class VADRunner(Runner):
    """Runs one experiment from its config.

    It adds to MMEngine's Runner:

    * Checkpoints contain only tensors and plain values, are written completely or not at all, must fit the model
      exactly, and include the config. Resuming with a changed model is an error that lists the differences.
    * Resuming restores the random generators, accumulated gradients and the position inside an epoch: a resumed run
      equals an uninterrupted run, bit for bit.
    * Schedules count optimizer steps, with and without gradient accumulation.
    * User errors in the config end with one message; long listings go to the log file, not to the terminal.
    """

    @classmethod
    def from_cfg(cls, cfg: Config) -> 'VADRunner':
        """Build a runner from a config of :func:`~vadlab.utils.config.load_config`.

        Raises:
            ConfigError: A setting of the config cannot be used.
        """
        forbid_unsafe_loading()
        config = runner_config(cfg)
        check_config(config._cfg_dict.to_dict(), cfg.filename or 'config')
        return super().from_cfg(config)  # type: ignore[return-value]

    def __init__(self, model: nn.Module | dict, work_dir: str, **options: Any) -> None:
        config = options.get('cfg') or {}
        name = os.path.basename(getattr(config, 'filename', None) or 'config.py')
        self._log_folder = LogFolder(work_dir, name)
        self._lock = WorkDirLock(work_dir)
        self._begun = False
        self._list_digest: str | None = None
        with self._clean_up_on_user_error():
            super().__init__(model, work_dir, **options)

    @contextmanager
    def _clean_up_on_user_error(self) -> Iterator[None]:
        """Remove the log and the work dir if a user error occurs before the first step."""
        try:
            with config_mistakes():
                yield
        except BaseException as error:
            if not self._begun:
                self._lock.release()
                if isinstance(error, ConfigError | CheckpointError | MissingFileError):
                    self._log_folder.remove(self)
            raise

    # MMEngine's constructor sets these; declared for mypy.
    _experiment_name: str
    _timestamp: str
    _train_loop: Any
    _load_from: str | None
    _resume: bool
    optim_wrapper: Any
    param_schedulers: Any

    # ---- building -------------------------------------------------------------------------------------------------

    @staticmethod
    def build_dataloader(
        dataloader: DataLoader | dict, seed: int | None = None, diff_rank_seed: bool = False
    ) -> DataLoader:
        """Like MMEngine's, with batches that can start inside an epoch, and one seed per sample."""
        if isinstance(dataloader, DataLoader):
            return dataloader
        config = dict(dataloader)
        sampler = config.get('sampler') or {}
        # InfiniteSampler has its own way to skip samples.
        if 'batch_sampler' not in config and 'batch_size' in config and sampler.get('type') != 'InfiniteSampler':
            config['batch_sampler'] = {'type': ResumableBatchSampler, 'drop_last': config.pop('drop_last', False)}
        config.setdefault('worker_init_fn', {'type': exit_if_batches_cannot_be_sent})
        config.setdefault('pin_memory', torch.cuda.is_available())
        with config_mistakes():
            loader = Runner.build_dataloader(config, seed, diff_rank_seed)
        samples = len(loader.dataset)
        if samples and isinstance(loader.batch_sampler, Sized) and len(loader.batch_sampler) == 0:
            raise ConfigError(  # else an epoch of no step, and 'Training finished'
                f'A data loader of {samples} samples has no batch: batch_size='
                f'{getattr(loader.batch_sampler, "batch_size", loader.batch_size)} with drop_last=True. Lower '
                'batch_size, or leave drop_last out.'
            )
        # torch's fetcher calls __getitems__, in this process or in a worker. The loader draws a base seed, which has no
        # effect here. Its own generator keeps this draw from changing the global generator, which a model may use.
        loader.dataset.__getitems__ = SeededSamples(loader.dataset)
        loader.generator = torch.Generator()
        loader.generator.manual_seed(7919 * get_rank() + (torch.initial_seed() if seed is None else seed))
        return loader

    def wrap_model(self, model_wrapper_cfg: dict | None, model: nn.Module) -> nn.Module:
        """Like MMEngine's, but without device ids on a CPU (MMEngine always sets one GPU per process)."""
        if self.distributed and not torch.cuda.is_available():
            model_wrapper_cfg = cpu_wrapper_config(model_wrapper_cfg)
        return super().wrap_model(model_wrapper_cfg, model)

    def build_train_loop(self, loop: BaseLoop | dict) -> BaseLoop:
        """Like MMEngine's; training by epochs can be resumed inside an epoch."""
        if isinstance(loop, dict) and loop.get('by_epoch'):
            loop = {'type': ResumableEpochLoop, **{k: v for k, v in loop.items() if k != 'by_epoch'}}
        built = super().build_train_loop(loop)
        built.run = steady_weights(learning=True)(built.run)
        return built

    def build_val_loop(self, loop: BaseLoop | dict) -> BaseLoop:
        """Like MMEngine's; results that depend only on weights are computed once per validation."""
        built = super().build_val_loop(loop)
        built.run = steady_weights()(built.run)
        return built

    def build_test_loop(self, loop: BaseLoop | dict) -> BaseLoop:
        """Like MMEngine's; results that depend only on weights are computed once per test."""
        built = super().build_test_loop(loop)
        built.run = steady_weights()(built.run)
        return built

    @property
    def max_steps(self) -> int:
        """Optimizer steps in the whole run."""
        wrapper = self.optim_wrapper
        if isinstance(wrapper, OptimWrapper):
            accumulated = wrapper._accumulative_counts
        else:
            accumulated = (wrapper or {}).get('accumulative_counts', 1)
        return -(-self.max_iters // accumulated)  # the remaining batches at the end make one more step

    def build_param_scheduler(self, scheduler: Any) -> Any:
        """Like MMEngine's; a scheduler with ``by_epoch=False`` ends with the last optimizer step by default."""
        single = isinstance(scheduler, dict) and 'type' in scheduler
        for config in [scheduler] if single else scheduler if isinstance(scheduler, (list, tuple)) else []:
            if not isinstance(config, dict):
                continue
            if config.get('convert_to_iter_based'):
                raise ConfigError(
                    f'{config.get("type")}: convert_to_iter_based counts batches. Use by_epoch=False and set begin '
                    'and end in optimizer steps.'
                )
            if config.get('type') == 'WarmupCosineLR':
                config.setdefault('by_epoch', False)
            if not config.get('by_epoch', True):
                config.setdefault('end', self.max_steps)
        return super().build_param_scheduler(scheduler)

    # ---- running --------------------------------------------------------------------------------------------------

    def train(self) -> nn.Module:
        """Train.

        Raises:
            ConfigError: The config contains an unknown component or option, or another process uses the work dir.
        """
        if is_main_process():
            self._lock.acquire()
        try:
            with self._clean_up_on_user_error():
                return super().train()
        finally:
            self._lock.release()

    def call_hook(self, fn_name: str, **kwargs: Any) -> None:
        """Like MMEngine's; the first batch marks the run as begun: everything is built and the sanity check passed."""
        self._begun = self._begun or fn_name in ('before_train_iter', 'before_val_iter', 'before_test_iter')
        super().call_hook(fn_name, **kwargs)

    def init_weights(self) -> None:
        """Initialise the model as its config says, for a test without a checkpoint."""
        with self._clean_up_on_user_error():
            self.bare_model.init_weights()

    def test(self) -> dict:
        """Test, and return the metrics by name."""
        with self._clean_up_on_user_error():
            return super().test()

    def dry_run(self) -> dict[str, float]:
        """Build everything, then run one batch of each loader through loss, gradients and evaluation.

        Returns:
            dict[str, float]: The loss terms and the metrics of that batch.
        """
        with config_mistakes():
            self._train_loop = self.build_train_loop(self._train_loop)
            self.optim_wrapper = self.build_optim_wrapper(self.optim_wrapper)
            if self.param_schedulers is not None:
                self.param_schedulers = self.build_param_scheduler(self.param_schedulers)
            self._init_model_weights()
            self.load_or_resume()
            for hook in self.hooks:
                if isinstance(hook, EMAHook):
                    hook.before_run(self)  # builds the averaged model
                    hook.before_train(self)
            return sanity_check(self, backward=True)

    def setup_env(self, env_cfg: dict) -> None:
        """Like MMEngine's; ``tf32`` in ``env_cfg`` allows TF32 for float32 products on a GPU (default: True)."""
        if self.distributed and not is_distributed():
            check_launcher(self.launcher)
            if not torch.cuda.is_available():
                start_cpu_processes(self.launcher)
        super().setup_env(env_cfg)
        if self._train_loop is not None and is_main_process():
            self._lock.acquire()  # before any file is written
        self._timestamp = new_log_name(self.work_dir, self._timestamp)
        self._log_dir = os.path.join(self.work_dir, self._timestamp)
        if torch.cuda.is_available():
            torch.set_float32_matmul_precision('high' if env_cfg.get('tf32', True) else 'highest')

    def _init_model_weights(self) -> None:
        # A checkpoint to resume from contains all weights, so the pre-trained weights are not needed.
        if self._resume or not hasattr(self.bare_model, 'init_weights'):
            return
        self.bare_model.init_weights()
        broadcast_tensors(self.bare_model)

    def load_or_resume(self) -> None:
        """Like MMEngine's; a model that fine-tunes a trained one requires ``load_from``.

        Raises:
            ConfigError: The model requires ``load_from``, and it is not set; or processes found other checkpoints.
        """
        if self._resume and self._load_from is None:
            found = latest_checkpoint(self.work_dir)
            self._load_from, self._resume = (str(found), True) if found else (None, False)
        chosen = [Path(path).name if path else 'none' for path in all_gather_object(self._load_from)]
        if len(set(chosen)) > 1:
            raise ConfigError(
                f'The processes would start from different checkpoints: {", ".join(chosen)}. All machines need '
                'the same work dir: a shared folder, or copies with the same files.'
            )
        refines = getattr(self.bare_model, 'needs_load_from', False)
        if self._train_loop is not None and refines and not (self._load_from or self._resume):
            raise ConfigError(
                f'{type(self.bare_model).__name__} continues from a trained model: set load_from to its checkpoint '
                '(--cfg-options load_from=FILE).'
            )
        super().load_or_resume()

    def dump_config(self) -> None:
        """Save the config in the work dir. A test saves it in its log folder, to keep the config of the training."""
        if self._train_loop is not None:
            super().dump_config()
        elif self.rank == 0:
            self.cfg.dump(os.path.join(self._log_dir, os.path.basename(self.cfg.filename or 'config.py')))

    # ---- checkpoints ----------------------------------------------------------------------------------------------

    @property
    def bare_model(self) -> nn.Module:
        """The model without its distributed wrapper."""
        return self.model.module if is_model_wrapper(self.model) else self.model

    def load_checkpoint(
        self,
        filename: str,
        map_location: str | Callable = 'cpu',
        strict: bool = True,
        revise_keys: list | None = None,
    ) -> dict:
        """Load weights; they must fit the model exactly.

        Checkpoints of a method's authors can be loaded, too, if the model's ``from_public`` reads their layout.

        Raises:
            MissingFileError: There is no such file.
            CheckpointError: The file contains code, is damaged, belongs to another model, or has an unknown layout.
        """
        # Parameters of MMEngine's signature; weights are never loaded partially.
        del map_location, strict, revise_keys
        checkpoint = read_checkpoint(filename)
        checkpoint['state_dict'] = in_our_names(self.bare_model, checkpoint['state_dict'], str(filename))
        self.call_hook('after_load_checkpoint', checkpoint=checkpoint)
        self._load_weights(checkpoint, filename)
        self._has_loaded = True
        self.logger.info(f'Loaded weights from {filename}')
        return checkpoint

    def resume(
        self,
        filename: str,
        resume_optimizer: bool = True,
        resume_param_scheduler: bool = True,
        map_location: str | Callable = 'cpu',
    ) -> None:
        """Continue the run that saved ``filename``.

        Raises:
            ConfigError: The config of the model differs from the saved one; the message lists the differences.
            CheckpointError: The file contains only weights, or state that does not fit the run.
        """
        checkpoint = read_checkpoint(filename)
        missing = [k for k in ('meta', 'optimizer', 'message_hub') if k not in checkpoint]
        if missing:
            raise CheckpointError(
                f'{filename} cannot be resumed from: it has no {", ".join(missing)} (a "best" checkpoint contains only '
                'weights). Resume from an epoch_*.pth or iter_*.pth, or start a new run from it with load_from.'
            )
        lines = self._check_same_config(checkpoint, filename)
        self._check_parts(checkpoint, filename)
        self._check_average(checkpoint, filename)
        lines += self._data_differences(checkpoint, filename)
        if lines:
            listing = '\n  '.join(lines)
            self.logger.warning(f'Resuming {filename} with other settings (saved -> now):\n  {listing}')
        prepare_resume(checkpoint, getattr(self.train_dataloader.dataset, 'metainfo', None))
        resume_param_scheduler = resume_param_scheduler and self.param_schedulers is not None
        planned = [scheduler.end for scheduler in self._schedulers]
        # MMEngine reads the file by load_checkpoint; here it gets what was read above.
        self.load_checkpoint, original = self._load_read(checkpoint, filename), self.load_checkpoint  # type: ignore
        try:
            super().resume(filename, resume_optimizer, resume_param_scheduler, map_location)
        finally:
            self.load_checkpoint = original  # type: ignore[method-assign]
        if isinstance(self.train_loop, ResumableEpochLoop):
            self._resume_loop(self.train_loop, checkpoint, filename)
            if self.epoch >= self.max_epochs:
                self.logger.warning(
                    f'{filename} has {self.epoch} epochs, max_epochs is {self.max_epochs}: nothing is left to train.'
                )
        self._warn_schedules(planned)

    def _resume_loop(self, loop: ResumableEpochLoop, checkpoint: dict, filename: str) -> None:
        place = _epoch_position(checkpoint, filename, len(loop.dataloader))
        done, batches = place['batches_done'], place['batches']
        sampler = loop.dataloader.batch_sampler
        if 0 < done < batches and not isinstance(sampler, ResumableBatchSampler):
            raise ConfigError(
                f'{filename} was saved inside an epoch, after {done} of {batches} batches, and '
                f'{type(sampler).__name__} can only start at the beginning of one. Resume from an epoch_*.pth.'
            )
        if isinstance(sampler, ResumableBatchSampler) and hasattr(sampler.sampler, 'seed'):
            sampler.sampler.seed = self.seed  # the saved seed if the config does not set one
        # A complete epoch stays complete if the number of batches per epoch has changed.
        loop.resume_at(len(loop.dataloader) if done == batches else done, place['validated'])
        states = checkpoint.get('random_states')
        if isinstance(states, list) and len(states) == get_world_size():
            check_random_state(states[self.rank], filename)
            loop.random_state = states[self.rank]
        else:
            loop.random_state = checkpoint.get('random_state')

    @property
    def _schedulers(self) -> list[Any]:
        return self.param_schedulers if isinstance(self.param_schedulers, list) else []

    def _warn_schedules(self, planned: list[int]) -> None:
        """Warn if a schedule, which keeps its saved length, does not fit the length of the resumed run."""
        for scheduler, end in zip(self._schedulers, planned, strict=True):
            total, unit = (self.max_epochs, 'epochs') if scheduler.by_epoch else (self.max_steps, 'steps')
            if end == scheduler.end and (scheduler.by_epoch or end == total):
                continue
            rest = (
                f'its last {total - scheduler.end} {unit} use the final rate of the schedule'
                if total > scheduler.end
                else f'it ends {scheduler.end - total} {unit} before the schedule'
            )
            self.logger.warning(
                f'{type(scheduler).__name__} keeps its original length, {scheduler.end} {unit}. This '
                f'run has {total}: {rest}. For a schedule of the new length, start a new run with load_from.'
            )

    def _check_parts(self, checkpoint: dict, filename: str) -> None:
        """Compare the saved training state with the built components, before any of it is used."""
        check_training_state(checkpoint, filename)
        if isinstance(self.optim_wrapper, OptimWrapper):
            saved, own = checkpoint['optimizer'], self.optim_wrapper.state_dict()
            check_optimizer_state(saved, self.optim_wrapper.optimizer, filename)
            for key in saved.keys() & own.keys() - {'state', 'param_groups'}:
                check_same_kind(saved[key], own[key], f'optimizer.{key}', filename)
        if 'param_schedulers' in checkpoint and isinstance(self.param_schedulers, list):
            own = to_plain([scheduler.state_dict() for scheduler in self.param_schedulers])
            check_same_kind(checkpoint['param_schedulers'], own, 'param_schedulers', filename)
        if 'random_state' in checkpoint:
            check_random_state(checkpoint['random_state'], filename)

    def _check_average(self, checkpoint: dict, filename: str) -> None:
        """Check that the checkpoint and the run agree on an EMAHook; averaged weights are not the trained ones."""
        averaged = 'ema_state_dict' in checkpoint
        hook = next((hook for hook in self.hooks if isinstance(hook, EMAHook)), None)
        if averaged and hook is not None:  # MMEngine's hook ignores missing keys
            check_same_kind(
                checkpoint['ema_state_dict'], own := hook.ema_model.state_dict(), 'ema_state_dict', filename
            )
            if missing := own.keys() - checkpoint['ema_state_dict'].keys():
                raise CheckpointError(f'{filename} cannot be resumed from: its ema_state_dict has no {min(missing)}.')
        if averaged == (hook is not None):
            return
        if not averaged:
            self.logger.warning(f'{filename} was saved without an EMAHook: its average starts with these weights.')
        elif not self.cfg.get('allow_config_change'):
            raise ConfigError(
                f'{filename} was trained with an EMAHook, and the config has none in custom_hooks: training would go '
                'on from the averaged weights. Resume with the hook, or accept the change by '
                '--cfg-options allow_config_change=True.'
            )

    def _load_read(self, checkpoint: dict, filename: str) -> Callable:
        def load(*args: Any, **kwargs: Any) -> dict:
            self.call_hook('after_load_checkpoint', checkpoint=checkpoint)
            self._load_weights(checkpoint, filename)
            return checkpoint

        return load

    def _load_weights(self, checkpoint: dict, filename: str) -> None:
        trained = isinstance(self.optim_wrapper, OptimWrapper)
        before = list(self.bare_model.parameters())  # keep references, so no new parameter gets the id of an old one
        if 'quantization' in checkpoint:
            if trained:
                raise CheckpointError(f'{filename} was made by tools/quantize.py for inference; it cannot be trained.')
            prepare_quantized(self.bare_model, checkpoint, str(filename))
        load_weights(self.bare_model, checkpoint['state_dict'], str(filename))
        if trained and {id(p) for p in self.bare_model.parameters()} - {id(p) for p in before}:
            # Loading may replace modules of the model, but the optimizer still has the old parameters.
            raise CheckpointError(
                f'{filename} was trained with other components than this config builds here (listed above, with the '
                'reason). To continue training it, change the config so that it builds the same components.'
            )

    def _check_same_config(self, checkpoint: dict, filename: str) -> list[str]:
        """Differences of the config with which a run may continue, as ``key: saved -> now``.

        Raises:
            ConfigError: The model or its optimizer differ, and ``allow_config_change`` is not set.
        """
        saved = checkpoint['meta'].get('cfg')
        if not saved:
            return []
        old = read_saved_config(saved, str(filename))
        errors, warnings = (
            [
                line
                for line in config_differences({k: old.get(k) for k in keys}, {k: self.cfg.get(k) for k in keys})
                if line.split(':')[0].rpartition('.')[2] not in _WITHOUT_EFFECT
            ]
            for keys in (_FIXED, _REPORTED)
        )
        if not errors or self.cfg.get('allow_config_change'):
            return errors + warnings
        listing = '\n  '.join(errors)
        raise ConfigError(
            f'{filename} was saved with another config (saved -> now):\n  {listing}\n'
            'Resume with the config it was trained with, or accept the change with '
            '--cfg-options allow_config_change=True.'
        )

    def _data_differences(self, checkpoint: dict, filename: str) -> list[str]:
        """Differences that change the order of batches or the schedules, as ``key: saved -> now``.

        Raises:
            ConfigError: The seed differs, or the run cannot continue inside the epoch.
        """
        meta = checkpoint['meta']
        lines = config_differences(meta.get('data') or {}, self._data_settings()) if meta.get('data') else []
        seed, configured = meta.get('seed'), self._randomness_cfg.get('seed')
        if None not in (seed, configured) and seed != configured:
            if not self.cfg.get('allow_config_change'):
                raise ConfigError(
                    f'{filename} was trained with seed {seed}, the config has {configured}. Resume with '
                    f'--seed {seed}, or accept the change with --cfg-options allow_config_change=True.'
                )
            meta['seed'] = configured
            lines.append(f'seed: {seed} -> {configured}')
        place = _epoch_position(checkpoint, filename, len(self.train_dataloader))
        if place['batches'] != len(self.train_dataloader):
            lines.append(f'batches per epoch: {place["batches"]} -> {len(self.train_dataloader)}')
        if lines and 0 < place['batches_done'] < place['batches']:
            listing = '\n  '.join(lines)
            raise ConfigError(
                f'{filename} was saved inside epoch {meta["epoch"] + 1}, after {place["batches_done"]} of '
                f'{place["batches"]} batches. The rest of that epoch cannot be trained, because its batches would be '
                f'different (saved -> now):\n  {listing}\n'
                'Resume with the settings it was trained with, or from a checkpoint saved at the end of an epoch.'
            )
        return lines

    def _data_settings(self) -> dict[str, Any]:
        """Settings, apart from the seed, that determine the samples of each batch."""
        loader = self.train_dataloader
        if self._list_digest is None:
            self._list_digest = list_digest(loader.dataset)
        return {
            'batch_size': getattr(loader.batch_sampler, 'batch_size', loader.batch_size),
            'processes': self.world_size,
            'training samples': len(loader.dataset),
            'list of training samples': self._list_digest,
        }

    def save_checkpoint(
        self,
        out_dir: str,
        filename: str,
        file_client_args: dict | None = None,
        save_optimizer: bool = True,
        save_param_scheduler: bool = True,
        meta: dict | None = None,
        by_epoch: bool = True,
        backend_args: dict | None = None,
    ) -> None:
        """Save the weights and the training state. Every process must call it; rank 0 writes the file.

        Args:
            out_dir (str): Folder.
            filename (str): File name in ``out_dir``.
            file_client_args (dict | None): Not supported; must be None.
            save_optimizer (bool): Save the optimizer's state.
            save_param_scheduler (bool): Save the schedulers' states.
            meta (dict | None): Additional entries of ``meta``, besides config, seed and versions.
            by_epoch (bool): True at the end of an epoch, False after an iteration.
            backend_args (dict | None): Not supported; must be None.

        Raises:
            CheckpointError: The file cannot be written; earlier files are unchanged.
        """
        if file_client_args or backend_args:
            raise ConfigError('Checkpoints are written to local folders: remove file_client_args and backend_args.')
        meta = dict(meta or {})
        meta.setdefault('epoch', self.epoch + 1 if by_epoch else self.epoch)
        meta.setdefault('iter', self.iter if by_epoch else self.iter + 1)
        meta.update(
            cfg=self.cfg.pretty_text,
            seed=self.seed,
            experiment_name=self.experiment_name,
            time=time.strftime('%Y%m%d_%H%M%S'),
            versions={'vadlab': vadlab.__version__, 'torch': torch.__version__, 'mmengine': mmengine.__version__},
        )
        if isinstance(self.train_loop, ResumableEpochLoop):
            meta['place'] = {
                'batches_done': self.train_loop.batches_done,
                'batches': len(self.train_dataloader),
                'validated': self.train_loop.validated_epoch >= meta['epoch'],
            }
            meta['data'] = self._data_settings()
        if hasattr(self.train_dataloader.dataset, 'metainfo'):
            meta['dataset_meta'] = self.train_dataloader.dataset.metainfo
        checkpoint: dict[str, Any] = {
            'meta': meta,
            'state_dict': self.bare_model.state_dict(),
            'message_hub': self.message_hub.state_dict(),
        }
        if save_optimizer:
            checkpoint['optimizer'] = self.optim_wrapper.state_dict()
            states = all_gather_object(capture_random_state())
            checkpoint['random_state'] = states[0]
            if len(states) > 1:
                checkpoint['random_states'] = states
        if save_param_scheduler and self.param_schedulers is not None:
            checkpoint['param_schedulers'] = [s.state_dict() for s in self.param_schedulers]
        if not is_main_process():
            return
        self.call_hook('before_save_checkpoint', checkpoint=checkpoint)
        write_checkpoint(checkpoint, os.path.join(out_dir, filename))

    # ---- the log --------------------------------------------------------------------------------------------------

    def build_logger(self, log_level: int | str = 'INFO', log_file: str | None = None, **kwargs: Any) -> MMLogger:
        """Like MMEngine's; long listings and notes without use for the user go only to the log file.

        MMEngine names a run by config and second, and shares logs by that name: a second run of the same second would
        write into the first one's log file. Such a run gets a number.
        """
        name, number = self._experiment_name, 1
        while MMLogger.check_instance_created(self._experiment_name):
            number += 1
            self._experiment_name = f'{name}_{number}'
        logger = super().build_logger(log_level, log_file, **kwargs)
        for handler in logger.handlers:
            if not isinstance(handler, logging.FileHandler):
                handler.addFilter(is_for_terminal)
        logger.info(f'Work dir: {self.work_dir}   log: {Path(self._log_dir) / (self.timestamp + ".log")}')
        return logger


#: Parts of the config that must be the same in a resumed run, and parts whose changes are a warning.
_FIXED = ('model', 'optim_wrapper')
_REPORTED = ('param_scheduler', 'train_dataloader', 'val_dataloader', 'val_evaluator')
#: Options of loaders that do not change results, and those that :meth:`VADRunner._data_settings` compares.
_WITHOUT_EFFECT = {'num_workers', 'persistent_workers', 'prefetch_factor', 'pin_memory', 'batch_size'}


def _epoch_position(checkpoint: dict, filename: str, batches: int) -> dict[str, Any]:
    """Position in the epoch of a checkpoint: ``batches_done`` of ``batches``, and ``validated``.

    Raises:
        ConfigError: The file does not contain it, and its iteration does not fit an epoch of ``batches`` batches.
    """
    meta = checkpoint['meta']
    if 'place' in meta:
        return _checked_position(meta['place'], filename)
    done = 0 if Path(filename).name.startswith('epoch_') else meta['iter'] - meta['epoch'] * batches
    if not 0 <= done <= batches:
        raise ConfigError(
            f'{filename} was saved after {meta["iter"]} iterations, in epoch {meta["epoch"] + 1}, which does not fit '
            f'the {batches} batches that an epoch has now. Resume with the batch_size, the list of videos and the '
            'number of processes that it was trained with.'
        )
    return {'batches_done': done, 'batches': batches, 'validated': False}


def _checked_position(place: Any, filename: str) -> dict[str, Any]:
    kinds = {'batches_done': int, 'batches': int, 'validated': bool}
    fits = isinstance(place, dict) and all(type(place.get(key)) is kind for key, kind in kinds.items())
    if not fits or not 0 <= place['batches_done'] <= place['batches']:
        raise CheckpointError(
            f'{filename} cannot be resumed from: meta.place is damaged. Use an earlier checkpoint, or start a new run '
            'from its weights with --cfg-options load_from=FILE.'
        )
    return place


def list_digest(dataset: Any) -> str:
    """A short digest of a data set's sample ids in their order; empty for data sets without ids."""
    if not isinstance(dataset, BaseDataset):
        return ''
    digest = hashlib.sha256()
    for i in range(len(dataset)):
        sample = dataset.get_data_info(i)
        found = next((sample[key] for key in ('video_id', 'clip_id', 'image_id') if key in sample), '')
        digest.update(f'{found}\n'.encode(errors='surrogateescape'))
    return digest.hexdigest()[:12]
