# Shapes: n frames, p patches of a frame, d width, m frames whose dense features are requested.
from collections.abc import Callable, Sequence
from typing import Annotated, Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from vadlab.registry import MODELS
from vadlab.utils.errors import ConfigError, DataError

from ..layers.compiled_blocks import Backend, any_size, compile_blocks
from ..layers.deep_prompts import put_prompts
from ..layers.frame_chunks import encode_in_chunks
from ..layers.layer_norm import LayerNorm
from ..layers.residual_attention_block import ResidualAttentionBlock


class PatchFeatures(NamedTuple):
    """Features of images from CLIP's vision tower, after the final norm, not projected.

    Attributes:
        cls (Tensor): Feature of the whole image, shape (n, d).
        patches (Tensor): Features of the patches, shape (n, p, d).
        aligned (Tensor): Features of the patches that, once projected, can be compared with texts, shape (n, p, d).
    """

    cls: Tensor
    patches: Tensor
    aligned: Tensor


def _build_adapters(
    width: int, layers: int, first: int | None = None, last: int | None = None, **options: Any
) -> nn.ModuleDict:
    first = layers // 2 if first is None else first
    last = layers - 1 if last is None else last
    if not 0 <= first <= last < layers:
        raise ConfigError(
            f'CLIPVisionTransformer: adapters from block {first} to {last}, but blocks are 0 to {layers - 1}.'
        )
    config = dict(type='BottleneckAdapter', width=width) | options
    return nn.ModuleDict({str(number): MODELS.build(config) for number in range(first, last + 1)})


@MODELS.register_module()
class CLIPVisionTransformer(nn.Module):
    """CLIP's vision tower over single frames, with the dense features that FG-CLIP pools regions from.

    Radford et al., 2021, arXiv:2103.00020. Dense features as in Xie et al., "FG-CLIP: Fine-Grained Visual and Textual
    Alignment", 2025, arXiv:2505.05071 (github.com/360CVGroup/FG-CLIP): the hidden state goes through the last block
    with attention replaced by its value and output projections, then through the final norm.

    Computes only what is used: the last block attends for CLS only, and dense features are computed only for the frames
    in ``dense_mask``.

    ::

        frames -> patches + CLS + positions -> norm -> blocks 1 .. L-1 -+-> block L, CLS query only  -> norm -> cls
                                                                       +-> block L, value path only -> norm -> dense

    For captioning, :meth:`forward_patches` returns all patches of an image: the ordinary ones, and those of the last
    block with correlative attention (Wang et al., "SCLIP", 2024, arXiv:2312.01597), which can be compared with texts.

    Args:
        image_size (int): Height and width of a frame, in pixels.
        patch_size (int): Height and width of a patch, in pixels; a divisor of ``image_size``.
        width (int): Channels D.
        layers (int): Number of blocks, >= 1.
        heads (int): Attention heads.
        mlp_ratio (float): Hidden width of the MLPs divided by D.
        hidden_act (str): ``quick_gelu`` (OpenAI's weights) or ``gelu``.
        chunk_size (int | None): Frames encoded at once; all by default. It bounds memory in testing and, with
            ``with_cp``, in training. The result does not depend on it.
        with_cp (bool): Activation checkpointing of every block: less memory, about a third more compute in training.
        compiled (bool | str): Run the blocks through torch.compile: faster on a GPU, after a minute of compilation. The
            result is the same up to rounding. A string names a backend of torch.compile other than ``inductor``.
        adapters (dict | None): Options of the bottleneck adapters after attention: ``first`` and ``last``, the first
            and last block with an adapter, from 0 (by default the upper half of the blocks), and ``ratio``, see
            :class:`BottleneckAdapter`. None for no adapters.
        prompts (dict | None): Options of the learnt tokens in every block: ``num_tokens``, ``dropout`` and
            ``dropout_per_image``, see :class:`DeepPrompts`. None for no prompts.
        frozen (bool): Freeze CLIP's own weights; only adapters and prompts are trained.
        aligned (str): How :meth:`forward_patches` aligns patches with texts: ``correlative`` (SCLIP) or ``ordinary``.

    Raises:
        ConfigError: ``patch_size`` does not divide ``image_size``, ``layers`` or ``chunk_size`` is below 1, ``aligned``
            is unknown, or ``adapters`` names a block that does not exist.
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
        compiled: bool | Backend = False,
        adapters: Annotated[dict, _build_adapters] | None = None,
        prompts: Annotated[dict, 'DeepPrompts'] | None = None,
        frozen: bool = False,
        aligned: str = 'correlative',
    ) -> None:
        super().__init__()
        if image_size % patch_size:
            raise ConfigError(f'CLIPVisionTransformer: image_size={image_size} is not a multiple of {patch_size=}.')
        if chunk_size is not None and chunk_size < 1:
            raise ConfigError(f'CLIPVisionTransformer: chunk_size={chunk_size}; give at least 1, or None for all.')
        if layers < 1:
            raise ConfigError(f'CLIPVisionTransformer: layers={layers}; at least 1 is needed.')
        if aligned not in ('correlative', 'ordinary'):
            raise ConfigError(f"CLIPVisionTransformer: aligned={aligned!r} is neither 'correlative' nor 'ordinary'.")
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
        self.compiled = compiled
        if compiled:
            compile_blocks(self.blocks, compiled)
        self.aligned = aligned
        self.frozen = frozen
        if frozen:
            self.requires_grad_(False)
        # Created after freezing: adapters and prompts are always trained.
        for option, value in (('adapters', adapters), ('prompts', prompts)):
            if value is not None and not isinstance(value, dict):
                raise ConfigError(f'CLIPVisionTransformer: {option} is a dict of options or None, not {value!r}.')
        self.adapters = nn.ModuleDict() if adapters is None else _build_adapters(width, layers, **adapters)
        sizes = dict(width=width, blocks=layers, patch_size=patch_size)
        self.prompts = None if prompts is None else MODELS.build(dict(type='DeepPrompts') | sizes | prompts)

    @property
    def num_image_tokens(self) -> int:
        """Number of tokens of an image without prompts: CLS and patches."""
        return 1 + self.grid_size**2

    @property
    def first_trained_block(self) -> int:
        """Index of the first block with trained weights, at most the last; its input is constant in training."""
        if not self.frozen or self.prompts is not None:
            return 0
        return min([int(number) for number in self.adapters] + [len(self.blocks) - 1])

    def forward(self, frames: Tensor, dense_mask: Tensor | None = None) -> tuple[Tensor, Tensor | None]:
        """Encode frames.

        Args:
            frames (Tensor): Normalised pixels, shape (n, 3, image_size, image_size).
            dense_mask (Tensor | None): Frames whose dense features are requested, bool, shape (n,).

        Returns:
            tuple: CLS features after the final norm, not projected, shape (n, d); and patch features after the final
            norm of the m frames in ``dense_mask``, in order, shape (m, d, grid, grid), None without a mask.

        Raises:
            DataError: The frames are not ``image_size`` pixels high and wide.
        """
        self._check_size(frames)
        cls_nd, dense_mpd = encode_in_chunks(self._encode, frames, dense_mask, self.chunk_size)
        if dense_mpd is None:
            return cls_nd, None
        return cls_nd, dense_mpd.transpose(1, 2).unflatten(2, (self.grid_size, self.grid_size))

    def forward_all(self, frames: Tensor) -> tuple[Tensor, Tensor]:
        """As :meth:`forward` with the dense features of every frame, in one chunk: shapes do not depend on values.

        Args:
            frames (Tensor): Normalised pixels, shape (n, 3, image_size, image_size).

        Returns:
            tuple: CLS features, shape (n, d), and patch features, shape (n, d, grid, grid).
        """
        ((cls_nd, dense_npd),) = self._encode([frames], [slice(None)])
        assert dense_npd is not None
        return cls_nd, dense_npd.transpose(1, 2).unflatten(2, (self.grid_size, self.grid_size))

    def forward_patches(self, inputs: Tensor) -> PatchFeatures:
        """Encode images with all their patches, ordinary and aligned with texts.

        Args:
            inputs (Tensor): Normalised pixels, shape (n, 3, image_size, image_size), or the output of
                :meth:`embed_frozen`, shape (n, 1 + p, d).

        Raises:
            DataError: The images are not ``image_size`` pixels high and wide, or the tokens are of another tower.
        """
        if self.chunk_size and not torch.is_grad_enabled() and len(inputs) > self.chunk_size:
            parts = [self.forward_patches(part) for part in inputs.split(self.chunk_size)]
            return PatchFeatures(*(torch.cat(part) for part in zip(*parts, strict=True)))
        if inputs.ndim == 3:
            if inputs.shape[1:] != (self.num_image_tokens, self.width):
                raise DataError(
                    f'CLIPVisionTransformer: stored patches of shape {tuple(inputs.shape[1:])}, but this tower has '
                    f'{(self.num_image_tokens, self.width)}. They were made with another backbone or image_size.'
                )
            hidden, first = inputs.to(self.class_embedding.dtype), self.first_trained_block
        else:
            self._check_size(inputs)
            hidden, first = self._embed(inputs), 0
        prompts = self._prompts()
        for number in range(first, len(self.blocks) - 1):
            hidden = self._run(self._block, hidden, number, self._of_images(prompts[number], hidden))
        tokens, aligned = self._run(self._aligned_block, hidden, self._of_images(prompts[-1], hidden))
        tokens, aligned = self._norm(tokens), self._norm(aligned)
        return PatchFeatures(tokens[:, 0], tokens[:, 1:], aligned)

    @torch.no_grad()
    def embed_frozen(self, frames: Tensor) -> Tensor:
        """Output of the untrained part of :meth:`forward_patches`: the input of :attr:`first_trained_block`.

        Args:
            frames (Tensor): Normalised pixels, shape (n, 3, image_size, image_size).

        Returns:
            Tensor: CLS and patches, shape (n, 1 + p, d).

        Raises:
            ConfigError: The first block is trained, or it reads prompts, which are trained.
            DataError: The frames are not ``image_size`` pixels high and wide.
        """
        self.check_reusable()
        self._check_size(frames)
        hidden = self._embed(frames)
        for number in range(self.first_trained_block):
            hidden = self._block(hidden, number, None)
        return hidden

    def check_reusable(self) -> None:
        """Check that the first blocks of the tower are frozen, so that their output can be stored.

        Raises:
            ConfigError: The first block is trained or reads trained prompts.
        """
        if not self.first_trained_block:
            why = 'its first block learns'
            if self.frozen and self.prompts is not None:
                why = 'prompts learn, and its first block reads them'
            elif self.frozen and len(self.blocks) > 1:
                why = 'the adapter of its first block learns'
            raise ConfigError(
                f'CLIPVisionTransformer: its patches change in training and cannot be stored, since {why}. Storing '
                'patches needs frozen=True, no prompts, and no adapter in the first block.'
            )

    def _check_size(self, frames: Tensor) -> None:
        if frames.shape[-2:] != (self.image_size, self.image_size):
            raise DataError(
                f'CLIPVisionTransformer: frames of {frames.shape[-2]}x{frames.shape[-1]} pixels, but '
                f'image_size={self.image_size}. Give the data pipeline and the model the same image_size.'
            )

    def _encode(self, parts: list[Tensor], rows: Sequence[Tensor | slice | None]) -> list[tuple[Tensor, Tensor | None]]:
        prompts = self._prompts()
        hidden = [self._embed(part) for part in parts]
        for number in range(len(self.blocks) - 1):
            hidden = [self._run(self._block, x, number, self._of_images(prompts[number], x)) for x in hidden]
        last = [
            self._run(self._last_block, x, row, self._of_images(prompts[-1], x))
            for x, row in zip(hidden, rows, strict=True)
        ]
        return [(self._norm(cls), None if dense is None else self._norm(dense)) for cls, dense in last]

    def _run(self, function: Callable, *args: Any) -> Any:
        """Call a function, which must not draw random numbers, with activation checkpointing if ``with_cp`` is set."""
        if self.with_cp and torch.is_grad_enabled():
            return checkpoint(function, *args, use_reentrant=False, preserve_rng_state=False)
        return function(*args)

    def _block(self, hidden: Tensor, number: int, prompts_td: Tensor | None) -> Tensor:
        return self.blocks[number](self._put(hidden, prompts_td), adapter=self._adapter(number))

    def _last_block(
        self, hidden: Tensor, dense_rows: Tensor | slice | None, prompts_td: Tensor | None
    ) -> tuple[Tensor, Tensor | None]:
        adapter = self._adapter(len(self.blocks) - 1)
        return self.blocks[-1].forward_last(self._put(hidden, prompts_td), dense_rows, self.num_image_tokens, adapter)

    def _aligned_block(self, hidden: Tensor, prompts_td: Tensor | None) -> tuple[Tensor, Tensor]:
        adapter, correlative = self._adapter(len(self.blocks) - 1), self.aligned == 'correlative'
        return self.blocks[-1].forward_aligned(
            self._put(hidden, prompts_td), self.num_image_tokens, adapter, correlative
        )

    def _adapter(self, number: int) -> nn.Module | None:
        return self.adapters[str(number)] if str(number) in self.adapters else None  # noqa: SIM401 (it has no get)

    def _prompts(self) -> Tensor | list[None]:
        """Prompts of each block; their dropout is drawn here, because a checkpointed block would draw it twice."""
        return [None] * len(self.blocks) if self.prompts is None else self.prompts()

    def _of_images(self, prompts_td: Tensor | None, hidden: Tensor) -> Tensor | None:
        """Prompts for each image of ``hidden``, drawn outside of checkpointed blocks for the same reason."""
        return (
            None if prompts_td is None or self.prompts is None else self.prompts.of_images(prompts_td, hidden.shape[0])
        )

    def _put(self, hidden: Tensor, prompts_td: Tensor | None) -> Tensor:
        return hidden if prompts_td is None else put_prompts(hidden, self.num_image_tokens, prompts_td)

    def _norm(self, x: Tensor) -> Tensor:
        return self.post_norm(x if self.prompts is None else self.prompts.norm(x))

    def _embed(self, frames: Tensor) -> Tensor:
        patches = self.patch_embedding(frames).flatten(2).transpose(1, 2)
        cls = self.class_embedding.expand(frames.shape[0], 1, -1)
        hidden = self.pre_norm(torch.cat([cls, patches], dim=1) + self.positional_embedding)
        return any_size(hidden, 0) if self.compiled else hidden
