# Shapes: k texts, u distinct texts, l tokens, d width.
import torch
from torch import Tensor, nn

from vadlab.utils.errors import ConfigError, DataError

from ..layers.distinct import distinct
from ..layers.long_positions import KEPT_POSITIONS, stretch_positions


class TextTransformer(nn.Module):
    """Base of text towers: token embeddings, a position table, and a second one for long captions.

    Args:
        vocab_size (int): Rows of the token table.
        context_length (int): Positions of the short table.
        long_context_length (int | None): Positions of the long table; None for no long table. It is initialised by
            stretching the short table.
        width (int): Channels D.
        position_std (float): Standard deviation of the random position embeddings.

    Raises:
        ConfigError: The long table is shorter than the short one, or the short one is too short to stretch.
    """

    def __init__(
        self, vocab_size: int, context_length: int, long_context_length: int | None, width: int, position_std: float
    ) -> None:
        super().__init__()
        if long_context_length is not None and not KEPT_POSITIONS + 2 <= context_length <= long_context_length:
            raise ConfigError(
                f'{type(self).__name__}: long_context_length={long_context_length} needs at least as many positions as '
                f'context_length={context_length}, and that at least {KEPT_POSITIONS + 2}; None switches it off.'
            )
        self.vocab_size = vocab_size
        self.context_length = context_length
        self.long_context_length = long_context_length
        self.width = width
        self.token_embedding = nn.Embedding(vocab_size, width)
        self.positional_embedding = nn.Parameter(torch.randn(context_length, width) * position_std)
        self.positional_embedding_long: nn.Parameter | None = None
        if long_context_length is not None:
            self.positional_embedding_long = nn.Parameter(torch.empty(long_context_length, width))
            self.stretch_positions()

    @torch.no_grad()
    def stretch_positions(self) -> None:
        """Fill the long table from the short one: copy the first 20 rows, stretch the rest by linear interpolation.

        CLIP's 77 positions become 248 and SigLIP 2's 64 become 196: the other rows are stretched by exactly 4.
        """
        long = self._table(long=True)
        long.copy_(stretch_positions(self.positional_embedding, len(long)))

    def _table(self, long: bool) -> nn.Parameter:
        table = self.positional_embedding_long if long else self.positional_embedding
        if table is None:
            name = type(self).__name__
            raise ConfigError(f'{name} has no long position table; give long_context_length.')
        return table

    def _distinct_texts(self, tokens: list[Tensor], long: bool) -> tuple[list[Tensor], list[int]]:
        """Check texts, and group equal ones.

        All of it runs on the host: on a GPU, unique and max wait for the device, and an index out of range breaks its
        context.

        Args:
            tokens (list[Tensor]): Token ids of k texts, k >= 1, unpadded, int64, shape (l_k,) each.
            long (bool): Use the long position table.

        Returns:
            tuple[list[Tensor], list[int]]: The u distinct texts, and for each of the k texts its place among them.

        Raises:
            DataError: A text is empty or longer than the table, or an id is not in the vocabulary.
        """
        name, most = type(self).__name__, len(self._table(long))
        lengths = [len(text) for text in tokens]
        if min(lengths) == 0 or max(lengths) > most:
            raise DataError(
                f'{name}: texts of {min(lengths)} to {max(lengths)} tokens, but the {"long" if long else "short"} '
                f'position table takes 1 to {most}. '
                + ('' if long else 'Longer texts take long=True, or are cut by the tokenizer (max_len).')
            )
        ids = [tuple(text.tolist()) for text in tokens]
        firsts, text_of_k = distinct(ids)
        lowest, highest = min(min(ids[k]) for k in firsts), max(max(ids[k]) for k in firsts)
        if lowest < 0 or highest >= self.vocab_size:
            raise DataError(
                f'{name}: token id {lowest if lowest < 0 else highest} is beyond the vocabulary of {self.vocab_size}. '
                'The tokenizer and the checkpoint do not belong together.'
            )
        return [tokens[k] for k in firsts], text_of_k
