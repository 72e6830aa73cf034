from typing import NamedTuple

from torch import Tensor


class ModalityTokens(NamedTuple):
    """Tokens of one modality, for the clips of a batch that have it.

    Attributes:
        tokens (Tensor): Floating point, shape (m, n, d); n is 1 if the encoder pools.
        rows (Tensor | None): Indices of these clips in the batch, ascending, int64, shape (m,); None for all clips.
        valid (Tensor | None): True at tokens of the clip, False at padding, bool, shape (m, n); None if there is no
            padding.
        grid (tuple[int, ...]): Shape of the grid of the n tokens, such as (t, h, w) or (f, t).
    """

    tokens: Tensor
    rows: Tensor | None = None
    valid: Tensor | None = None
    grid: tuple[int, ...] = (1,)

    def mean(self) -> Tensor:
        """Mean over the tokens of each clip, without padding, shape (m, d)."""
        if self.valid is None:
            return self.tokens.mean(1)
        return self.tokens.masked_fill(~self.valid[..., None], 0).sum(1) / self.valid.sum(1, keepdim=True)
