"""Save and restore accumulated gradients."""

import logging
from typing import Any

from mmengine.dist import all_reduce, is_distributed
from mmengine.logging import print_log
from mmengine.optim import OptimWrapper as MMOptimWrapper
from torch import Tensor, nn

from vadlab.registry import OPTIM_WRAPPERS
from vadlab.utils.errors import CheckpointError


class WaitingGradients(MMOptimWrapper):
    """Saves accumulated gradients of an incomplete step, and their number of batches, in the state.

    A resumed run then makes the same steps as an uninterrupted run. With several processes the state contains the mean
    of their gradients. The next all-reduce gives the same mean, up to rounding.
    """

    _waiting = 0  # number of batches whose gradients were loaded
    #: Norm of the last step's gradients before clipping, on the device; None without clipping by norm.
    grad_norm: Tensor | None = None

    def _clip_grad(self) -> None:
        """Like MMEngine's, which reads the norm and so waits for the device; RuntimeInfoHook records it."""
        parameters = [p for p in self._parameters() if p.requires_grad and p.grad is not None]
        self.grad_norm = self.clip_func(parameters, **self.clip_grad_kwargs) if parameters else None

    def _parameters(self) -> list[nn.Parameter]:
        return [p for group in self.optimizer.param_groups for p in group['params']]

    def state_dict(self) -> dict[str, Any]:
        """Like MMEngine's, with ``waiting`` if a step is incomplete. Every process must call it."""
        state = super().state_dict()
        if not self.should_update():
            gradients = [None if p.grad is None else p.grad.detach().clone() for p in self._parameters()]
            if is_distributed():
                for gradient in gradients:
                    if gradient is not None:
                        all_reduce(gradient, op='mean')
            batches = self._inner_count % self._accumulative_counts
            state['waiting'] = {'batches': batches, 'of': self._accumulative_counts, 'gradients': gradients}
        return state

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Like MMEngine's. If ``accumulative_counts`` has changed, accumulated gradients are dropped with a warning.

        Raises:
            CheckpointError: The gradients do not fit the parameters.
        """
        waiting = state_dict.pop('waiting', None)
        super().load_state_dict(state_dict)
        if waiting is None:
            return
        if not self._fits(waiting):
            raise CheckpointError(
                'The checkpoint cannot be resumed from: its optimizer.waiting does not have gradients for these '
                'parameters.'
            )
        if waiting['of'] != self._accumulative_counts:
            print_log(
                f'accumulative_counts was {waiting["of"]} and is {self._accumulative_counts} now: the gradients of '
                f'{waiting["batches"]} batches that waited for a step are dropped.',
                logger='current',
                level=logging.WARNING,
            )
            return
        self._waiting = waiting['batches']
        for parameter, gradient in zip(self._parameters(), waiting['gradients'], strict=True):
            parameter.grad = None if gradient is None else gradient.to(parameter)

    def _fits(self, waiting: Any) -> bool:
        if not isinstance(waiting, dict) or waiting.keys() != {'batches', 'of', 'gradients'}:
            return False
        parameters, gradients = self._parameters(), waiting['gradients']
        return (
            all(type(waiting[key]) is int for key in ('batches', 'of'))
            and 0 < waiting['batches'] < waiting['of']
            and isinstance(gradients, list)
            and len(gradients) == len(parameters)
            and all(
                g is None or (isinstance(g, Tensor) and g.shape == p.shape and g.is_floating_point())
                for g, p in zip(gradients, parameters, strict=True)
            )
        )

    def initialize_count_status(self, model: nn.Module, init_counts: int, max_counts: int) -> None:
        """Like MMEngine's, but the count starts at the first batch whose gradient is not yet applied to the weights."""
        super().initialize_count_status(model, 0, self._waiting + max_counts - init_counts)
        self._inner_count = self._waiting


@OPTIM_WRAPPERS.register_module()
class OptimWrapper(WaitingGradients):
    """MMEngine's wrapper, which also saves accumulated gradients, see :class:`WaitingGradients`."""
