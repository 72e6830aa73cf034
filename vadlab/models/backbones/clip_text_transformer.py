# Shapes: k texts, u distinct texts, l tokens, d width.
import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from vadlab.registry import MODELS
from vadlab.utils.errors import DataError

from ..layers.compiled_blocks import Backend, any_size, compile_blocks
from ..layers.host_copy import to_device
from ..layers.layer_norm import LayerNorm
from ..layers.residual_attention_block import ResidualAttentionBlock
from .text_transformer import TextTransformer


@MODELS.register_module()
class CLIPTextTransformer(TextTransformer):
    """CLIP's text tower, with a second position table for long captions.

    Radford et al., 2021, arXiv:2103.00020; the long position table as in Xie et al., FG-CLIP, 2025, arXiv:2505.05071.

    Texts are padded to the longest of the batch, not to the table's length, and equal texts are encoded once. Neither
    changes the result: attention is causal and only the end token's state is used, so tokens after it have no effect.

    Args:
        vocab_size (int): Rows of the token table.
        context_length (int): Positions of the short table.
        long_context_length (int | None): Positions of the long table; None for no long table. It is initialised by
            stretching the short table.
        width (int): Channels D.
        layers (int): Number of blocks.
        heads (int): Attention heads.
        mlp_ratio (float): Hidden width of the MLPs divided by D.
        hidden_act (str): ``quick_gelu`` (OpenAI's weights) or ``gelu``.
        with_cp (bool): Activation checkpointing of every block.
        compiled (bool | str): Run the blocks through torch.compile: faster on a GPU, after a minute of compilation. The
            result is the same up to rounding. A string names a backend of torch.compile other than ``inductor``.

    Raises:
        ConfigError: The long table is shorter than the short one, or the short one is too short to stretch.
    """

    def __init__(
        self,
        vocab_size: int = 49408,
        context_length: int = 77,
        long_context_length: int | None = 248,
        width: int = 512,
        layers: int = 12,
        heads: int = 8,
        mlp_ratio: float = 4.0,
        hidden_act: str = 'quick_gelu',
        with_cp: bool = False,
        compiled: bool | Backend = False,
    ) -> None:
        super().__init__(vocab_size, context_length, long_context_length, width, position_std=0.01)
        self.heads = heads
        self.hidden_act = hidden_act
        self.with_cp = with_cp
        self.blocks = nn.ModuleList(
            ResidualAttentionBlock(width, heads, mlp_ratio, hidden_act, causal=True) for _ in range(layers)
        )
        self.final_norm = LayerNorm(width)
        nn.init.normal_(self.token_embedding.weight, std=0.02)
        for block in self.blocks:
            block.reset_parameters(layers)
        self.compiled = compiled
        if compiled:
            compile_blocks(self.blocks, compiled)

    def forward(self, tokens: list[Tensor], long: bool = False) -> Tensor:
        """Encode texts.

        Args:
            tokens (list[Tensor]): Token ids of k texts, with start and end id, unpadded, int64, shape (l_k,) each.
            long (bool): Use the long position table.

        Returns:
            Tensor: State at the end token after the final norm, not projected, shape (k, d).

        Raises:
            ConfigError: ``long`` without a long table.
            DataError: A text is empty or longer than the table, or an id is not in the vocabulary.
        """
        table = self._table(long)
        if not tokens:
            return table.new_zeros(0, self.width)
        texts, text_of_k = self._distinct_texts(tokens, long)
        ids_ul = nn.utils.rnn.pad_sequence(texts, batch_first=True)
        end_u = torch.tensor([len(text) - 1 for text in texts])
        ids_ul, end_u = (to_device(x, table.device) for x in (ids_ul, end_u))
        states_ud = self._encode(self.token_embedding(ids_ul) + table[: ids_ul.shape[1]], end_u)
        return states_ud[to_device(torch.tensor(text_of_k), table.device)]

    def forward_padded(self, ids_kl: Tensor, end_k: Tensor, is_long: Tensor | None = None) -> Tensor:
        """Encode padded texts, without checks: for export.

        Args:
            ids_kl (Tensor): Token ids, padded with any id, int64, shape (k, l).
            end_k (Tensor): Position of each text's end token, int64, shape (k,).
            is_long (Tensor | None): Whether to use the long position table, bool, scalar; None without such a table.

        Returns:
            Tensor: State at the end token after the final norm, not projected, shape (k, d).
        """
        table = self.positional_embedding
        if is_long is not None:
            longer = self._table(True)
            padded = torch.cat([table, longer[len(table) :]])  # a short text does not reach these rows
            table = torch.where(is_long, longer, padded)
        return self._encode(self.token_embedding(ids_kl) + table[: ids_kl.shape[1]], end_k)

    def forward_embeddings(self, embeds_kld: Tensor, end_k: Tensor) -> Tensor:
        """Encode texts that contain learnt vectors in place of words, with the short position table.

        Tokens after a text's end have no effect, so pad only to the longest text.

        Args:
            embeds_kld (Tensor): Token embeddings or learnt vectors, without position embeddings, shape (k, l, d).
            end_k (Tensor): Position of each text's end token, int64, shape (k,).

        Returns:
            Tensor: State at the end token after the final norm, not projected, shape (k, d).

        Raises:
            DataError: There are more tokens than positions in the table.
        """
        longest = embeds_kld.shape[1]
        if longest > self.context_length:
            raise DataError(
                f'CLIPTextTransformer: texts of {longest} tokens, but the short position table takes at most '
                f'{self.context_length}.'
            )
        return self._encode(embeds_kld + self.positional_embedding[:longest], end_k)

    def _encode(self, x: Tensor, end_k: Tensor) -> Tensor:
        """Run the blocks over tokens, shape (k, l, d); returns the states of the end tokens, shape (k, d)."""
        if self.compiled:
            x = any_size(x, 0, 1)
        for block in self.blocks:
            if self.with_cp and torch.is_grad_enabled():
                x = checkpoint(block, x, use_reentrant=False, preserve_rng_state=False)
            else:
                x = block(x)
        return self.final_norm(x[torch.arange(x.shape[0], device=x.device), end_k])
