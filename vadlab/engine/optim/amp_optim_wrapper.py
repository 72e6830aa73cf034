"""Mixed precision on GPUs, float32 on CPUs."""

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
    """MMEngine's mixed-precision wrapper, which also runs on a CPU with the same config.

    On a GPU it is MMEngine's wrapper. On a CPU it trains in float32 and logs one line, or in bfloat16 autocast with
    ``amp_on_cpu=True`` (slower than float32 on CPUs without bfloat16 arithmetic). bfloat16 has the range of float32, so
    its losses are not scaled.

    Args:
        dtype (str): ``bfloat16``, or ``float16`` (GPU only).
        amp_on_cpu (bool): Use autocast on a CPU, too.
        loss_scale (str | float | dict): For float16, as in MMEngine.
        **kwargs: ``optimizer``, ``accumulative_counts``, ``clip_grad``, as in MMEngine's ``OptimWrapper``.

    Raises:
        ConfigError: ``dtype`` is another type.
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
        """State of the optimizer, and of the loss scaler if there is one."""
        state = super().state_dict()
        if not state['loss_scaler']:
            del state['loss_scaler']  # an empty state cannot be loaded by a run with loss scaling
        return state

    @contextmanager
    def optim_context(self, model: nn.Module) -> Iterator[None]:
        """Autocast, without gradient exchange inside an accumulated step."""
        device = 'cuda' if self.on_gpu else 'cpu'
        with OptimWrapper.optim_context(self, model):  # noqa: SIM117
            with torch.autocast(device, dtype=self.cast_dtype, enabled=self.enabled):
                yield
