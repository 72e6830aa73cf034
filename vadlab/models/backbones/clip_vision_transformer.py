# Shapes: n frames, p patches of a frame, d width, m frames whose dense features are asked for.
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from vadlab.registry import MODELS
from vadlab.utils.errors import ConfigError, DataError

from ..layers.layer_norm import LayerNorm
from ..layers.residual_attention_block import ResidualAttentionBlock


@MODELS.register_module()
class CLIPVisionTransformer(nn.Module):
    """CLIP's vision tower over single frames, with the dense features that FG-CLIP pools regions from.

    Radford et al., 2021, arXiv:2103.00020. Dense features as in Xie et al., "FG-CLIP: Fine-Grained Visual and Textual
    Alignment", 2025, arXiv:2505.05071 (github.com/360CVGroup/FG-CLIP): the hidden state before the last block passes
    that block with attention replaced by its value and output projections, then the final norm.

    What nobody reads is not computed: the last block mixes tokens for CLS only, and dense features are made only for
    the frames in ``dense_mask``.

    ::

        frames -> patches + CLS + positions -> norm -> blocks 1 .. L-1 -+-> block L, CLS query only  -> norm -> cls
                                                                       +-> block L, value path only -> norm -> dense

    Args:
        image_size (int): Height and width of a frame, in pixels.
        patch_size (int): Height and width of a patch, in pixels; a divisor of ``image_size``.
        width (int): Channels D.
        layers (int): Blocks, >= 1.
        heads (int): Attention heads.
        mlp_ratio (float): Hidden width of the MLPs by D.
        hidden_act (str): ``quick_gelu`` (OpenAI's weights) or ``gelu``.
        chunk_size (int | None): Frames that pass the tower at once; all by default. It bounds memory in testing and,
            with ``with_cp``, in training; the result does not depend on it.
        with_cp (bool): Activation checkpointing of every block: less memory, about a third more compute in training.

    Raises:
        ConfigError: Sizes that do not divide, or a chunk size below 1.
    """

    def __init__(
        self,
        image_size: int = 224,
        patch_size: int = 32,
        width: int = 768,
        layers: int = 12,
        heads: int = 12,
        mlp_ratio: float = 4.0,
        hidden_act: str = 'quick_gelu',
        chunk_size: int | None = None,
        with_cp: bool = False,
    ) -> None:
        super().__init__()
        if image_size % patch_size:
            raise ConfigError(f'CLIPVisionTransformer: image_size={image_size} is no multiple of {patch_size=}.')
        if chunk_size is not None and chunk_size < 1:
            raise ConfigError(f'CLIPVisionTransformer: chunk_size={chunk_size}; give at least 1, or None for all.')
        if layers < 1:
            raise ConfigError(f'CLIPVisionTransformer: layers={layers}; at least 1 is needed.')
        self.image_size = image_size
        self.patch_size = patch_size
        self.width = width
        self.heads = heads
        self.hidden_act = hidden_act
        self.grid_size = image_size // patch_size
        self.chunk_size = chunk_size
        self.with_cp = with_cp
        self.patch_embedding = nn.Conv2d(3, width, patch_size, patch_size, bias=False)
        self.class_embedding = nn.Parameter(torch.randn(width) * width**-0.5)
        self.positional_embedding = nn.Parameter(torch.randn(1 + self.grid_size**2, width) * width**-0.5)
        self.pre_norm = LayerNorm(width)
        self.blocks = nn.ModuleList(ResidualAttentionBlock(width, heads, mlp_ratio, hidden_act) for _ in range(layers))
        self.post_norm = LayerNorm(width)
        for block in self.blocks:
            block.reset_parameters(layers)

    def forward(self, frames: Tensor, dense_mask: Tensor | None = None) -> tuple[Tensor, Tensor | None]:
        """Encode frames.

        Args:
            frames (Tensor): Normalised pixels, shape (n, 3, image_size, image_size).
            dense_mask (Tensor | None): Frames whose dense features are wanted, bool, shape (n,).

        Returns:
            tuple: CLS features after the final norm, not projected, shape (n, d); and patch features after the final
            norm of the m frames in ``dense_mask``, in order, shape (m, d, grid, grid), None without a mask.

        Raises:
            DataError: Frames of another size than ``image_size``.
        """
        if frames.shape[-2:] != (self.image_size, self.image_size):
            raise DataError(
                f'CLIPVisionTransformer: frames of {frames.shape[-2]}x{frames.shape[-1]} pixels, but '
                f'image_size={self.image_size}. Give the data pipeline and the model the same image_size.'
            )
        chunk = self.chunk_size or max(len(frames), 1)
        parts = list(frames.split(chunk))
        rows: list[Tensor | None] = [None] * len(parts)
        if dense_mask is not None:
            # On the host once, not once a chunk.
            rows = [mask.nonzero()[:, 0].to(frames.device) for mask in dense_mask.cpu().split(chunk)]
        if torch.is_grad_enabled():
            # Block by block, so that backward finishes a block's weight gradients before it touches the next block's;
            # chunk by chunk it would hold a second copy of all of them until the last chunk.
            encoded = self._encode(parts, rows)
        else:
            encoded = [self._encode([part], [row])[0] for part, row in zip(parts, rows, strict=True)]
        cls_nd = torch.cat([cls for cls, _ in encoded])
        if dense_mask is None:
            return cls_nd, None
        dense_mpd = torch.cat([dense for _, dense in encoded if dense is not None])
        return cls_nd, dense_mpd.transpose(1, 2).unflatten(2, (self.grid_size, self.grid_size))

    def _encode(self, parts: list[Tensor], rows: list[Tensor | None]) -> list[tuple[Tensor, Tensor | None]]:
        def run(function: Callable, *args: Any) -> Any:
            if self.with_cp and torch.is_grad_enabled():
                return checkpoint(function, *args, use_reentrant=False, preserve_rng_state=False)
            return function(*args)

        hidden = [self._embed(part) for part in parts]
        for block in self.blocks[:-1]:
            hidden = [run(block, x) for x in hidden]
        last = [run(self.blocks[-1].forward_last, x, row) for x, row in zip(hidden, rows, strict=True)]
        return [(self.post_norm(cls), None if dense is None else self.post_norm(dense)) for cls, dense in last]

    def _embed(self, frames: Tensor) -> Tensor:
        patches = self.patch_embedding(frames).flatten(2).transpose(1, 2)
        cls = self.class_embedding.expand(len(frames), 1, -1)
        return self.pre_norm(torch.cat([cls, patches], dim=1) + self.positional_embedding)
