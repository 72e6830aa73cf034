"""Save checkpoints."""

import contextlib
import os
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from mmengine.dist import is_main_process
from mmengine.hooks import CheckpointHook as MMCheckpointHook

from vadlab.checkpoints.checkpoint_io import write_pointer
from vadlab.registry import HOOKS
from vadlab.utils.errors import ConfigError
from vadlab.utils.suggest import nearest

from ..mmengine_compat import DeferredRemovals


@HOOKS.register_module()
class CheckpointHook(MMCheckpointHook):
    """MMEngine's hook, but old checkpoints are removed only after the new one is on disk.

    MMEngine removes them first; if the disk is full then, the last good checkpoint is lost. Paths in a resumed
    checkpoint refer to the work dir at the time of saving, so only their file names are used.
    """

    out_dir: str
    key_indicators: list[str]
    best_ckpt_path: str | None
    best_ckpt_path_dict: dict[str, str | None]

    def before_train(self, runner: Any) -> None:
        """Remove files of an interrupted save, and find the best checkpoint of a resumed run."""
        super().before_train(runner)
        if self.save_best is not None:
            self._reset_if_metric_changed(runner)
            self._find_best_checkpoint(runner)
        if is_main_process():  # the others may come here while the main process writes one of its files
            for part in Path(self.out_dir).glob('.*.part'):
                if self._is_of_training(part.name):  # a test or a calibration may write into the folder now
                    part.unlink(missing_ok=True)
        if not runner._resume:
            return
        if 'last_ckpt' in runner.message_hub.runtime_info:
            # If this is not None, MMEngine also writes a new best score to the checkpoint of its epoch.
            name = os.path.basename(runner.message_hub.get_info('last_ckpt'))
            self.last_ckpt = os.path.join(self.out_dir, name)
        # The run may have been killed between a save and the removal of what it replaced.
        for name in runner.message_hub.runtime_info.get('replaced_ckpts', ()) if is_main_process() else ():
            if re.fullmatch(_pattern(self.filename_tmpl), name):
                _remove(Path(self.out_dir, name), runner)
        if self.save_best is not None:
            single = len(self.key_indicators) == 1
            known = {self.key_indicators[0]: self.best_ckpt_path} if single else self.best_ckpt_path_dict
            for key, path in known.items():
                if path is not None:
                    self._remove_replaced(runner, key, Path(path))

    def _is_of_training(self, part: str) -> bool:
        """Whether a temporary file is one that only a training writes."""
        checkpoint = _pattern(self.filename_tmpl)
        return bool(re.fullmatch(rf'\.((best_.+_)?{checkpoint}|(run\.json|last_checkpoint)\.\d+)\.part', part))

    def _remove_replaced(self, runner: Any, key: str, best: Path) -> None:
        """Remove checkpoints that were replaced by the best one, in case the run was killed before their removal."""
        if not best.is_file():
            runner.logger.warning(f'The best checkpoint so far, {best.name}, is not in {self.out_dir}.')
        pattern = _pattern(f'best_{key}_{self.filename_tmpl}'.replace('/', '_'))
        step = runner.epoch if self.by_epoch else runner.iter
        for path in Path(self.out_dir).glob('best_*.pth') if best.is_file() and is_main_process() else ():
            found = re.fullmatch(pattern, path.name)
            if found and path != best and int(found[1]) <= step:
                _remove(path, runner)

    def _reset_if_metric_changed(self, runner: Any) -> None:
        """Start over where the resumed run chose by another metric: MMEngine keeps one best score, without a name."""
        key = self.key_indicators[0]
        if len(self.key_indicators) > 1 or self.best_ckpt_path is None or key == 'auto':
            return
        name = Path(self.best_ckpt_path).name
        found = re.fullmatch(r'best_(.+)_(?:epoch|iter)_\d+\.pth', name)
        if found and found[1] != key.replace('/', '_'):
            self.best_ckpt_path = None
            for part in ('best_ckpt', 'best_score'):
                runner.message_hub.runtime_info.pop(part, None)
            runner.logger.warning(f'{name} was chosen by another metric: the choice by {key} starts over.')

    def _find_best_checkpoint(self, runner: Any) -> None:
        """Find the best checkpoint in the work dir. It is removed later, so paths in a resumed file are not used."""

        def in_work_dir(path: str | None) -> str | None:
            name = Path(path or '').name
            return os.path.join(self.out_dir, name) if name.startswith('best_') and name.endswith('.pth') else None

        if len(self.key_indicators) == 1:
            self.best_ckpt_path = in_work_dir(self.best_ckpt_path)
            found = {'best_ckpt': self.best_ckpt_path}
        else:
            self.best_ckpt_path_dict = {name: in_work_dir(path) for name, path in self.best_ckpt_path_dict.items()}
            found = {f'best_ckpt_{name}': path for name, path in self.best_ckpt_path_dict.items()}
        for key, path in found.items():
            if path is not None:
                runner.message_hub.update_info(key, path)

    def check_metrics(self, metrics: Iterable[str]) -> None:
        """Check that ``save_best`` is a metric of the validation. The sanity check calls this before training.

        Raises:
            ConfigError: The message names the nearest metrics.
        """
        known = sorted(metrics)
        for name in self.key_indicators if self.save_best else []:
            if name != 'auto' and name not in known:
                raise ConfigError(
                    f'CheckpointHook: save_best={name!r} is not a metric of the validation. {nearest(name, known)}'
                )

    def _save_checkpoint_with_step(self, runner: Any, step: int, meta: dict) -> None:
        with self._remove_afterwards(runner):
            super()._save_checkpoint_with_step(runner, step, meta)
            if is_main_process():
                write_pointer(runner.work_dir, self.last_ckpt)

    def _save_best_checkpoint(self, runner: Any, metrics: dict) -> None:
        self.check_metrics(metrics)
        for metric in runner.val_evaluator.metrics:
            for key in self.key_indicators if self.save_best else []:
                if why := getattr(metric, 'meaningless', {}).get(key):
                    runner.logger.warning(
                        f'save_best: {key} = {metrics[key]:.4f} does not measure the model ({why}). The checkpoint '
                        'that it selects as the best is no better than another.'
                    )
        with self._remove_afterwards(runner):
            super()._save_best_checkpoint(runner, metrics)

    @contextlib.contextmanager
    def _remove_afterwards(self, runner: Any) -> Iterator[None]:
        backend: Any = self.file_backend  # type: ignore[has-type]
        if isinstance(backend, DeferredRemovals):  # _save_best_checkpoint calls _save_checkpoint_with_step
            yield
            return

        def note(replaced: list[Path]) -> None:  # in the checkpoint that is saved next
            runner.message_hub.update_info('replaced_ckpts', [path.name for path in replaced])

        note([])
        later = self.file_backend = DeferredRemovals(backend, note)
        try:
            yield
        finally:
            self.file_backend = later.backend
        kept = {Path(p) for p in (self.last_ckpt, getattr(self, 'best_ckpt_path', None)) if p}
        for path in later.paths if is_main_process() else ():
            if path not in kept:
                _remove(path, runner)


def _pattern(template: str) -> str:
    """The names that a template of a checkpoint's name gives; the step is the group."""
    return re.escape(template).replace(r'\{\}', r'(\d+)')


def _remove(path: Path, runner: Any) -> None:
    if not path.is_file():
        return
    try:
        path.unlink()
    except OSError as error:
        runner.logger.warning(f'The earlier checkpoint {path} could not be removed ({error.strerror}).')
        return
    if path.name.startswith('best_'):
        runner.logger.info(f'The previous best checkpoint {path} is removed')
