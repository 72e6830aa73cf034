"""Caption decoding: greedy search, beam search and nucleus sampling.

A decoder must have ``init_cache(images, captions, max_len)`` and ``step(words, cache)``, as :class:`CaptionDecoder` and
:class:`CaptionEnsemble` do. Its cache must have ``num_images``, ``num_rows`` and ``reorder(rows)``.

Shape suffixes: b images, k captions per image, n = b * k captions in rows, l words, v vocabulary.
"""

import inspect
from collections.abc import Callable, Sequence
from itertools import groupby
from typing import Any, NamedTuple

import torch
from torch import Tensor

from vadlab.utils.config_check import option_problems
from vadlab.utils.errors import ConfigError
from vadlab.utils.suggest import nearest

from ..tokenizers.word_vocabulary import WordVocabulary

PAD, UNK, BOS, EOS = (
    WordVocabulary.pad_id, WordVocabulary.unk_id, WordVocabulary.bos_id, WordVocabulary.eos_id,
)  # fmt: skip
NEVER_WRITTEN = [PAD, UNK, BOS]


class Captions(NamedTuple):
    """Captions found by a search.

    Attributes:
        tokens (Tensor): Words, the end id (missing in captions of ``max_len`` words), then padding; int64, shape
            (b, l), or (b, k, l) for all captions, best first.
        scores (Tensor): Log-probability of each caption, including its end, float32, shape (b,) or (b, k).
    """

    tokens: Tensor
    scores: Tensor


@torch.no_grad()
def beam_search(
    decoder: Any,
    images: Any,
    beam_size: int = 5,
    max_len: int = 20,
    length_penalty: float = 0.0,
    return_all: bool = False,
) -> Captions:
    """Beam search for all images at once: keeps the ``beam_size`` most likely partial captions per image.

    A finished caption keeps its score and stays in the beam as long as it is among the most likely. The search stops
    when all captions are finished. If only the best caption is returned, it stops as soon as the best one cannot
    change.

    Args:
        decoder (Any): The decoder; for its interface, see the module.
        images (Any): Input of the decoder's ``init_cache``.
        beam_size (int): Number of partial captions k per image.
        max_len (int): Maximum number of words, including the end.
        length_penalty (float): Finished captions are ranked by score / length ** ``length_penalty``; 0 ranks by score.
            Returned scores are not divided.
        return_all (bool): Return all k captions per image, not only the best.

    Raises:
        ConfigError: ``beam_size`` or ``max_len`` is less than 1.
    """
    _at_least_one(beam_size=beam_size, max_len=max_len)
    cache = decoder.init_cache(images, beam_size, max_len)
    b, n = cache.num_images, cache.num_rows
    device = _device_of(images)
    tokens_bkl = torch.full((b, beam_size, max_len), PAD, device=device)
    words_n = torch.full((n,), BOS, device=device)
    # All beams start the same, so only the first may be extended in the first step.
    scores_bk = torch.full((b, beam_size), -torch.inf, device=device)
    scores_bk[:, 0] = 0
    ended_bk = torch.zeros(b, beam_size, dtype=torch.bool, device=device)
    first_row_b1 = torch.arange(b, device=device)[:, None] * beam_size
    for place in range(max_len):
        log_probs_bkv = _writable(decoder.step(words_n, cache)).unflatten(0, (b, beam_size))
        v = log_probs_bkv.shape[-1]
        # A finished caption has one continuation, padding, with log-probability 0.
        log_probs_bkv = log_probs_bkv.masked_fill(ended_bk[..., None], -torch.inf)
        log_probs_bkv[..., PAD].masked_fill_(ended_bk, 0)
        totals_bc = (scores_bk[..., None] + log_probs_bkv).flatten(1)
        scores_bk, choice_bk = totals_bc.topk(beam_size)
        parent_bk, words_bk = choice_bk // v, choice_bk % v
        tokens_bkl = tokens_bkl.gather(1, parent_bk[..., None].expand(-1, -1, max_len))
        tokens_bkl[..., place] = words_bk
        ended_bk = ended_bk.gather(1, parent_bk) | (words_bk == EOS)
        # Scores only decrease: if the best caption is finished, no other can overtake it.
        if (ended_bk if return_all or length_penalty else ended_bk[:, 0]).all():
            break
        cache.reorder((first_row_b1 + parent_bk).flatten())
        words_n = words_bk.flatten()
    if length_penalty:
        lengths_bk = (tokens_bkl != PAD).sum(-1)
        order_bk = (scores_bk / lengths_bk**length_penalty).argsort(dim=1, descending=True)
        scores_bk = scores_bk.gather(1, order_bk)
        tokens_bkl = tokens_bkl.gather(1, order_bk[..., None].expand_as(tokens_bkl))
    found = Captions(tokens_bkl, scores_bk)
    return found if return_all else Captions(found.tokens[:, 0], found.scores[:, 0])


def greedy_search(decoder: Any, images: Any, max_len: int = 20) -> Captions:
    """Greedy search: the most likely word at each step; beam search with one beam."""
    return beam_search(decoder, images, beam_size=1, max_len=max_len)


@torch.no_grad()
def nucleus_sample(
    decoder: Any,
    images: Any,
    top_p: float = 0.9,
    temperature: float = 1.0,
    max_len: int = 20,
    samples: int = 1,
    return_all: bool = False,
    generator: torch.Generator | None = None,
    seed: int | None = None,
) -> Captions:
    """Nucleus sampling: draw each word from the smallest set of most likely words with probability ``top_p``.

    Holtzman et al., "The Curious Case of Neural Text Degeneration", ICLR 2020, arXiv:1904.09751, section 3.1.

    Args:
        decoder (Any): The decoder; for its interface, see the module.
        images (Any): Input of the decoder's ``init_cache``.
        top_p (float): Probability of the nucleus, in (0, 1]; 1 draws from all words.
        temperature (float): Divisor of the log-probabilities before the nucleus is chosen, > 0.
        max_len (int): Maximum number of words, including the end.
        samples (int): Number of captions k per image.
        return_all (bool): Return all captions, not only the most likely.
        generator (torch.Generator | None): Random generator on the images' device; torch's default generator by
            default.
        seed (int | None): Seed of a new generator for this call, instead of ``generator``.

    Returns:
        Captions: Most likely first; scores are the decoder's own log-probabilities, over all words at temperature 1.

    Raises:
        ConfigError: An argument is out of its range, or both ``generator`` and ``seed`` are given.
    """
    _at_least_one(samples=samples, max_len=max_len)
    if not 0 < top_p <= 1 or temperature <= 0:
        raise ConfigError(f'nucleus: top_p={top_p} must be in (0, 1], temperature={temperature} above 0.')
    device = _device_of(images)
    if seed is not None:
        if generator is not None:
            raise ConfigError('nucleus: give generator or seed, not both.')
        generator = torch.Generator(device).manual_seed(seed)
    cache = decoder.init_cache(images, samples, max_len)
    n = cache.num_rows
    tokens_nl = torch.full((n, max_len), PAD, device=device)
    words_n = torch.full((n,), BOS, device=device)
    scores_n = torch.zeros(n, device=device)
    ended_n = torch.zeros(n, dtype=torch.bool, device=device)
    for place in range(max_len):
        log_probs_nv = _writable(decoder.step(words_n, cache))
        probs_nv, order_nv = (log_probs_nv / temperature).softmax(-1).sort(dim=-1, descending=True)
        outside_nv = probs_nv.cumsum(-1) - probs_nv >= top_p  # more likely words already reach top_p
        drawn_n1 = probs_nv.masked_fill(outside_nv, 0).multinomial(1, generator=generator)
        words_n = order_nv.gather(1, drawn_n1)[:, 0].masked_fill(ended_n, PAD)
        own_n = log_probs_nv.gather(1, words_n[:, None])[:, 0]
        scores_n = scores_n + own_n.masked_fill(ended_n, 0)
        tokens_nl[:, place] = words_n
        ended_n = ended_n | (words_n == EOS)
        if ended_n.all():
            break
    scores_bk, order_bk = scores_n.view(cache.num_images, samples).sort(dim=1, descending=True)
    tokens_bkl = tokens_nl.view(cache.num_images, samples, max_len)
    tokens_bkl = tokens_bkl.gather(1, order_bk[..., None].expand_as(tokens_bkl))
    found = Captions(tokens_bkl, scores_bk)
    return found if return_all else Captions(found.tokens[:, 0], found.scores[:, 0])


SEARCHES: dict[str, Callable[..., Captions]] = dict(beam=beam_search, greedy=greedy_search, nucleus=nucleus_sample)
_NOT_FROM_CONFIG = ('decoder', 'images', 'return_all', 'generator')


def check_decoding(decoding: dict) -> dict:
    """Check the config of a search and fill in its defaults.

    Args:
        decoding (dict): ``method`` (beam, greedy or nucleus) and arguments of that function.

    Returns:
        dict: The same, with all arguments.

    Raises:
        ConfigError: The method or an argument is unknown, or a value has another type.
    """
    options = dict(decoding)
    method = options.pop('method', 'beam')
    if method not in SEARCHES:
        raise ConfigError(f'decoding: there is no method {method!r}. {nearest(str(method), list(SEARCHES))}')
    parameters = inspect.signature(SEARCHES[method]).parameters
    known = {name: p.default for name, p in parameters.items() if name not in _NOT_FROM_CONFIG}
    for name in options:
        if name not in known:
            raise ConfigError(f'decoding: {method} takes no {name!r}. {nearest(name, list(known))}')
    if problems := option_problems(options, SEARCHES[method]):
        raise ConfigError(f'decoding: {" ".join(problems)}')
    return dict(method=method, **(known | options))


def search(decoder: Any, images: Any, decoding: dict) -> Captions:
    """Best caption of each image; ``decoding`` is a result of :func:`check_decoding`."""
    options = dict(decoding)
    return SEARCHES[options.pop('method')](decoder, images, **options)


def words_of(tokens: Sequence[int], remove_repeats: bool = False) -> list[int]:
    """Words of a caption, without its end and padding.

    Args:
        tokens (Sequence[int]): A row of :class:`Captions`.
        remove_repeats (bool): Remove a word that equals the word before it, as the evaluation of FSGR's public code
            (after Cornia et al., "Meshed-Memory Transformer", CVPR 2020, arXiv:1912.08226) does.
    """
    words = list(tokens)
    words = [word for word in (words[: words.index(EOS)] if EOS in words else words) if word != PAD]
    return [word for word, _ in groupby(words)] if remove_repeats else words


def _writable(log_probs_nv: Tensor) -> Tensor:
    """Mask special tokens that must not be generated."""
    log_probs_nv = log_probs_nv.clone()
    log_probs_nv[:, NEVER_WRITTEN] = -torch.inf
    return log_probs_nv


def _at_least_one(**numbers: int) -> None:
    for name, number in numbers.items():
        if number < 1:
            raise ConfigError(f'decoding: {name}={number} must be at least 1.')


def _device_of(images: Any) -> torch.device:
    first = images[0]
    return first.device if isinstance(first, Tensor) else _device_of(first)
