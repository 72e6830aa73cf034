"""Looking at the device before training."""

from typing import Any

import torch
from mmengine.hooks import Hook

from vadlab.registry import HOOKS
from vadlab.utils.errors import MissingDependencyError


def roi_align_problem(device: torch.device | str) -> str | None:
    """Why mmcv's RoIAlign does not work on ``device``, or None if it does."""
    try:
        from mmcv.ops import roi_align
    except ImportError as error:
        return f'mmcv has no compiled ops ({error}). Build them: make install'
    try:
        grid = torch.zeros(1, 1, 2, 2, device=device)
        roi_align(grid, torch.tensor([[0.0, 0, 0, 2, 2]], device=device), 1)
    except (RuntimeError, NotImplementedError) as error:
        return (
            f'mmcv has no RoIAlign for {device} ({str(error).splitlines()[0]}). Build its CUDA ops where nvcc is '
            'installed: pip uninstall -y onedl-mmcv && MMCV_WITH_OPS=1 FORCE_CUDA=1 pip install --no-cache-dir '
            '--no-build-isolation onedl-mmcv'
        )
    return None


@HOOKS.register_module()
class DeviceCheckHook(Hook):
    """Says in the first lines where the model runs, and stops if mmcv's RoIAlign is not built for that device."""

    priority = 'VERY_HIGH'

    def before_run(self, runner: Any) -> None:
        """Check.

        Raises:
            MissingDependencyError: RoIAlign is missing; the message says how to build it.
        """
        device = next(runner.bare_model.parameters()).device
        name = torch.cuda.get_device_name(device) if device.type == 'cuda' else f'{torch.get_num_threads()} threads'
        count = sum(p.numel() for p in runner.bare_model.parameters())
        runner.logger.info(f'{type(runner.bare_model).__name__}: {count / 1e6:.1f} M parameters on {device} ({name})')
        problem = roi_align_problem(device)
        if problem:
            raise MissingDependencyError(problem)
