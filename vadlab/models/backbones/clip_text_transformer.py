# Shapes: k texts, u distinct texts, l tokens, d width.
import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from vadlab.registry import MODELS
from vadlab.utils.errors import ConfigError, DataError

from ..layers.compiled_blocks import Backend, any_size, compile_blocks
from ..layers.distinct import distinct
from ..layers.host_copy import to_device
from ..layers.layer_norm import LayerNorm
from ..layers.long_positions import KEPT_POSITIONS, stretch_positions
from ..layers.residual_attention_block import ResidualAttentionBlock


@MODELS.register_module()
class CLIPTextTransformer(nn.Module):
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
        super().__init__()
        if long_context_length is not None and not KEPT_POSITIONS + 2 <= context_length <= long_context_length:
            raise ConfigError(
                f'CLIPTextTransformer: long_context_length={long_context_length} needs at least as many positions as '
                f'context_length={context_length}, and that at least {KEPT_POSITIONS + 2}; None switches it off.'
            )
        self.vocab_size = vocab_size
        self.context_length = context_length
        self.long_context_length = long_context_length
        self.width = width
        self.heads = heads
        self.hidden_act = hidden_act
        self.with_cp = with_cp
        self.token_embedding = nn.Embedding(vocab_size, width)
        self.positional_embedding = nn.Parameter(torch.randn(context_length, width) * 0.01)
        self.positional_embedding_long: nn.Parameter | None = None
        if long_context_length is not None:
            self.positional_embedding_long = nn.Parameter(torch.empty(long_context_length, width))
            self.stretch_positions()
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

    @torch.no_grad()
    def stretch_positions(self) -> None:
        """Fill the long table from the short one: copy the first 20 rows, stretch the rest by linear interpolation.

        77 positions become 248: 57 rows are stretched by a factor of exactly 4.
        """
        if self.positional_embedding_long is None:
            raise ConfigError('CLIPTextTransformer has no long position table; give long_context_length.')
        long = self.positional_embedding_long
        long.copy_(stretch_positions(self.positional_embedding, len(long)))

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
        table = self.positional_embedding_long if long else self.positional_embedding
        if table is None:
            raise ConfigError('CLIPTextTransformer has no long position table; give long_context_length.')
        if not tokens:
            return table.new_zeros(0, self.width)
        lengths = [len(t) for t in tokens]
        longest = max(lengths)
        if min(lengths) == 0 or longest > len(table):
            raise DataError(
                f'CLIPTextTransformer: texts of {min(lengths)} to {longest} tokens, but the '
                f'{"long" if long else "short"} position table takes 1 to {len(table)}. '
                + ('' if long else 'Longer texts take long=True, or are cut by the tokenizer (max_len).')
            )
        # On the host: on a GPU, unique and max wait for the device, and an index out of range breaks its context.
        firsts, text_of_k = distinct([tuple(t.tolist()) for t in tokens])
        greatest = max(int(tokens[k].max()) for k in firsts)
        if greatest >= self.vocab_size:
            raise DataError(
                f'CLIPTextTransformer: token id {greatest} is beyond the vocabulary of {self.vocab_size}. '
                'The tokenizer and the checkpoint do not belong together.'
            )
        ids_ul = nn.utils.rnn.pad_sequence([tokens[k] for k in firsts], batch_first=True)
        end_u = torch.tensor([lengths[k] - 1 for k in firsts])
        ids_ul, end_u = (to_device(x, table.device) for x in (ids_ul, end_u))
        states_ud = self._encode(self.token_embedding(ids_ul) + table[:longest], end_u)
        return states_ud[to_device(torch.tensor(text_of_k), table.device)]

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
        return self.final_norm(x[torch.arange(len(x), device=x.device), end_k])
