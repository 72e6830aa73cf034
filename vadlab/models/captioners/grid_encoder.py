# Shapes: b images, p patches of a square grid, g their width, e joint space, d width of the encoder, h heads.
import torch
from torch import Tensor, nn

from vadlab.registry import MODELS
from vadlab.utils.errors import ConfigError

from ..layers.grid_positions import grid_positions, normalised_grid_positions
from ..layers.multi_head_attention import MultiHeadAttention

NUM_WAVES = 64  # Hu et al., section 3: size of the embedding of the relation of two boxes


@MODELS.register_module()
class GridEncoder(nn.Module):
    """Encoder whose visual grid attends to the concepts of its patches.

    ::

        patches, global -> linear, CELU, dropout, norm -> visual grid (b, p, d) ----query---+
        text grid -------> linear, CELU, dropout, norm, norm ------key and value----------> attention -> FFN -> x layers
                                                        relative boxes of the cells -> bias +

    Queries and keys have 2-D sine position embeddings. A geometry bias, shared by all layers, is added to the attention
    logits: ``log(max(relu(linear(embedding of two cells' relative boxes)), 1e-6))``, as in Hu et al., "Relation
    Networks for Object Detection", CVPR 2018, arXiv:1711.11575, equations 4 and 5, and Herdade et al., "Image
    Captioning: Transforming Objects into Words", NeurIPS 2019, arXiv:1906.05963. The box of a cell is the area that it
    covers. Public captioning code adds 1 to the sides of boxes of width 1/14, which nearly removes the difference
    between near and far cells.

    Args:
        grid_size (int): Number of cells along a side.
        in_channels (int): Channels g of the patches.
        embed_dim (int): Channels e of the global feature and of the text grid.
        width (int): Channels d, a multiple of 4.
        layers (int): Number of attention layers, >= 1.
        heads (int): Attention heads.
        ffn_width (int): Hidden width of the feed-forward layers.
        dropout (float): Share of activations dropped in training.
        positions (str): ``index``: sines of the cells' indices. ``normalised``: of indices divided by the grid's side,
            as in the public code.
        norm_visual (bool): Apply the last norm of the text grid to the visual grid, too, as the public code does. The
            visual grid's own embedding already ends with a norm.

    Raises:
        ConfigError: ``width`` is not a multiple of 4 or of ``heads``, ``layers`` is less than 1, or ``positions`` is
            unknown.
    """

    def __init__(
        self,
        grid_size: int,
        in_channels: int = 768,
        embed_dim: int = 512,
        width: int = 512,
        layers: int = 3,
        heads: int = 8,
        ffn_width: int = 2048,
        dropout: float = 0.1,
        positions: str = 'index',
        norm_visual: bool = False,
    ) -> None:
        super().__init__()
        if layers < 1 or width % 4:
            raise ConfigError(f'GridEncoder: layers={layers} must be >= 1, and width={width} a multiple of 4.')
        if positions not in ('index', 'normalised'):
            raise ConfigError(f"GridEncoder: positions={positions!r} is neither 'index' nor 'normalised'.")
        self.width = width
        self.norm_visual = norm_visual
        self.att_embed = _embedding(in_channels + embed_dim, width, dropout)
        self.text_embed = nn.Sequential(*_embedding(embed_dim, width, dropout), nn.LayerNorm(width))
        self.geometry = nn.Linear(NUM_WAVES, heads)
        self.layers = nn.ModuleList(_EncoderLayer(width, heads, ffn_width, dropout) for _ in range(layers))
        # Constants of the grid, not saved in checkpoints.
        waves = grid_positions if positions == 'index' else normalised_grid_positions
        self.register_buffer('positions', waves((grid_size, grid_size), width), persistent=False)
        self.register_buffer('relations', relative_boxes(grid_size), persistent=False)

    def embed(self, patches_bpg: Tensor, global_be: Tensor) -> Tensor:
        """Visual grid, shape (b, p, d), from patches and the global feature, concatenated per patch."""
        global_bpe = global_be[:, None].expand(-1, patches_bpg.shape[1], -1)
        return self.att_embed(torch.cat([patches_bpg, global_bpe], dim=-1))

    def geometry_bias(self) -> Tensor:
        """Bias of the attention logits for each pair of cells, shape (h, p, p)."""
        return self.geometry(self.relations).relu().clamp(min=1e-6).log().permute(2, 0, 1)

    def forward(self, visual_bpd: Tensor, text_bpe: Tensor) -> Tensor:
        """Attention of the visual grid to the text grid.

        Args:
            visual_bpd (Tensor): Output of :meth:`embed`.
            text_bpe (Tensor): Text embedding of each patch's concept, shape (b, p, e).

        Returns:
            Tensor: Shape (b, p, d).
        """
        text_bpd = self.text_embed(text_bpe)
        if self.norm_visual:
            visual_bpd = self.text_embed[-1](visual_bpd)
        bias_hpp = self.geometry_bias().to(visual_bpd.dtype)
        for layer in self.layers:
            visual_bpd = layer(visual_bpd, text_bpd, self.positions, bias_hpp)
        return visual_bpd


class _EncoderLayer(nn.Module):
    def __init__(self, width: int, heads: int, ffn_width: int, dropout: float) -> None:
        super().__init__()
        self.attention = MultiHeadAttention(width, heads, dropout)
        self.norm1 = nn.LayerNorm(width)
        self.ffn = feed_forward(width, ffn_width, dropout)
        self.norm2 = nn.LayerNorm(width)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x_bpd: Tensor, text_bpd: Tensor, positions_pd: Tensor, bias_hpp: Tensor) -> Tensor:
        read_bpd = self.attention(x_bpd + positions_pd, text_bpd + positions_pd, text_bpd, bias_hpp)
        x_bpd = self.norm1(x_bpd + self.dropout(read_bpd))
        return self.norm2(x_bpd + self.dropout(self.ffn(x_bpd)))


def feed_forward(width: int, hidden: int, dropout: float) -> nn.Sequential:
    """Position-wise feed-forward layers of a transformer block."""
    return nn.Sequential(nn.Linear(width, hidden), nn.ReLU(), nn.Dropout(dropout), nn.Linear(hidden, width))


def relative_boxes(grid_size: int) -> Tensor:
    """Sine-cosine embeddings (64 values) of the relative position of each pair of grid cells.

    For two boxes m and n: ``log(|x_m - x_n| / w_m)``, ``log(|y_m - y_n| / h_m)``, ``log(w_n / w_m)`` and
    ``log(h_n / h_m)``, with distances of at least 0.001 of a side. Each value is multiplied by 100 and embedded in 8
    wavelengths from 2 pi to 1,000^(7/8) times that, sines before cosines. All cells have the same size, so the last two
    values are zero; they are kept for the published number of inputs.

    Args:
        grid_size (int): Number of cells along a side.

    Returns:
        Tensor: float32, shape (p, p, 64), cells in row-major order.
    """
    steps = torch.arange(grid_size, dtype=torch.float64)
    y_p, x_p = (axis.flatten() for axis in torch.meshgrid(steps, steps, indexing='ij'))
    x_pp, y_pp = ((axis[:, None] - axis).abs().clamp(min=1e-3).log() for axis in (x_p, y_p))
    same_pp = torch.zeros_like(x_pp)
    relation = torch.stack([x_pp, y_pp, same_pp, same_pp], dim=-1)
    num_lengths = NUM_WAVES // 8
    lengths = 1000 ** (torch.arange(num_lengths, dtype=torch.float64) / num_lengths)
    angles = (100 * relation[..., None] / lengths).flatten(2)
    return torch.cat([angles.sin(), angles.cos()], dim=-1).float()


def _embedding(in_channels: int, width: int, dropout: float) -> nn.Sequential:
    return nn.Sequential(nn.Linear(in_channels, width), nn.CELU(1.3), nn.Dropout(dropout), nn.LayerNorm(width))
