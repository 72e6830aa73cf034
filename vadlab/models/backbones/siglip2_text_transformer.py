# Shapes: k texts, u distinct texts, l positions, d width.
import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from vadlab.registry import MODELS
from vadlab.utils.errors import ConfigError

from ..layers.compiled_blocks import Backend, any_size, compile_blocks
from ..layers.host_copy import to_device
from ..layers.layer_norm import LayerNorm
from ..layers.siglip2_blocks import build_siglip2_blocks, run_block, siglip2_config
from .text_transformer import TextTransformer


@MODELS.register_module()
class SigLIP2TextTransformer(TextTransformer):
    """SigLIP 2's text tower without its head, with FG-CLIP 2's second position table for long captions.

    Tschannen et al., "SigLIP 2", 2025, arXiv:2502.14786; the long path as in Xie et al., "FG-CLIP 2", 2025,
    arXiv:2510.10921. The blocks are those of transformers.

    Attention is not causal and sees the padding, and a text's feature is the state at the last position, which is
    mostly padding. So texts are padded to the length of the position table, as the weights were trained. Equal texts
    are encoded once.

    Args:
        vocab_size (int): Rows of the token table.
        context_length (int): Positions of the short table.
        long_context_length (int | None): Positions of the long table; None for no long table. It is initialised by
            stretching the short table.
        width (int): Channels d.
        layers (int): Number of blocks.
        heads (int): Attention heads.
        mlp_ratio (float): Hidden width of the MLPs divided by d.
        pad_id (int): Token id of the padding, the tokenizer's own.
        with_cp (bool): Activation checkpointing of every block.
        compiled (bool | str): Run the blocks through torch.compile: faster on a GPU, after a minute of compilation. The
            result is the same up to rounding. A string names a backend of torch.compile other than ``inductor``.

    Raises:
        ConfigError: The long table is shorter than the short one, the short one is too short to stretch, or ``pad_id``
            is not in the vocabulary.
    """

    def __init__(
        self,
        vocab_size: int = 256000,
        context_length: int = 64,
        long_context_length: int | None = 196,
        width: int = 768,
        layers: int = 12,
        heads: int = 12,
        mlp_ratio: float = 4.0,
        pad_id: int = 0,
        with_cp: bool = False,
        compiled: bool | Backend = False,
    ) -> None:
        super().__init__(vocab_size, context_length, long_context_length, width, position_std=width**-0.5)
        if not 0 <= pad_id < vocab_size:
            raise ConfigError(f'SigLIP2TextTransformer: pad_id={pad_id} is not in the vocabulary of {vocab_size}.')
        self.heads = heads
        self.pad_id = pad_id
        self.with_cp = with_cp
        config = siglip2_config('text', width, layers, heads, mlp_ratio)
        self.blocks = build_siglip2_blocks(config)
        self.compiled = compiled
        if compiled:
            compile_blocks(self.blocks, compiled)
        self.final_norm = LayerNorm(width, eps=config.layer_norm_eps)
        nn.init.normal_(self.token_embedding.weight, std=width**-0.5)

    def forward(self, tokens: list[Tensor], long: bool = False) -> Tensor:
        """Encode texts.

        Args:
            tokens (list[Tensor]): Token ids of k texts, unpadded, int64, shape (l_k,) each; keep them on the CPU.
            long (bool): Use the long position table.

        Returns:
            Tensor: State at the last position after the final norm, before a head, shape (k, d).

        Raises:
            ConfigError: ``long`` without a long table.
            DataError: A text is empty or longer than the table, or an id is not in the vocabulary.
        """
        table = self._table(long)
        if not tokens:
            return table.new_zeros(0, self.width)
        texts, text_of_k = self._distinct_texts(tokens, long)
        ids_ul = torch.full((len(texts), len(table)), self.pad_id)
        for row, text in zip(ids_ul, texts, strict=True):
            row[: len(text)] = text
        x_uld = self.token_embedding(to_device(ids_ul, table.device)) + table
        if self.compiled:
            x_uld = any_size(x_uld, 0)
        for block in self.blocks:
            if self.with_cp and torch.is_grad_enabled():
                x_uld = checkpoint(run_block, block, x_uld, use_reentrant=False, preserve_rng_state=False)
            else:
                x_uld = run_block(block, x_uld)
        return self.final_norm(x_uld[:, -1])[to_device(torch.tensor(text_of_k), table.device)]
