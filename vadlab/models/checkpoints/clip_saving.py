import json
from pathlib import Path

import torch
from safetensors.torch import save_file

from vadlab import __version__
from vadlab.utils.atomic import atomic_path
from vadlab.utils.errors import CheckpointError

from .clip_weights import CLIPWeights


def save_clip(
    weights: CLIPWeights, path: str | Path, half: bool = False, metadata: dict[str, str] | None = None
) -> Path:
    """Write a CLIP as a safetensors file in VADLab's format, which :func:`load_clip_checkpoint` reads.

    The file contains the architecture, so the model can be built again without a config. The file is written
    atomically: an existing file is replaced only when the new one is complete.

    Args:
        weights (CLIPWeights): The weights to write.
        path (str | Path): Path that ends with ``.safetensors``.
        half (bool): Store float16, half the size; temperatures stay float32.
        metadata (dict[str, str] | None): Further entries for the file's header, such as how the weights were made.

    Returns:
        Path: Path of the file.

    Raises:
        CheckpointError: The path has another ending, the architecture is not fully known, or a value does not fit into
            float16.
        OSError: The disk is full, or the folder is not writable.
    """
    path = Path(path)
    if path.suffix != '.safetensors':
        raise CheckpointError(f'{path}: a CLIP is written as .safetensors only.')
    unknown = [
        f'{tower}.{name}'
        for tower in ('vision', 'text')
        for name in ('heads', 'hidden_act')
        if weights.arch[tower][name] is None
    ]
    if unknown:
        raise CheckpointError(
            f'{weights.source} does not specify {", ".join(unknown)}, which no tensor shape shows; they must be given.'
        )
    tensors = {}
    for name, tensor in weights.state_dict().items():
        if half and tensor.is_floating_point() and tensor.ndim:
            tensor = tensor.half()
            if not tensor.isfinite().all():
                raise CheckpointError(f'{weights.source}: {name} has values that half precision cannot hold.')
        tensors[name] = tensor.detach().contiguous().clone()
    header = {
        'format': 'pt',
        'model': 'vadlab.CLIP',
        'vadlab': __version__,
        'torch': torch.__version__,
        'arch': json.dumps(weights.arch),
    }
    with atomic_path(path) as part:
        save_file(tensors, part, metadata=(metadata or {}) | header)
    return path
