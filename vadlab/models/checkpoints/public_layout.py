"""Shared functions of the readers of authors' checkpoints."""

import re
from collections.abc import Mapping

from torch import Tensor

from vadlab.utils.errors import CheckpointError

# Names of the tensors in torch's linear, convolution and batch norm layers.
_ENDING = r'\.weight|\.bias|\.running_mean|\.running_var|\.num_batches_tracked'


def rename_tensors(
    tensors: Mapping[str, Tensor], rules: Mapping[str, str | None], signature: str, method: str
) -> dict[str, Tensor] | None:
    r"""Rename the tensors of a state dict by rules.

    Args:
        tensors (Mapping[str, Tensor]): Tensors under the authors' names.
        rules (Mapping[str, str | None]): From a regular expression to the new name. The expression matches the whole
            old name without a final ``.weight``, ``.bias`` or other tensor name of a torch layer. The new name may
            refer to groups (``\1``); None skips the tensor.
        signature (str): A tensor that only this layout has.
        method (str): Name of the method, for messages.

    Returns:
        dict[str, Tensor] | None: Tensors under our names; None without the signature, which means another layout.

    Raises:
        CheckpointError: The signature is there, but some tensors match no rule.

    Example:
        >>> import torch
        >>> rename_tensors({'fc.0.bias': torch.zeros(1)}, {r'fc\.(\d)': r'head.\1'}, 'fc.0.bias', 'X')
        {'head.0.bias': tensor([0.])}
    """
    if signature not in tensors:
        return None
    patterns = [(re.compile(rf'(?:{old})({_ENDING})?'), new) for old, new in rules.items()]
    renamed: dict[str, Tensor] = {}
    unknown = []
    for name, tensor in tensors.items():
        match, new = next(((m, new) for pattern, new in patterns if (m := pattern.fullmatch(name))), (None, None))
        if match is None:
            unknown.append(name)
        elif new is not None:
            renamed[match.expand(new) + (match.groups()[-1] or '')] = tensor
    if unknown:
        more = ', ...' if len(unknown) > 6 else ''
        raise CheckpointError(
            f"A checkpoint in the layout of {method}'s authors has {len(unknown)} tensors that VADLab does not know: "
            f'{", ".join(unknown[:6])}{more}. It may be of another version, or of another model built on it.'
        )
    return renamed
