"""Log diagnostics of a contrastive model during training."""

from typing import Any

import torch
from mmengine.hooks import Hook

from vadlab.registry import HOOKS


@HOOKS.register_module()
class DiagnosticsHook(Hook):
    """Logs diagnostics besides the loss. Off by default; switch on by ``--cfg-options diagnostics=True``.

    Every ``interval`` iterations it logs as ``diag/...``: the values of the model's ``diagnostics()`` (norms of
    embeddings and the share near zero, logits of positives and negatives, fill and pointer of the queue), and the
    gradient norm of each projection and temperature. A warning lists projections without a gradient.

    Args:
        interval (int): Iterations between reports.
    """

    priority = 'NORMAL'

    def __init__(self, interval: int = 50) -> None:
        self.interval = interval
        self._grads: dict[str, float] = {}
        self._handles: list[Any] = []

    def before_train(self, runner: Any) -> None:
        """Register gradient hooks, since the gradients are cleared after the step."""
        self._grads = {}
        for name, parameter in runner.bare_model.named_parameters():
            if parameter.requires_grad and ('projection' in name or 'logit_scale' in name):
                handle = parameter.register_post_accumulate_grad_hook(self._note(name))
                self._handles.append(handle)
                self._grads[name] = 0.0

    def _note(self, name: str) -> Any:
        def note(parameter: torch.Tensor) -> None:
            if self._collecting and parameter.grad is not None:
                self._grads[name] = parameter.grad.norm().item()

        return note

    _collecting = False

    def before_train_iter(self, runner: Any, batch_idx: int, data_batch: Any = None) -> None:
        """Collect gradient norms only in reported iterations, since reading a norm waits for the device."""
        self._collecting = self._is_due(runner)
        if self._collecting:
            self._grads = dict.fromkeys(self._grads, 0.0)
            for module in runner.bare_model.modules():
                if hasattr(module, 'collect_diagnostics'):
                    module.collect_diagnostics = True

    def after_train_iter(self, runner: Any, batch_idx: int, data_batch: Any = None, outputs: Any = None) -> None:
        """Log the collected diagnostics."""
        if not self._collecting:
            return
        found: dict[str, float] = {f'grad/{k}': v for k, v in self._grads.items()}
        if hasattr(runner.bare_model, 'diagnostics'):
            found.update({k: float(v) for k, v in runner.bare_model.diagnostics().items()})
        for key, value in found.items():
            runner.message_hub.update_scalar(f'train/diag/{key}', value)
        runner.logger.info('Diagnostics: ' + '  '.join(f'{k}: {v:.4g}' for k, v in sorted(found.items())))
        without = [k for k, v in self._grads.items() if v == 0]
        if without:
            runner.logger.warning(
                f'Diagnostics: no gradient reached {", ".join(without)} in iteration {runner.iter + 1}.'
            )
        for module in runner.bare_model.modules():
            if hasattr(module, 'collect_diagnostics'):
                module.collect_diagnostics = False

    def after_train(self, runner: Any) -> None:
        """Remove the gradient hooks."""
        for handle in self._handles:
            handle.remove()

    def _is_due(self, runner: Any) -> bool:
        return runner.iter == 0 or (runner.iter + 1) % self.interval == 0
