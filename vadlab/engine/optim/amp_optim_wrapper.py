"""Mixed precision that also runs where there is no GPU."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from mmengine.logging import print_log
from mmengine.optim import AmpOptimWrapper as MMAmpOptimWrapper
from mmengine.optim import OptimWrapper
from torch import nn

from vadlab.registry import OPTIM_WRAPPERS
from vadlab.utils.errors import ConfigError

from .waiting_gradients import WaitingGradients


@OPTIM_WRAPPERS.register_module()
class AmpOptimWrapper(WaitingGradients, MMAmpOptimWrapper):
    """MMEngine's mixed-precision wrapper, usable with the same config on a CPU.

    On a GPU it is MMEngine's. On a CPU training is in float32, with one line in the log that says so, or under bfloat16
    autocast where ``amp_on_cpu`` asks for it (slower than float32 on CPUs without bfloat16 arithmetic). bfloat16 has
    float32's range, so its losses are never scaled.

    Args:
        dtype (str): ``bfloat16`` or ``float16``; the second on a GPU only.
        amp_on_cpu (bool): Use autocast on a CPU too.
        loss_scale (str | float | dict): For float16, as MMEngine's.
        **kwargs: ``optimizer``, ``accumulative_counts``, ``clip_grad``, as MMEngine's ``OptimWrapper`` takes them.

    Raises:
        ConfigError: ``dtype`` is neither of the two.
    """

    def __init__(
        self, dtype: str = 'bfloat16', amp_on_cpu: bool = False, loss_scale: Any = 'dynamic', **kwargs: Any
    ) -> None:
        if dtype not in ('bfloat16', 'float16'):
            raise ConfigError(f"AmpOptimWrapper: dtype must be 'bfloat16' or 'float16', not {dtype!r}.")
        self.on_gpu = torch.cuda.is_available()
        if self.on_gpu:
            super().__init__(loss_scale=loss_scale, dtype=dtype, **kwargs)
        else:
            OptimWrapper.__init__(self, **kwargs)
            self._scale_update_param = None
            self.cast_dtype = torch.bfloat16
            how = 'bfloat16 autocast' if amp_on_cpu else 'float32 (amp_on_cpu=True would use bfloat16)'
            print_log(f'Mixed precision: no GPU here, training in {how}.', logger='current')
        self.enabled = self.on_gpu or amp_on_cpu
        if not self.on_gpu or dtype == 'bfloat16':
            self.loss_scaler = torch.amp.GradScaler('cuda' if self.on_gpu else 'cpu', enabled=False)

    def state_dict(self) -> dict[str, Any]:
        """State of the optimizer, and of the loss scaling where there is one."""
        state = super().state_dict()
        if not state['loss_scaler']:
            del state['loss_scaler']  # an empty state could not be loaded where scaling is on
        return state

    @contextmanager
    def optim_context(self, model: nn.Module) -> Iterator[None]:
        """Autocast, and no gradient exchange between steps of an accumulation."""
        device = 'cuda' if self.on_gpu else 'cpu'
        with OptimWrapper.optim_context(self, model):  # noqa: SIM117
            with torch.autocast(device, dtype=self.cast_dtype, enabled=self.enabled):
                yield
