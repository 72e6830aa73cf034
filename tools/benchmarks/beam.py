"""Beam search, compared with a plain one that caches keys and values, and with ones that recompute each prefix."""

from typing import Any

import torch

from .harness import Entry, Report, compete, limit

KEPT = 'keys and values kept per beam'
KINDS = {KEPT: 'kept', 'prefix again': 'prefix', 'prefix again, beams share an image': 'shared', 'VADLab': 'ours'}
SIZES = {
    'published': dict(vocab=10_000, width=512, layers=3, heads=8, ffn=2048, patches=196),
    'tiny': dict(vocab=50, width=16, layers=2, heads=2, ffn=32, patches=9),
}


class PlainCache:
    """The words so far; nothing else is cached."""

    def __init__(self, images: Any, captions: int, shared: bool) -> None:
        self.num_images = len(images.grid)
        self.num_rows = self.num_images * captions
        self.images = images if shared else images._replace(grid=images.grid.repeat_interleave(captions, 0))
        self.words = torch.zeros(self.num_rows, 0, dtype=torch.long)

    def reorder(self, rows_n: torch.Tensor) -> None:
        """Reorder the rows by beam."""
        self.words = self.words[rows_n]


class PlainDecoder:
    """A decoder for :func:`beam_search` that recomputes the whole prefix for every word.

    Args:
        decoder: Our decoder.
        shared: The beams of an image share its keys and values, as in ours. Otherwise each beam is encoded as its own
            image, as in most searches without a cache.
    """

    def __init__(self, decoder: Any, shared: bool) -> None:
        self.decoder = decoder
        self.shared = shared

    def init_cache(self, images: Any, captions: int = 1, max_len: int | None = None) -> PlainCache:
        """The initial cache for :meth:`step`."""
        return PlainCache(images, captions, self.shared)

    def step(self, words_n: torch.Tensor, cache: PlainCache) -> torch.Tensor:
        """Log-probabilities of the next word."""
        cache.words = torch.cat([cache.words, words_n[:, None]], dim=1)
        return self.decoder(cache.words, cache.images)[:, -1]


class KeptCache:
    """Keys and values of the words so far, and of an image once per beam, as cached by transformers' ``generate``."""

    def __init__(self, decoder: Any, images: Any, captions: int) -> None:
        self.num_images = len(images.grid)
        self.num_rows = self.num_images * captions
        images = images._replace(grid=images.grid.repeat_interleave(captions, 0))
        self.cross = [layer.image_keys_values(images) for layer in decoder.layers]
        self.words: list[tuple[torch.Tensor, torch.Tensor] | None] = [None] * len(decoder.layers)
        self.length = 0

    def reorder(self, rows_n: torch.Tensor) -> None:
        """Row i continues row ``rows_n[i]``. Keys and values of images are not reordered: a beam stays in its image."""
        self.words = [part and (part[0][rows_n], part[1][rows_n]) for part in self.words]


class KeptDecoder:
    """A plain decoder for :func:`beam_search` that computes each word once.

    Args:
        decoder: Our decoder.
    """

    def __init__(self, decoder: Any) -> None:
        self.decoder = decoder

    def init_cache(self, images: Any, captions: int = 1, max_len: int | None = None) -> KeptCache:
        """The initial cache for :meth:`step`."""
        return KeptCache(self.decoder, images, captions)

    def step(self, words_n: torch.Tensor, cache: KeptCache) -> torch.Tensor:
        """Log-probabilities of the next word."""
        decoder = self.decoder
        x_n1d = (decoder.word_embedding(words_n) + decoder.positional_embedding[cache.length])[:, None]
        for number, layer in enumerate(decoder.layers):
            own = layer.self_attention
            key, value = own.split(own.key(x_n1d)), own.split(own.value(x_n1d))
            if (past := cache.words[number]) is not None:
                key, value = torch.cat([past[0], key], dim=2), torch.cat([past[1], value], dim=2)
            cache.words[number] = key, value
            x_n1d = layer.norm1(x_n1d + own.attend(own.split(own.query(x_n1d)), key, value))
            other = layer.cross_attention
            read = other.attend(other.split(other.query(x_n1d)), *cache.cross[number])
            x_n1d = layer.norm2(x_n1d + read)
            x_n1d = layer.norm3(x_n1d + layer.ffn(x_n1d))
        cache.length += 1
        return decoder.classifier(x_n1d[:, 0]).float().log_softmax(dim=-1)


class BeamJob:
    """The captions of a batch of images by beam search, all ``length`` words long.

    Args:
        kind: ``kept`` (see :class:`KeptDecoder`), ``prefix``, ``shared`` (see :class:`PlainDecoder`) or ``ours``.
        size: A key of :data:`SIZES`.
        images: Images of the batch.
        beams: Beams per image.
        length: Number of words.
    """

    def __init__(self, kind: str, size: str, images: int, beams: int = 5, length: int = 20) -> None:
        from vadlab.models.captioners.caption_decoder import CaptionDecoder, EncodedImages
        from vadlab.models.captioners.decoding import EOS

        chosen = SIZES[size]
        torch.manual_seed(0)
        decoder = CaptionDecoder(
            chosen['vocab'], chosen['width'], chosen['layers'], chosen['heads'], chosen['ffn'], max_len=54
        ).eval()
        with torch.no_grad():  # different captions, none of which ends early
            torch.nn.init.normal_(decoder.classifier.weight, std=0.1)
            decoder.word_embedding.weight[EOS] = 0
            decoder.classifier.weight[EOS] = 0
        self.decoder = decoder
        if kind == 'kept':
            self.decoder = KeptDecoder(decoder)
        elif kind != 'ours':
            self.decoder = PlainDecoder(decoder, kind == 'shared')
        grid = torch.randn(images, chosen['patches'], chosen['width'])
        positions = torch.randn(chosen['patches'], chosen['width'])
        self.images = EncodedImages(grid, positions, torch.zeros(images, chosen['patches'], dtype=torch.long), grid)
        self.options = dict(beam_size=beams, max_len=length, return_all=True)

    def run(self) -> dict[str, Any]:
        """The captions as text, for comparison, and their scores."""
        from vadlab.models.captioners.decoding import beam_search

        found = beam_search(self.decoder, self.images, **self.options)
        return dict(
            words=' '.join(map(str, found.tokens.flatten().tolist())),
            scores=' '.join(f'{score:.6f}' for score in found.scores.flatten().tolist()),
        )


def run(runs: int = 5, size: str = 'published', batches: tuple[int, ...] = (10, 1)) -> Report:
    """Measure beam search.

    Args:
        runs: Runs per comparison.
        size: A key of :data:`SIZES`.
        batches: Batch sizes, in images.
    """
    report = Report()
    for images in batches:
        case = f'{images} image{"s" if images > 1 else ""}, 5 beams of 20 words'
        first: dict[str, Any] = {}
        entries = [
            Entry(name, 'beam:BeamJob', dict(kind=kind, size=size, images=images), units=images, threads=1)
            for name, kind in KINDS.items()
        ]
        rows = compete('beam', case, entries, runs, KEPT, 'images/s', on_first=first.__setitem__)
        for row in rows:
            row.details = {}
        report.rows += rows
        for row in rows[1:]:
            if row.name in first:
                report.errors += compare(first[KEPT], first[row.name], f'{case}, {row.name}')
            else:
                report.errors.append(f'beam, {case}: {row.name}: {row.note}')
        ratio = rows[-1].cpu_ratio  # one thread each; CPU time does not depend on other load of the machine
        report.targets.append(limit(f'beam, {case}: times as fast', 1.0, 1 / ratio.median if ratio else None, True))
    return report


def compare(plain: dict[str, Any], ours: dict[str, Any], case: str) -> list[str]:
    """Differences of captions, and of scores by more than 1e-5 relative."""
    if plain['words'] != ours['words']:
        return [f'beam, {case}: other captions are found']
    pairs = zip(map(float, plain['scores'].split()), map(float, ours['scores'].split()), strict=True)
    worst = max(abs(a - b) / max(1.0, abs(a)) for a, b in pairs)
    return [] if worst <= 1e-5 else [f'beam, {case}: scores differ by {worst:.2g}']
