import hashlib
from collections.abc import Mapping

import torch
from torch import Tensor


def weights_sha256(state_dict: Mapping[str, Tensor]) -> str:
    """Hash of weights by name, dtype, shape and value; it does not depend on their file or device."""
    digest = hashlib.sha256()
    for name, tensor in sorted(state_dict.items()):
        if not isinstance(tensor, Tensor):  # extra state of a module
            digest.update(f'{name} {tensor!r}\n'.encode())
            continue
        value = tensor.detach().cpu().contiguous()
        digest.update(f'{name} {value.dtype} {tuple(value.shape)}\n'.encode())
        digest.update(value.flatten().view(torch.uint8).numpy().tobytes() if value.numel() else b'')
    return digest.hexdigest()
