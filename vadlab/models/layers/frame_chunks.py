"""Encoding of many frames in chunks, which bounds the memory of a vision tower.

Shape suffixes: n frames, p patches of a frame, d width, m frames whose dense features are requested.
"""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from .host_copy import to_device

#: Pooled features (c, d) and dense features (m, p, d) of a chunk of c frames.
Encoded = tuple[Tensor, Tensor | None]


def encode_in_chunks(
    encode: Callable[[list[Tensor], list[Tensor | None]], Sequence[Encoded]],
    frames: Tensor,
    dense_mask: Tensor | None,
    chunk_size: int | None,
) -> Encoded:
    """Encode frames in chunks; the result does not depend on the size of a chunk.

    Args:
        encode (Callable): Takes the frames of some chunks, and of each the rows whose dense features are requested
            (int64, None for no dense features); returns the features of each chunk.
        frames (Tensor): Normalised pixels, shape (n, 3, height, width).
        dense_mask (Tensor | None): Frames whose dense features are requested, bool, shape (n,); best on the host.
        chunk_size (int | None): Frames of a chunk; None for all.

    Returns:
        tuple: Pooled features, shape (n, d); dense features in the order of the frames, shape (m, p, d), None without a
        mask.
    """
    if chunk_size is None and dense_mask is None:
        ((pooled_nd, _),) = encode([frames], [None])
        return pooled_nd, None
    chunk = chunk_size or max(len(frames), 1)
    parts = list(frames.split(chunk))
    rows: list[Tensor | None] = [None] * len(parts)
    if dense_mask is not None:
        # A mask on the device costs one synchronisation with the host, not one per chunk.
        rows = [to_device(mask.nonzero()[:, 0], frames.device) for mask in dense_mask.cpu().split(chunk)]
    if torch.is_grad_enabled():
        # All chunks go through one block before the next block. Then backward completes the weight gradients of one
        # block before the next. Chunk by chunk, it would hold a second copy of all gradients until the last chunk.
        encoded = encode(parts, rows)
    else:
        encoded = [encode([part], [row])[0] for part, row in zip(parts, rows, strict=True)]
    pooled_nd = torch.cat([pooled for pooled, _ in encoded])
    if dense_mask is None:
        return pooled_nd, None
    return pooled_nd, torch.cat([dense for _, dense in encoded if dense is not None])
