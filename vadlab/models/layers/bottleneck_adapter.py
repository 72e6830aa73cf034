import torch.nn.functional as F
from torch import Tensor, nn

from vadlab.registry import MODELS
from vadlab.utils.errors import ConfigError


@MODELS.register_module()
class BottleneckAdapter(nn.Module):
    """Bottleneck adapter with a residual: ``x + up(gelu(down(x)))``; the identity at the start of training.

    Houlsby et al., "Parameter-Efficient Transfer Learning for NLP", 2019, arXiv:1902.00751. ``up`` is initialised with
    zeros.

    Args:
        width (int): Channels d.
        ratio (float): Channels of the bottleneck divided by d, above 0.

    Raises:
        ConfigError: The bottleneck would have no channel.
    """

    def __init__(self, width: int, ratio: float = 0.25) -> None:
        super().__init__()
        if round(width * ratio) < 1:
            raise ConfigError(f'BottleneckAdapter: ratio={ratio} of {width} channels leaves none; give a larger ratio.')
        self.down = nn.Linear(width, round(width * ratio))
        self.up = nn.Linear(round(width * ratio), width)
        nn.init.zeros_(self.up.weight)
        nn.init.zeros_(self.up.bias)

    def forward(self, x: Tensor) -> Tensor:
        """Adapt features, shape (..., d) to (..., d)."""
        return x + self.up(F.gelu(self.down(x)))
