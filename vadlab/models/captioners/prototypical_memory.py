# Shapes: r kept pairs, m prototypes, d width, n captions, l words, q queries, h heads of c channels.
import logging
from typing import Any

import torch
from mmengine.logging import print_log
from torch import Tensor, nn

from vadlab.registry import MODELS
from vadlab.utils.errors import ConfigError

from ..layers.gather import gather_rows
from ..layers.multi_head_attention import MultiHeadAttention

_SUSPICIOUS_BATCHES = 256


@MODELS.register_module()
class PrototypicalMemory(nn.Module):
    """Memory of a self-attention layer: prototypes of keys and values from past training steps.

    Barraco et al., "With a Little Help from your own Past: Prototypical Memory Networks for Image Captioning", ICCV
    2023, arXiv:2308.12383: banks of the keys and values of the last T steps; key prototypes by k-means; value
    prototypes from the values of the keys nearest to each; learnt segment embeddings distinguish prototypes from the
    words' own keys. Prototypes are recomputed every ``refresh_every`` *optimizer* steps. The authors have published no
    code (github.com/aimagelab/PMA-Net). Details of this implementation:

    - Each step keeps only ``pairs_per_step`` random pairs, in half precision: all pairs of 1,500 steps would be about
      900,000 vectors per layer. With gradient accumulation, only the first batch of a step is used.
    - Segment embeddings start from zero. Without prototypes, the embedding of the own keys has no effect, so it is not
      added.

    The layer is unchanged until the first prototypes are computed: after ``refresh_every`` steps, once the bank has
    ``min_pairs``. Banks, prototypes and counters are in the checkpoint. K-means runs in torch on the device of the
    bank.

    Args:
        width (int): Channels d of keys and values, all heads together.
        steps (int): Steps T in the banks.
        pairs_per_step (int): Pairs of keys and values kept per step.
        num_prototypes (int): Number of prototypes m.
        refresh_every (int): Optimizer steps between two runs of k-means.
        min_pairs (int | None): Pairs needed for the first k-means; twice the prototypes by default.
        neighbours (int): Number of nearest keys whose values are averaged to a value prototype.
        weighting (str): ``mean``: equal weights; ``distance``: weights exp(-distance of their keys).
        iterations (int): Iterations of k-means (Lloyd's), which starts from the previous prototypes.
        name (str): Name of the memory in the log.

    Raises:
        ConfigError: A size is less than 1, ``weighting`` is unknown, or the banks are too small.
    """

    def __init__(
        self,
        width: int,
        steps: int = 1500,
        pairs_per_step: int = 32,
        num_prototypes: int = 1024,
        refresh_every: int = 500,
        min_pairs: int | None = None,
        neighbours: int = 16,
        weighting: str = 'mean',
        iterations: int = 10,
        name: str = 'prototypical memory',
    ) -> None:
        super().__init__()
        sizes = dict(
            steps=steps, pairs_per_step=pairs_per_step, num_prototypes=num_prototypes, refresh_every=refresh_every,
            neighbours=neighbours, iterations=iterations,
        )  # fmt: skip
        for key, size in sizes.items():
            if size < 1:
                raise ConfigError(f'PrototypicalMemory: {key}={size} must be at least 1.')
        if weighting not in ('mean', 'distance'):
            raise ConfigError(f"PrototypicalMemory: weighting={weighting!r} is neither 'mean' nor 'distance'.")
        size = steps * pairs_per_step
        self.min_pairs = 2 * num_prototypes if min_pairs is None else min_pairs
        if not num_prototypes <= self.min_pairs <= size or neighbours > self.min_pairs:
            raise ConfigError(
                f'PrototypicalMemory: banks of {steps} x {pairs_per_step} pairs must hold min_pairs={self.min_pairs}, '
                f'and these be no fewer than num_prototypes={num_prototypes} and neighbours={neighbours}.'
            )
        self.size = size
        self.pairs_per_step = pairs_per_step
        self.refresh_every = refresh_every
        self.neighbours = neighbours
        self.weighting = weighting
        self.iterations = iterations
        self.name = name
        self.own_segment = nn.Parameter(torch.zeros(width))
        self.prototype_segment = nn.Parameter(torch.zeros(width))
        self.register_buffer('bank_keys', torch.zeros(size, width, dtype=torch.float16))
        self.register_buffer('bank_values', torch.zeros(size, width, dtype=torch.float16))
        self.register_buffer('prototype_keys', torch.zeros(num_prototypes, width))
        self.register_buffer('prototype_values', torch.zeros(num_prototypes, width))
        # The counters are Python integers, which need no synchronisation; this buffer is their copy for the checkpoint.
        self.register_buffer('counters', torch.zeros(3, dtype=torch.long))
        self.num_enqueued = self.num_steps = self.num_refreshes = 0
        self._step_has_pairs = False
        self._batches_without_step = 0

    @property
    def fill(self) -> int:
        """Number of pairs in the banks."""
        return min(self.num_enqueued, self.size)

    @property
    def is_serving(self) -> bool:
        """Whether there are prototypes."""
        return self.num_refreshes > 0

    def attend(
        self,
        attention: MultiHeadAttention,
        query_nhqc: Tensor,
        key_nhkc: Tensor,
        value_nhkc: Tensor,
        causal: bool = False,
    ) -> Tensor:
        """As ``attention.attend``, with the prototypes as additional keys and values.

        Prototypes are the same for all captions, so they are not copied per caption.
        """
        split = attention.split
        own_1h1c = split(self.own_segment[None, None])
        keys_1hmc = split((self.prototype_keys + self.prototype_segment)[None]).to(query_nhqc.dtype)
        values_1hmc = split(self.prototype_values[None]).to(value_nhkc.dtype)
        own_nhqk = query_nhqc @ (key_nhkc + own_1h1c).transpose(-1, -2)
        if causal:
            future = torch.ones(own_nhqk.shape[-2:], dtype=torch.bool, device=own_nhqk.device).triu(1)
            own_nhqk = own_nhqk.masked_fill(future, -torch.inf)
        logits = torch.cat([own_nhqk, query_nhqc @ keys_1hmc.transpose(-1, -2)], dim=-1)
        share = (logits * query_nhqc.shape[-1] ** -0.5).softmax(dim=-1).to(value_nhkc.dtype)
        share = nn.functional.dropout(share, attention.dropout, self.training)
        own, prototypes = share.split([key_nhkc.shape[-2], len(self.prototype_keys)], dim=-1)
        mixed_nhqc = own @ value_nhkc + prototypes @ values_1hmc
        return attention.out(mixed_nhqc.transpose(1, 2).flatten(2))

    @torch.no_grad()
    def enqueue(self, keys_nld: Tensor, values_nld: Tensor, is_word_nl: Tensor | None = None) -> None:
        """Keep random keys and values of a step's first batch, which overwrite the oldest pairs.

        Args:
            keys_nld (Tensor): Projected keys, heads concatenated.
            values_nld (Tensor): Projected values, heads concatenated.
            is_word_nl (Tensor | None): True at words, False at padding, bool; padding is not kept. None if there is no
                padding.
        """
        self._warn_without_steps()
        if self._step_has_pairs:
            return
        self._step_has_pairs = True
        keys, values = keys_nld.flatten(0, 1), values_nld.flatten(0, 1)
        chances = torch.rand(len(keys), device=keys.device)
        if is_word_nl is not None:
            chances = chances.masked_fill(~is_word_nl.flatten(), -1.0)
        # The number of words is not read from the device; a batch with fewer words gives fewer pairs.
        chances, rows = chances.topk(min(self.pairs_per_step, len(keys)))
        rows = rows[chances >= 0]
        (keys, is_row), (values, _) = gather_rows(keys[rows].float()), gather_rows(values[rows].float())
        if is_row is not None:
            keys, values = keys[is_row][: self.pairs_per_step], values[is_row][: self.pairs_per_step]
        place = ((torch.arange(len(keys)) + self.num_enqueued) % self.size).to(keys.device)
        self.bank_keys[place] = keys.to(self.bank_keys)
        self.bank_values[place] = values.to(self.bank_values)
        self.num_enqueued += len(keys)
        self._save_counters()

    def before_train(self, max_steps: int) -> None:
        """Log the state and the step of the first prototypes; warn if the run is too short for them."""
        state = (
            f'{len(self.prototype_keys)} prototypes in use, computed {self.num_refreshes} times'
            if self.is_serving
            else f'no prototypes yet; the first come at optimizer step {self.refresh_every} or later'
        )
        print_log(f'{self.name}: {self.fill} of {self.size} pairs in the banks, {state}.', logger='current')
        if not self.is_serving and max_steps < self.refresh_every:
            print_log(
                f'{self.name}: this run has {max_steps} optimizer steps, so it never has prototypes. Lower '
                'refresh_every.',
                logger='current',
                level=logging.WARNING,
            )

    @torch.no_grad()
    def after_optimizer_step(self) -> None:
        """Count an optimizer step; recompute the prototypes every ``refresh_every`` steps."""
        self.num_steps += 1
        self._step_has_pairs = False
        self._batches_without_step = 0
        self._save_counters()
        if self.num_steps % self.refresh_every:
            return
        if self.fill < self.min_pairs:
            print_log(
                f'{self.name}: {self.fill} pairs after optimizer step {self.num_steps}, {self.min_pairs} are needed: '
                'no prototypes yet.',
                logger='current',
            )
            return
        self.refresh()

    @torch.no_grad()
    def refresh(self) -> None:
        """Recompute the prototypes from the banks."""
        keys_rd, values_rd = self.bank_keys[: self.fill].float(), self.bank_values[: self.fill].float()
        centres_md = self.prototype_keys
        if not self.is_serving:  # the same on every rank
            draw = torch.Generator().manual_seed(self.num_steps)
            rows = torch.randperm(len(keys_rd), generator=draw)[: len(centres_md)]
            centres_md = keys_rd[rows.to(keys_rd.device)]
        centres_md, spread = k_means(keys_rd, centres_md, self.iterations)
        self.prototype_keys.copy_(centres_md)
        self.prototype_values.copy_(value_prototypes(centres_md, keys_rd, values_rd, self.neighbours, self.weighting))
        self.num_refreshes += 1
        self._save_counters()
        print_log(
            f'{self.name}: {len(centres_md)} prototypes of {self.fill} pairs at optimizer step {self.num_steps}'
            f'{", the first: it serves from now on" if self.num_refreshes == 1 else ""} (mean distance of a key to '
            f'its prototype {spread:.3g}).',
            logger='current',
        )

    def _warn_without_steps(self) -> None:
        self._batches_without_step += 1
        if self._batches_without_step == _SUSPICIOUS_BATCHES and self.num_steps == 0:
            print_log(
                f'{self.name}: {_SUSPICIOUS_BATCHES} batches but no optimizer step was counted, so there are never any '
                "prototypes. Is dict(type='OptimizerStepHook') among the hooks?",
                logger='current',
                level=logging.WARNING,
            )

    def _save_counters(self) -> None:
        for place, count in enumerate((self.num_enqueued, self.num_steps, self.num_refreshes)):
            self.counters[place].fill_(count)

    def _load_from_state_dict(self, state_dict: dict, prefix: str, *args: Any, **kwargs: Any) -> None:
        super()._load_from_state_dict(state_dict, prefix, *args, **kwargs)
        if prefix + 'counters' in state_dict:
            self.num_enqueued, self.num_steps, self.num_refreshes = self.counters.tolist()
            self._step_has_pairs = False


def k_means(points_rd: Tensor, centres_md: Tensor, iterations: int) -> tuple[Tensor, float]:
    """Lloyd's k-means clustering.

    Args:
        points_rd (Tensor): Points to cluster, at least m.
        centres_md (Tensor): Initial centres.
        iterations (int): Maximum number of iterations; it stops when no point changes its centre.

    Returns:
        tuple: Centres, shape (m, d), and the mean distance of points to their centres. A centre without points moves to
        the point that is farthest from its centre.
    """
    owner_r: Tensor | None = None
    for _ in range(iterations):
        distance_r, new_r = _nearest(points_rd, centres_md)
        if owner_r is not None and torch.equal(new_r, owner_r):
            break
        owner_r = new_r
        count_m = torch.bincount(owner_r, minlength=len(centres_md))
        sums_md = torch.zeros_like(centres_md).index_add_(0, owner_r, points_rd)
        centres_md = sums_md / count_m.clamp(min=1)[:, None]
        empty = (count_m == 0).nonzero()[:, 0]
        centres_md[empty] = points_rd[distance_r.topk(len(empty)).indices]
    return centres_md, float(_nearest(points_rd, centres_md)[0].mean())


def value_prototypes(
    centres_md: Tensor, keys_rd: Tensor, values_rd: Tensor, neighbours: int, weighting: str = 'mean'
) -> Tensor:
    """Mean of the values of the keys nearest to each centre, shape (m, d); see :class:`PrototypicalMemory`."""
    found = []
    for part in centres_md.split(256):  # bounds the memory of the distances
        distance_mk, row_mk = torch.cdist(part, keys_rd).topk(neighbours, largest=False)
        weight_mk = (
            (-distance_mk).softmax(-1) if weighting == 'distance' else torch.full_like(distance_mk, 1 / neighbours)
        )
        found.append((weight_mk[..., None] * values_rd[row_mk]).sum(1))
    return torch.cat(found)


def _nearest(points_rd: Tensor, centres_md: Tensor) -> tuple[Tensor, Tensor]:
    """Distance to and index of the nearest centre, computed in parts to bound the memory; shape (r,) each."""
    parts = [torch.cdist(part, centres_md).min(dim=1) for part in points_rd.split(8192)]
    return torch.cat([part.values for part in parts]), torch.cat([part.indices for part in parts])
