"""Copy small tensors of indices from the host to the model's device."""

import torch
from torch import Tensor


def to_device(tensor: Tensor, device: torch.device) -> Tensor:
    """Copy a tensor to a device without waiting for the device.

    A copy from ordinary host memory to a GPU waits until the GPU has finished all earlier work. A copy from pinned
    memory does not.

    Args:
        tensor (Tensor): Usually on the host.
        device (torch.device): Where it is needed.
    """
    if device.type == 'cuda' and tensor.device.type == 'cpu':
        return tensor.pin_memory().to(device, non_blocking=True)
    return tensor.to(device)
