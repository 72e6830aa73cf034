# Shapes: n sequences, l tokens, t prompts, d width, m blocks.
import torch
from torch import Tensor, nn

from vadlab.registry import MODELS
from vadlab.utils.errors import ConfigError

from .layer_norm import LayerNorm


@MODELS.register_module()
class DeepPrompts(nn.Module):
    """Learnt prompt tokens for a frozen transformer, a new set in each block.

    Jia et al., "Visual Prompt Tuning", 2022, arXiv:2203.12119, section 3.2 (deep). All prompts go through one linear
    layer and dropout. They follow the patches in the sequence, so they are easy to cut off. The transformer's output
    goes through an additional norm before the tower's last one; at the start of training this norm has no effect.

    Args:
        width (int): Channels d.
        blocks (int): Blocks m of the transformer.
        patch_size (int): Height and width of a patch, in pixels. Prompts are drawn from +- sqrt(6 /
            (3 * patch_size ** 2 + width)), the range for patches.
        num_tokens (int): Prompts t per block, >= 1.
        dropout (float): Share of the prompts' channels dropped in training.
        dropout_per_image (bool): Drop other channels in each image, as VPT does. Otherwise all images of a batch share
            the dropped channels, and the prompts are projected and dropped once per batch.

    Raises:
        ConfigError: ``num_tokens`` is less than 1.
    """

    def __init__(
        self,
        width: int,
        blocks: int,
        patch_size: int,
        num_tokens: int = 100,
        dropout: float = 0.1,
        dropout_per_image: bool = False,
    ) -> None:
        super().__init__()
        if num_tokens < 1:
            raise ConfigError(f'DeepPrompts: num_tokens={num_tokens}; at least 1. For none, set prompts=None.')
        reach = (6 / (3 * patch_size**2 + width)) ** 0.5
        self.tokens = nn.Parameter(torch.empty(blocks, num_tokens, width).uniform_(-reach, reach))
        self.project = nn.Linear(width, width)
        self.dropout = nn.Dropout(dropout)
        self.dropout_per_image = dropout_per_image
        self.norm = LayerNorm(width)
        nn.init.kaiming_normal_(self.project.weight, mode='fan_out')
        nn.init.zeros_(self.project.bias)

    def forward(self) -> Tensor:
        """The prompts of all blocks, shape (m, t, d); see also :meth:`of_images`."""
        prompts_mtd = self.project(self.tokens)
        return prompts_mtd if self.dropout_per_image else self.dropout(prompts_mtd)

    def of_images(self, prompts_td: Tensor, num_images: int) -> Tensor:
        """The prompts of a block for a number of images: shape (n, t, d) after dropout per image, else (t, d)."""
        if not (self.dropout_per_image and self.training):
            return prompts_td
        return self.dropout(prompts_td.expand(num_images, -1, -1))


def put_prompts(x_nld: Tensor, num_image_tokens: int, prompts_td: Tensor) -> Tensor:
    """The transformer's own tokens followed by the prompts, which replace those of the previous block.

    Args:
        x_nld (Tensor): Hidden state, own tokens first.
        num_image_tokens (int): Number of CLS and patch tokens.
        prompts_td (Tensor): The prompts, shape (t, d), or (n, t, d) if they differ.

    Returns:
        Tensor: Shape (n, num_image_tokens + t, d).
    """
    return torch.cat([x_nld[:, :num_image_tokens], prompts_td.to(x_nld.dtype).expand(len(x_nld), -1, -1)], dim=1)
