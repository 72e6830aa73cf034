"""Check the device before training."""

from typing import Any

import torch
from mmengine.hooks import Hook

from vadlab.models.heads.mmdet_proposals import MMDetProposals
from vadlab.models.layers.roi_align import RoIAlign, mmcv_ops_problem
from vadlab.registry import HOOKS
from vadlab.utils.errors import MissingDependencyError


@HOOKS.register_module()
class DeviceCheckHook(Hook):
    """Logs the device, the size of the model, and whether RoIAlign falls back to plain torch."""

    priority = 'VERY_HIGH'

    def before_run(self, runner: Any) -> None:
        """Log the device and check mmcv's ops, if the model needs them.

        Raises:
            MissingDependencyError: The model contains a detector of MMDetection, and mmcv has no ops for the device.
        """
        model = runner.bare_model
        device = next(model.parameters()).device
        name = torch.cuda.get_device_name(device) if device.type == 'cuda' else f'{torch.get_num_threads()} threads'
        count = sum(p.numel() for p in model.parameters())
        runner.logger.info(f'{type(model).__name__}: {count / 1e6:.1f} M parameters on {device} ({name})')
        parts = list(model.modules())
        problem = None
        if any(isinstance(part, (RoIAlign, MMDetProposals)) for part in parts):
            problem = mmcv_ops_problem(device.type)
        if problem and any(isinstance(part, MMDetProposals) for part in parts):
            raise MissingDependencyError(f'MMDetProposals needs the ops of mmcv: {problem}')
        if problem:
            runner.logger.warning(f'RoIAlign in plain torch, with the same results: {problem}')
