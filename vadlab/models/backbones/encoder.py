from typing import Any

import torch
from torch import Tensor, nn


class Encoder(nn.Module):
    """Base of the encoders of a clip's picture or sound: tokens or one vector, learning or frozen.

    An encoder implements :meth:`encode` and :meth:`token_grid`, sets :attr:`width`, and calls :meth:`freeze` at the end
    of its constructor if it is to be frozen. A frozen encoder stays in evaluation mode, whatever mode the model around
    it is in, and builds no graph.

    Args:
        pooled (bool): Give one vector a clip, (b, d), rather than its tokens, (b, n, d).
    """

    #: Channels d.
    width: int

    def __init__(self, pooled: bool = False) -> None:
        super().__init__()
        self.pooled = pooled
        self.frozen = False

    def encode(self, *inputs: Any) -> Tensor:
        """Tokens, (b, n, d), or with ``pooled`` a vector each, (b, d); what a subclass implements."""
        raise NotImplementedError

    def token_grid(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """How the tokens of an input of this shape (without the batch) lie, (t, h, w) or (f, t); n is its product."""
        raise NotImplementedError

    def freeze(self) -> None:
        """Learn no more."""
        self.frozen = True
        self.requires_grad_(False).eval()

    def train(self, mode: bool = True) -> 'Encoder':
        """Change the mode, unless frozen."""
        return super().train(mode and not self.frozen)

    def forward(self, *inputs: Any) -> Tensor:
        """What :meth:`encode` returns; without a graph if frozen."""
        with torch.set_grad_enabled(torch.is_grad_enabled() and not self.frozen):
            return self.encode(*inputs)
