# Shapes: n frames, p patches of a frame (h * w), d width, m frames whose dense features are requested.
import functools
import math
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from vadlab.registry import MODELS
from vadlab.utils.errors import ConfigError, DataError

from ..layers.compiled_blocks import Backend, any_size, compile_blocks
from ..layers.frame_chunks import encode_in_chunks
from ..layers.layer_norm import LayerNorm
from ..layers.siglip2_blocks import build_siglip2_blocks, run_block, siglip2_config


class DenseFeatureHead(nn.Module):
    """Features of patches that can be compared with texts: attention and an MLP over all patches of a frame.

    Xie et al., "FG-CLIP 2", 2025, arXiv:2510.10921 (``get_image_dense_feature`` of github.com/360CVGroup/FG-CLIP). It
    has the layers of SigLIP 2's pooling head, but each patch is a query. The residual is the output of attention.

    Args:
        config (Any): A ``Siglip2VisionConfig``.
    """

    def __init__(self, config: Any) -> None:
        super().__init__()
        from transformers.models.siglip2.modeling_siglip2 import Siglip2MLP

        self.attention = nn.MultiheadAttention(config.hidden_size, config.num_attention_heads, batch_first=True)
        self.layernorm = LayerNorm(config.hidden_size, eps=config.layer_norm_eps)
        self.mlp = Siglip2MLP(config)

    def forward(self, patches_npd: Tensor) -> Tensor:
        """Features of patches, shape (n, p, d) to (n, p, d)."""
        mixed = self.attention(patches_npd, patches_npd, patches_npd, need_weights=False)[0]
        return mixed + self.mlp(self.layernorm(mixed))


@MODELS.register_module()
class SigLIP2VisionTransformer(nn.Module):
    """SigLIP 2's vision tower for frames of any aspect ratio, with FG-CLIP 2's dense feature head.

    Tschannen et al., "SigLIP 2", 2025, arXiv:2502.14786, section 2.4.2 (NaFlex); Xie et al., "FG-CLIP 2", 2025,
    arXiv:2510.10921. Blocks and pooling head are those of transformers. The public code pads all images of a batch to
    the same number of patches and masks the padding; here all frames of a call have the same size, so there is none.

    ::

        frames -> patches + interpolated positions -> blocks -> norm -+-> attention pooling -> pooled
                                                                      +-> dense feature head -> dense

    Args:
        patch_size (int): Height and width of a patch, in pixels.
        num_patches (int): Rows of the position table, a square number. They are interpolated to the grid of the frames.
        width (int): Channels d.
        layers (int): Number of blocks, >= 1.
        heads (int): Attention heads.
        mlp_ratio (float): Hidden width of the MLPs divided by d.
        chunk_size (int | None): Frames encoded at once; all by default. It bounds memory in testing and, with
            ``with_cp``, in training. The result does not depend on it.
        with_cp (bool): Activation checkpointing of every block: less memory, about a third more compute in training.
        compiled (bool | str): Run the blocks through torch.compile: faster on a GPU, after a minute of compilation. The
            result is the same up to rounding. A string names a backend of torch.compile other than ``inductor``.

    Raises:
        ConfigError: ``num_patches`` is not a square, or ``layers`` or ``chunk_size`` is below 1.
    """

    def __init__(
        self,
        patch_size: int = 16,
        num_patches: int = 256,
        width: int = 768,
        layers: int = 12,
        heads: int = 12,
        mlp_ratio: float = 4.0,
        chunk_size: int | None = None,
        with_cp: bool = False,
        compiled: bool | Backend = False,
    ) -> None:
        super().__init__()
        if math.isqrt(num_patches) ** 2 != num_patches:
            raise ConfigError(f'SigLIP2VisionTransformer: num_patches={num_patches} is not a square number.')
        if layers < 1 or (chunk_size is not None and chunk_size < 1):
            raise ConfigError(f'SigLIP2VisionTransformer: {layers=} and {chunk_size=} must be at least 1.')
        from transformers.models.siglip2.modeling_siglip2 import Siglip2MultiheadAttentionPoolingHead

        config = siglip2_config('vision', width, layers, heads, mlp_ratio)
        self.patch_size = patch_size
        self.width = width
        self.heads = heads
        self.chunk_size = chunk_size
        self.with_cp = with_cp
        self.patch_embedding = nn.Conv2d(3, width, patch_size, patch_size)
        self.positional_embedding = nn.Parameter(torch.randn(num_patches, width) * width**-0.5)
        self.blocks = build_siglip2_blocks(config)
        self.compiled = compiled
        if compiled:
            compile_blocks(self.blocks, compiled)
        self.post_norm = LayerNorm(width, eps=config.layer_norm_eps)
        self.pool = Siglip2MultiheadAttentionPoolingHead(config)
        self.dense_head = DenseFeatureHead(config)
        nn.init.xavier_uniform_(self.pool.probe)

    def forward(self, frames: Tensor, dense_mask: Tensor | None = None) -> tuple[Tensor, Tensor | None]:
        """Encode frames.

        Args:
            frames (Tensor): Normalised pixels, height and width multiples of ``patch_size``, shape (n, 3, H, W).
            dense_mask (Tensor | None): Frames whose dense features are requested, bool, shape (n,).

        Returns:
            tuple: Pooled features, shape (n, d); and dense features of the m frames in ``dense_mask``, in order, shape
            (m, d, H / patch_size, W / patch_size), None without a mask.

        Raises:
            DataError: Height or width is not a multiple of ``patch_size``.
        """
        height, width = frames.shape[-2:]
        if height % self.patch_size or width % self.patch_size or not height * width:
            raise DataError(
                f'SigLIP2VisionTransformer: frames of {height}x{width} pixels, which are not multiples of '
                f'patch_size={self.patch_size}. Decode them with DecodeFrames(max_patches=..., patch_size=...).'
            )
        grid = (height // self.patch_size, width // self.patch_size)
        encode = functools.partial(self._encode, positions_pd=self.positions(*grid))
        pooled_nd, dense_mpd = encode_in_chunks(encode, frames, dense_mask, self.chunk_size)
        if dense_mpd is None:
            return pooled_nd, None
        return pooled_nd, dense_mpd.transpose(1, 2).unflatten(2, grid)

    def positions(self, rows: int, columns: int) -> Tensor:
        """The position table, interpolated to a grid of patches, bilinear with antialiasing, shape (rows * columns, d).

        Computed in float32, since antialiasing has no kernel for half precision on a CPU.
        """
        side = math.isqrt(len(self.positional_embedding))
        table = self.positional_embedding
        if (rows, columns) == (side, side):
            return table
        table = table if table.dtype == torch.float64 else table.float()
        grid = table.T.unflatten(1, (side, side))[None]
        grid = F.interpolate(grid, size=(rows, columns), mode='bilinear', align_corners=False, antialias=True)
        return grid[0].flatten(1).T.to(self.positional_embedding.dtype)

    def _encode(
        self, parts: list[Tensor], rows: list[Tensor | None], positions_pd: Tensor
    ) -> list[tuple[Tensor, Tensor | None]]:
        hidden = [self.patch_embedding(part).flatten(2).transpose(1, 2) + positions_pd for part in parts]
        if self.compiled:
            hidden = [any_size(x, 0, 1) for x in hidden]  # frames of a chunk, and patches by aspect ratio
        for block in self.blocks:
            hidden = [self._run(run_block, block, x) for x in hidden]
        return [self._run(self._last, x, row) for x, row in zip(hidden, rows, strict=True)]

    def _last(self, hidden_npd: Tensor, dense_rows: Tensor | None) -> tuple[Tensor, Tensor | None]:
        patches_npd = self.post_norm(hidden_npd)
        dense = None if dense_rows is None else self.dense_head(patches_npd[dense_rows])
        return self.pool(patches_npd), dense

    def _run(self, function: Any, *args: Any) -> Any:
        """Call a function, which must not draw random numbers, with activation checkpointing if ``with_cp`` is set."""
        if self.with_cp and torch.is_grad_enabled():
            return checkpoint(function, *args, use_reentrant=False, preserve_rng_state=False)
        return function(*args)
