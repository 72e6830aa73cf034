from torch import Tensor, nn

from .activations import QuickGELU


class MLP(nn.Module):
    """Two layers, four times as wide between them, with QuickGELU, as in CLIP's blocks.

    Args:
        width (int): Channels of input and output.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(width, 4 * width)
        self.act = QuickGELU()
        self.fc2 = nn.Linear(4 * width, width)

    def hidden(self, x: Tensor) -> Tensor:
        """What the second layer reads, shape (..., 4 * width)."""
        return self.act(self.fc1(x))

    def forward(self, x: Tensor) -> Tensor:
        return self.fc2(self.hidden(x))
