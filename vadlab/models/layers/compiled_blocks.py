"""torch.compile for the blocks of a tower."""

from typing import Literal

import torch
from torch import Tensor, nn

from vadlab.utils.errors import ConfigError
from vadlab.utils.suggest import nearest

#: Backends of torch.compile that train on a CPU and a GPU.
Backend = Literal['inductor', 'aot_eager', 'eager', 'cudagraphs']


def compile_blocks(blocks: nn.ModuleList, backend: bool | Backend = True) -> None:
    """Compile the forward pass of each block, in place; names and weights stay the same.

    All blocks of a tower share one compiled graph, so compilation takes as long as that of one block. The rest of a
    tower (embedding, last block's selected tokens) has few operations and shapes that depend on the annotation.

    Args:
        blocks (nn.ModuleList): Blocks of one kind.
        backend (bool | str): A backend of torch.compile; True for ``inductor``.

    Raises:
        ConfigError: There is no such backend.
    """
    name = 'inductor' if backend is True else str(backend)
    known = torch._dynamo.list_backends(exclude_tags=())
    if name not in known:
        raise ConfigError(f'compiled={backend!r}: torch.compile has no such backend. {nearest(name, known)}')
    for block in blocks:
        block.compile(backend=name)


def any_size(x: Tensor, *dims: int) -> Tensor:
    """Declare dimensions that change from step to step, so that a compiled block is not compiled again for each size.

    Args:
        x (Tensor): Input of the first block.
        *dims (int): Its dimensions.
    """
    for dim in dims:
        torch._dynamo.maybe_mark_dynamic(x, dim)
    return x
