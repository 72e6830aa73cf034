"""Saving checkpoints."""

import contextlib
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from mmengine.hooks import CheckpointHook as MMCheckpointHook

from vadlab.registry import HOOKS
from vadlab.utils.errors import ConfigError
from vadlab.utils.suggest import nearest


class _LaterRemovals:
    """A file backend that notes what to remove instead of removing it."""

    def __init__(self, backend: Any) -> None:
        self.backend = backend
        self.paths: list[str] = []

    def remove(self, path: str) -> None:
        self.paths.append(path)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.backend, name)


@HOOKS.register_module()
class CheckpointHook(MMCheckpointHook):
    """MMEngine's hook, which removes old checkpoints only once the new one is on disk.

    MMEngine removes first; a disk that is full at that moment then costs the last good checkpoint.
    """

    def before_train(self, runner: Any) -> None:
        """Clear away what an interrupted save left behind, and look for the best checkpoint in this folder only."""
        super().before_train(runner)
        if self.save_best is not None:
            self._find_best_here(runner)
        for part in Path(self.out_dir).glob('.*.pth.part'):
            part.unlink(missing_ok=True)

    def _find_best_here(self, runner: Any) -> None:
        """The best checkpoint so far is removed for a better one: a resumed file may name no other file than ours."""

        def here(path: str | None) -> str | None:
            name = Path(path or '').name
            return os.path.join(self.out_dir, name) if name.startswith('best_') and name.endswith('.pth') else None

        if len(self.key_indicators) == 1:
            self.best_ckpt_path = here(self.best_ckpt_path)  # type: ignore[has-type]
            found = {'best_ckpt': self.best_ckpt_path}
        else:
            known: dict = self.best_ckpt_path_dict  # type: ignore[has-type]
            self.best_ckpt_path_dict = {name: here(path) for name, path in known.items()}
            found = {f'best_ckpt_{name}': path for name, path in self.best_ckpt_path_dict.items()}
        for key, path in found.items():
            if path is not None:
                runner.message_hub.update_info(key, path)

    def check_save_best(self, metrics: Iterable[str]) -> None:
        """Refuse a ``save_best`` that no metric of the validation is called.

        Raises:
            ConfigError: The message names the nearest metrics.
        """
        known = sorted(metrics)
        for name in self.key_indicators if self.save_best else []:
            if name != 'auto' and name not in known:
                raise ConfigError(
                    f'CheckpointHook: save_best={name!r} is no metric of the validation. {nearest(name, known)}'
                )

    def _save_checkpoint_with_step(self, runner: Any, step: int, meta: dict) -> None:
        with self._remove_afterwards():
            super()._save_checkpoint_with_step(runner, step, meta)

    def _save_best_checkpoint(self, runner: Any, metrics: dict) -> None:
        self.check_save_best(metrics)
        with self._remove_afterwards():
            super()._save_best_checkpoint(runner, metrics)

    @contextlib.contextmanager
    def _remove_afterwards(self) -> Iterator[None]:
        backend: Any = self.file_backend  # type: ignore[has-type]
        if isinstance(backend, _LaterRemovals):  # the best one is saved through the ordinary path
            yield
            return
        later = self.file_backend = _LaterRemovals(backend)
        try:
            yield
        finally:
            self.file_backend = later.backend
        for path in later.paths:
            if path not in (self.last_ckpt, getattr(self, 'best_ckpt_path', None)):
                self.file_backend.remove(path)
