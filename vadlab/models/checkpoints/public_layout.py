"""What the readers of authors' checkpoints share."""

import re
from collections.abc import Mapping

from torch import Tensor

from vadlab.utils.errors import CheckpointError

# What torch's linear, convolution and batch norm layers call their tensors.
_ENDING = r'\.weight|\.bias|\.running_mean|\.running_var|\.num_batches_tracked'


def rename_tensors(
    tensors: Mapping[str, Tensor], rules: Mapping[str, str | None], signature: str, method: str
) -> dict[str, Tensor] | None:
    r"""A state dict under new names.

    Args:
        tensors (Mapping[str, Tensor]): By the authors' names.
        rules (Mapping[str, str | None]): Regular expression of a whole old name, without a last ``.weight``,
            ``.bias`` or what else a layer of torch's calls its tensors, to the new one, which may refer to groups
            (``\1``); None where the tensor is not needed.
        signature (str): A tensor that only this layout has.
        method (str): Its name, for messages.

    Returns:
        dict[str, Tensor] | None: By our names; None without the signature, where it is another layout.

    Raises:
        CheckpointError: It is this layout by its signature, but holds tensors that no rule knows.

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
