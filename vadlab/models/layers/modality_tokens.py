from typing import NamedTuple

from torch import Tensor


class ModalityTokens(NamedTuple):
    """What an encoder found in those clips of a batch that have its modality.

    Attributes:
        tokens (Tensor): Floating point, shape (m, n, d); n is 1 where the encoder pools.
        rows (Tensor | None): Which clips of the batch these are, ascending, int64, shape (m,); None for all.
        valid (Tensor | None): True at tokens of the clip, False at those of padding, bool, shape (m, n); None for all.
        grid (tuple[int, ...]): How the n tokens lie, such as (t, h, w) or (f, t).
    """

    tokens: Tensor
    rows: Tensor | None = None
    valid: Tensor | None = None
    grid: tuple[int, ...] = (1,)

    def mean(self) -> Tensor:
        """The mean over a clip's tokens, padding left out, shape (m, d)."""
        if self.valid is None:
            return self.tokens.mean(1)
        return self.tokens.masked_fill(~self.valid[..., None], 0).sum(1) / self.valid.sum(1, keepdim=True)
