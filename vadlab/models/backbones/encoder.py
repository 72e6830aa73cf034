from typing import Any

import torch
from torch import Tensor, nn


class Encoder(nn.Module):
    """Base class of the encoders of a clip's frames or sound, which return tokens or one vector.

    An encoder implements :meth:`encode` and :meth:`token_grid`, sets :attr:`width`, and calls :meth:`freeze` at the end
    of its constructor if it is frozen. A frozen encoder always stays in evaluation mode and builds no graph.

    Args:
        pooled (bool): Return one vector per clip, (b, d), instead of its tokens, (b, n, d).
    """

    #: Channels d.
    width: int

    def __init__(self, pooled: bool = False) -> None:
        super().__init__()
        self.pooled = pooled
        self.frozen = False

    def encode(self, *inputs: Any) -> Tensor:
        """Tokens, (b, n, d), or with ``pooled`` one vector per clip, (b, d); implemented by subclasses."""
        raise NotImplementedError

    def token_grid(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """Grid of the tokens, (t, h, w) or (f, t), for an input of this shape without the batch; n is its product."""
        raise NotImplementedError

    def freeze(self) -> None:
        """Turn off gradients and switch to evaluation mode, permanently."""
        self.frozen = True
        self.requires_grad_(False).eval()

    def train(self, mode: bool = True) -> 'Encoder':
        """Set the training mode; a frozen encoder stays in evaluation mode."""
        return super().train(mode and not self.frozen)

    def forward(self, *inputs: Any) -> Tensor:
        """Output of :meth:`encode`; without a graph if frozen."""
        with torch.set_grad_enabled(torch.is_grad_enabled() and not self.frozen):
            return self.encode(*inputs)
