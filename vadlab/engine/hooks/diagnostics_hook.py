"""Looking inside a contrastive model while it trains."""

from typing import Any

import torch
from mmengine.hooks import Hook

from vadlab.registry import HOOKS


@HOOKS.register_module()
class DiagnosticsHook(Hook):
    """Logs what a falling loss does not show. Off by default; switch on by ``--cfg-options diagnostics=True``.

    Every ``interval`` iterations, as ``diag/...``: whatever numbers the model's ``diagnostics()`` returns (norms of
    embeddings and the share near zero, logits of positives and negatives, fill and pointer of the queue), and the
    gradient norm of each projection and temperature; a projection that gets none is named in a warning.

    Args:
        interval (int): Iterations between looks.
    """

    priority = 'NORMAL'

    def __init__(self, interval: int = 50) -> None:
        self.interval = interval
        self._grads: dict[str, float] = {}
        self._handles: list[Any] = []

    def before_train(self, runner: Any) -> None:
        """Listen to gradients: after the step they are gone."""
        self._grads = {}
        for name, parameter in runner.bare_model.named_parameters():
            if parameter.requires_grad and ('projection' in name or 'logit_scale' in name):
                handle = parameter.register_post_accumulate_grad_hook(self._note(name))
                self._handles.append(handle)
                self._grads[name] = 0.0

    def _note(self, name: str) -> Any:
        def note(parameter: torch.Tensor) -> None:
            if self._listening and parameter.grad is not None:
                self._grads[name] = parameter.grad.norm().item()

        return note

    _listening = False

    def before_train_iter(self, runner: Any, batch_idx: int, data_batch: Any = None) -> None:
        """Listen in those iterations alone that are reported: reading a norm waits for the device."""
        self._listening = self._is_due(runner)
        if self._listening:
            self._grads = dict.fromkeys(self._grads, 0.0)
            for module in runner.bare_model.modules():
                if hasattr(module, 'collect_diagnostics'):
                    module.collect_diagnostics = True

    def after_train_iter(self, runner: Any, batch_idx: int, data_batch: Any = None, outputs: Any = None) -> None:
        """Report."""
        if not self._listening:
            return
        found: dict[str, float] = {f'grad/{k}': v for k, v in self._grads.items()}
        if hasattr(runner.bare_model, 'diagnostics'):
            found.update({k: float(v) for k, v in runner.bare_model.diagnostics().items()})
        for key, value in found.items():
            runner.message_hub.update_scalar(f'train/diag/{key}', value)
        runner.logger.info('Diagnostics: ' + '  '.join(f'{k}: {v:.4g}' for k, v in sorted(found.items())))
        silent = [k for k, v in self._grads.items() if v == 0]
        if silent:
            runner.logger.warning(
                f'Diagnostics: no gradient reached {", ".join(silent)} in iteration {runner.iter + 1}.'
            )
        for module in runner.bare_model.modules():
            if hasattr(module, 'collect_diagnostics'):
                module.collect_diagnostics = False

    def after_train(self, runner: Any) -> None:
        """Stop listening."""
        for handle in self._handles:
            handle.remove()

    def _is_due(self, runner: Any) -> bool:
        return runner.iter == 0 or (runner.iter + 1) % self.interval == 0
