# Shapes: b videos, t snippets, n chunks of p positions each, d channels.
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from vadlab.utils.errors import ConfigError

CHUNKS_AT_ONCE = 32  # bounds the memory that a long video needs


def map_chunks(
    forward: Callable[[Tensor, Any], tuple[Tensor, ...]], feats_btd: Tensor, mask_bt: Tensor, size: int
) -> tuple[Tensor, ...]:
    """Apply a function of fixed input length to videos of any length, chunk by chunk.

    Args:
        forward (Callable): Takes features, shape (n, p, d), zeros past each chunk's end, and the number of real
            snippets of each chunk, a list of n numbers from 1 to p. Returns tensors of shape (n, p, ...).
        feats_btd (Tensor): Features, shape (b, t, d).
        mask_bt (Tensor): True at real snippets, bool, shape (b, t).
        size (int): Positions p.

    Returns:
        tuple[Tensor, ...]: What ``forward`` returns, shape (b, t, ...); zeros in chunks without a real snippet.
    """
    if torch.compiler.is_exporting():  # a graph takes one chunk of each video, padded to its size
        return forward(feats_btd * mask_bt[..., None], mask_bt.sum(1))
    num_videos, length = mask_bt.shape
    num_chunks = -(-length // size)
    feats_btd = feats_btd * mask_bt[..., None]
    feats_npd = F.pad(feats_btd, (0, 0, 0, num_chunks * size - length)).reshape(num_videos * num_chunks, size, -1)
    lengths = [min(max(n - i * size, 0), size) for n in mask_bt.sum(1).tolist() for i in range(num_chunks)]
    rows = [i for i, n in enumerate(lengths) if n]  # in a batch with a longer video, some chunks have no snippet
    outs: list[Tensor] = []
    for some in (rows[i : i + CHUNKS_AT_ONCE] for i in range(0, len(rows), CHUNKS_AT_ONCE)):
        parts = forward(feats_npd[some], [lengths[i] for i in some])
        outs = outs or [part.new_zeros(len(feats_npd), *part.shape[1:]) for part in parts]
        for out, part in zip(outs, parts, strict=True):
            out[some] = part
    return tuple(out.unflatten(0, (num_videos, num_chunks)).flatten(1, 2)[:, :length] for out in outs)


def pad_positions(x_bt: Tensor, size: int, method: str) -> Tensor:
    """Pad with zeros (False) to the fixed number of positions, shape (b, t, ...) to (b, p, ...).

    Args:
        x_bt (Tensor): Features or a mask, shape (b, t, ...).
        size (int): Positions p.
        method (str): Name of the method, for the message.

    Raises:
        ConfigError: There are more snippets than positions.
    """
    missing = size - x_bt.shape[1]
    if missing < 0:
        raise ConfigError(
            f'{method}: a training video has {x_bt.shape[1]} snippets, the model has max_snippets={size}. Set '
            'max_snippets in the config; videos are resampled to that many.'
        )
    return F.pad(x_bt, (*[0] * (2 * (x_bt.dim() - 2)), 0, missing)) if missing else x_bt
