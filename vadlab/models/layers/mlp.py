from torch import Tensor, nn

from .activations import QuickGELU


class MLP(nn.Module):
    """Two linear layers with QuickGELU and a hidden width of four times ``width``, as in CLIP's blocks.

    Args:
        width (int): Channels of input and output.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(width, 4 * width)
        self.act = QuickGELU()
        self.fc2 = nn.Linear(4 * width, width)

    def hidden(self, x: Tensor) -> Tensor:
        """Input of the second layer, shape (..., 4 * width)."""
        return self.act(self.fc1(x))

    def forward(self, x: Tensor) -> Tensor:
        return self.fc2(self.hidden(x))
