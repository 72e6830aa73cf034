# Shapes: b images, k captions per image, n = b * k captions in rows, l words, v vocabulary, p patches, d width, h heads
# of c channels, m layers.
from typing import NamedTuple

from torch import Tensor, nn

from vadlab.registry import MODELS
from vadlab.utils.errors import ConfigError, DataError

from ..layers.grid_positions import grid_positions
from ..layers.multi_head_attention import MultiHeadAttention
from .grid_encoder import feed_forward


class EncodedImages(NamedTuple):
    """Encoded features of b images, the input of a decoder.

    Attributes:
        grid (Tensor): Visual grid, shape (b, p, d).
        positions (Tensor): Position embeddings, added to the grid for the keys, shape (p, d).
        concepts (Tensor): Concept of each patch, int64, shape (b, p).
        visual (Tensor): Visual grid before attention to the concepts, shape (b, p, d).
    """

    grid: Tensor
    positions: Tensor
    concepts: Tensor
    visual: Tensor


class DecoderCache:
    """Cached keys and values for the next word: of the images, once per image, and of the words so far.

    Args:
        cross (list[tuple[Tensor, Tensor]]): Keys and values of the images per layer, shape (b, h, p, c) each.
        num_rows (int): Number of captions n, a multiple of the number of images.
        max_len (int): Maximum number of words.
    """

    def __init__(self, cross: list[tuple[Tensor, Tensor]], num_rows: int, max_len: int) -> None:
        self.cross = cross
        keys_bhpc = cross[0][0]
        _, heads, _, channels = keys_bhpc.shape
        # Positions first, then rows: reordering rows after each word then copies long contiguous blocks.
        self.words = keys_bhpc.new_empty(max_len, num_rows, len(cross), 2, heads, channels)
        self.length = 0

    @property
    def num_rows(self) -> int:
        """Number of captions n."""
        return self.words.shape[1]

    @property
    def num_images(self) -> int:
        """Number of images b."""
        return len(self.cross[0][0])

    def append(self, layer: int, key_nhc: Tensor, value_nhc: Tensor) -> tuple[Tensor, Tensor]:
        """Append a word's key and value; returns all keys and all values, shape (n, h, length + 1, c) each."""
        self.words[self.length, :, layer, 0] = key_nhc
        self.words[self.length, :, layer, 1] = value_nhc
        keys, values = self.words[: self.length + 1, :, layer].permute(2, 1, 3, 0, 4)
        return keys, values

    def reorder(self, rows_n: Tensor) -> None:
        """Replace row i by row ``rows_n[i]`` of the same image, in place."""
        past = self.words[: self.length]
        past.copy_(past.index_select(1, rows_n))


@MODELS.register_module()
class CaptionDecoder(nn.Module):
    """Autoregressive transformer decoder for captions.

    Vaswani et al., "Attention Is All You Need", 2017, arXiv:1706.03762: masked self-attention, cross-attention (image
    positions on keys only) and feed-forward layer, each followed by its residual and norm. Position embeddings of words
    are learnt and start from sinusoids.

    :meth:`forward` scores whole captions; :meth:`init_cache` and :meth:`step` give the same log-probabilities one word
    at a time. With the cache, the keys and values of an image are computed once for all its captions, and these
    captions are one sequence of queries in cross-attention.

    Args:
        vocab_size (int): Number of words v.
        width (int): Channels d.
        layers (int): Number of blocks, >= 1.
        heads (int): Attention heads.
        ffn_width (int): Hidden width of the feed-forward layers.
        dropout (float): Share of activations dropped in training.
        max_len (int): Number of positions: tokens of the longest caption, minus one, since the end is never an input.
        memory (dict | None): Config of the :class:`PrototypicalMemory` of each self-attention (``width`` and ``name``
            are set automatically); None for no memory.

    Raises:
        ConfigError: ``layers`` or ``max_len`` is less than 1.
    """

    def __init__(
        self,
        vocab_size: int,
        width: int = 512,
        layers: int = 3,
        heads: int = 8,
        ffn_width: int = 2048,
        dropout: float = 0.1,
        max_len: int = 54,
        memory: dict | None = None,
    ) -> None:
        super().__init__()
        if layers < 1 or max_len < 1:
            raise ConfigError(f'CaptionDecoder: layers={layers} and max_len={max_len} must be at least 1.')
        self.vocab_size = vocab_size
        self.max_len = max_len
        self.word_embedding = nn.Embedding(vocab_size, width)
        self.positional_embedding = nn.Parameter(grid_positions((max_len,), width))
        self.dropout = nn.Dropout(dropout)
        memories = [
            memory and MODELS.build(dict(type='PrototypicalMemory', width=width, name=f'memory {i + 1}') | memory)
            for i in range(layers)
        ]
        self.layers = nn.ModuleList(_DecoderLayer(width, heads, ffn_width, dropout, part) for part in memories)
        self.classifier = nn.Linear(width, vocab_size, bias=False)
        nn.init.xavier_uniform_(self.classifier.weight)

    def forward(self, words_nl: Tensor, images: EncodedImages, is_word_nl: Tensor | None = None) -> Tensor:
        """Log-probabilities of the next word at each position of whole captions.

        Args:
            words_nl (Tensor): Word ids, start first; tokens after a caption's end do not affect earlier positions. n is
                a multiple of the number of images: k captions of the first, k of the second, ...
            images (EncodedImages): Images encoded by :class:`FSGR`.
            is_word_nl (Tensor | None): True at words, False at padding, bool; used only by the memory, which must not
                keep padding.

        Returns:
            Tensor: float32, shape (n, l, v).

        Raises:
            DataError: There are more words than positions.
        """
        if words_nl.shape[1] > self.max_len:
            raise DataError(
                f'CaptionDecoder: captions of {words_nl.shape[1]} words, but max_len={self.max_len}. Cut them with '
                "TokenizeWords' max_len, or give the decoder more positions."
            )
        x_nld = self.dropout(self.word_embedding(words_nl) + self.positional_embedding[: words_nl.shape[1]])
        for layer in self.layers:
            x_nld = layer(x_nld, layer.image_keys_values(images), is_word_nl)
        return self.classifier(x_nld).float().log_softmax(dim=-1)

    def init_cache(self, images: EncodedImages, captions: int = 1, max_len: int | None = None) -> DecoderCache:
        """New cache for :meth:`step`.

        Args:
            images (EncodedImages): b encoded images.
            captions (int): Number of captions k per image that are generated at a time.
            max_len (int | None): Maximum number of words; all positions by default.

        Raises:
            ConfigError: There are more words than positions.
        """
        max_len = max_len or self.max_len
        if max_len > self.max_len:
            raise ConfigError(f'CaptionDecoder: captions of up to {max_len} words, but the decoder has {self.max_len}.')
        cross = [layer.image_keys_values(images) for layer in self.layers]
        return DecoderCache(cross, len(images.grid) * captions, max_len)

    def step(self, words_n: Tensor, cache: DecoderCache) -> Tensor:
        """Append one word to each caption and predict the next one.

        Args:
            words_n (Tensor): Word ids; the start id in the first step.
            cache (DecoderCache): Cache from :meth:`init_cache`; updated in place.

        Returns:
            Tensor: Log-probabilities of the next word, float32, shape (n, v).
        """
        x_nd = self.dropout(self.word_embedding(words_n) + self.positional_embedding[cache.length])
        for number, layer in enumerate(self.layers):
            x_nd = layer.step(x_nd, cache, number)
        cache.length += 1
        return self.classifier(x_nd).float().log_softmax(dim=-1)


class _DecoderLayer(nn.Module):
    def __init__(self, width: int, heads: int, ffn_width: int, dropout: float, memory: nn.Module | None) -> None:
        super().__init__()
        self.self_attention = MultiHeadAttention(width, heads, dropout)
        self.memory = memory
        self.norm1 = nn.LayerNorm(width)
        self.cross_attention = MultiHeadAttention(width, heads, dropout)
        self.norm2 = nn.LayerNorm(width)
        self.ffn = feed_forward(width, ffn_width, dropout)
        self.norm3 = nn.LayerNorm(width)
        self.dropout = nn.Dropout(dropout)

    def image_keys_values(self, images: EncodedImages) -> tuple[Tensor, Tensor]:
        """Projected keys and values of the images, shape (b, h, p, c) each."""
        attention = self.cross_attention
        keys = attention.split(attention.key(images.grid + images.positions))
        return keys, attention.split(attention.value(images.grid))

    def forward(self, x_nld: Tensor, image: tuple[Tensor, Tensor], is_word_nl: Tensor | None) -> Tensor:
        attention = self.self_attention
        query, key, value = attention.query(x_nld), attention.key(x_nld), attention.value(x_nld)
        split = attention.split(query), attention.split(key), attention.split(value)
        if self.memory is not None and self.memory.is_serving:
            mixed_nld = self.memory.attend(attention, *split, causal=True)
        else:
            mixed_nld = attention.attend(*split, causal=True)
        if self.memory is not None and self.training:
            self.memory.enqueue(key, value, is_word_nl)
        return self._read_image(x_nld, mixed_nld, image)

    def step(self, x_nd: Tensor, cache: DecoderCache, number: int) -> Tensor:
        attention = self.self_attention
        query, key, value = (
            layer(x_nd).unflatten(-1, (attention.heads, -1))
            for layer in (attention.query, attention.key, attention.value)
        )
        split = query[:, :, None], *cache.append(number, key, value)
        if self.memory is not None and self.memory.is_serving:
            mixed_nld = self.memory.attend(attention, *split)
        else:
            mixed_nld = attention.attend(*split)
        return self._read_image(x_nd[:, None], mixed_nld, cache.cross[number])[:, 0]

    def _read_image(self, x_nld: Tensor, mixed_nld: Tensor, image: tuple[Tensor, Tensor]) -> Tensor:
        x_nld = self.norm1(x_nld + self.dropout(mixed_nld))
        # The captions of an image are concatenated as queries, so its keys and values are not copied per caption.
        attention = self.cross_attention
        query_bqd = attention.query(x_nld).reshape(image[0].shape[0], -1, x_nld.shape[-1])
        read_nld = attention.attend(attention.split(query_bqd), *image).view_as(x_nld)
        x_nld = self.norm2(x_nld + self.dropout(read_nld))
        return self.norm3(x_nld + self.dropout(self.ffn(x_nld)))
