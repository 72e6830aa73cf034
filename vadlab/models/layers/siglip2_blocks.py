"""Blocks of SigLIP 2, which are transformers' own."""

from typing import Any

from torch import Tensor, nn

from vadlab.utils.errors import ConfigError, MissingDependencyError


def siglip2_config(tower: str, width: int, layers: int, heads: int, mlp_ratio: float) -> Any:
    """Config of the blocks of a tower, for transformers.

    Args:
        tower (str): ``vision`` or ``text``.
        width (int): Channels.
        layers (int): Number of blocks.
        heads (int): Attention heads, a divisor of ``width``.
        mlp_ratio (float): Hidden width of the MLPs divided by ``width``.

    Returns:
        Any: A ``Siglip2VisionConfig`` or ``Siglip2TextConfig``.

    Raises:
        ConfigError: ``heads`` does not divide ``width``.
        MissingDependencyError: transformers is too old.
    """
    if heads < 1 or width % heads:
        raise ConfigError(f'width={width} is not a multiple of heads={heads}.')
    try:
        import transformers

        kind = getattr(transformers, f'Siglip2{tower.title()}Config')
    except (ImportError, AttributeError) as error:
        raise MissingDependencyError(
            "FG-CLIP 2 needs transformers' SigLIP 2: pip install 'transformers>=4.49'"
        ) from error
    return kind(
        hidden_size=width,
        intermediate_size=round(width * mlp_ratio),
        num_hidden_layers=layers,
        num_attention_heads=heads,
        attn_implementation='sdpa',
    )


def build_siglip2_blocks(config: Any) -> nn.ModuleList:
    """The blocks of a tower, randomly initialised as SigLIP 2's."""
    from transformers.models.siglip2.modeling_siglip2 import Siglip2EncoderLayer

    blocks = nn.ModuleList(Siglip2EncoderLayer(config) for _ in range(config.num_hidden_layers))
    for block in blocks:
        for name, parameter in block.named_parameters():
            if parameter.ndim > 1:
                nn.init.xavier_uniform_(parameter)
            elif name.endswith('bias'):
                nn.init.zeros_(parameter)
    return blocks


def run_block(block: nn.Module, x_nld: Tensor) -> Tensor:
    """Output of a block without a mask, shape (n, l, d); older versions of transformers return a tuple."""
    out = block(x_nld, None)
    return out[0] if isinstance(out, tuple) else out
