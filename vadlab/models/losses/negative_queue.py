import logging
from typing import Any

import torch
from mmengine.logging import print_log
from torch import Tensor, nn

from vadlab.registry import MODELS
from vadlab.utils.errors import ConfigError

from ..layers.host_copy import to_device

_AUTO_WARMUP = 50
_SUSPICIOUS_BATCHES = 256


@MODELS.register_module()
class NegativeQueue(nn.Module):
    """First-in-first-out queue of past pairs, used as additional negatives of a contrastive loss.

    He et al., "Momentum Contrast", 2020, arXiv:1911.05722, section 3.2, without the momentum encoder: entries are a few
    optimizer steps old. MoCo queues one side of each pair; this queue keeps both, because the loss is symmetric. It
    also keeps the id of each caption, because equal captions are not negatives of each other.

    The queue fills from the first batch, but is used only after ``warmup`` *optimizer* steps: early in training,
    embeddings change too fast for old ones to be useful. All state is in buffers. It is the same on every rank if the
    enqueued pairs are (gather first).

    Args:
        embed_dim (int): D, length of an embedding.
        size (int): Number of pairs kept.
        warmup (int | str): Optimizer steps before the queue is used, or 'auto': the smaller of 50 and a tenth of all
            steps (:meth:`before_train` gets their number).
        name (str): Name of the queue in the log.

    Raises:
        ConfigError: ``size`` is not positive, or ``warmup`` neither a count nor 'auto'.
    """

    def __init__(
        self, embed_dim: int, size: int = 128, warmup: int | str = 'auto', name: str = 'negative queue'
    ) -> None:
        super().__init__()
        if size < 1:
            raise ConfigError(f'NegativeQueue: size must be positive, got {size}. Switch it off by queue=None.')
        if warmup != 'auto' and not (isinstance(warmup, int) and warmup >= 0):
            raise ConfigError(f"NegativeQueue: warmup must be 'auto' or a number of optimizer steps, got {warmup!r}.")
        self.size = size
        self.name = name
        self._is_auto = warmup == 'auto'
        self.warmup = _AUTO_WARMUP if warmup == 'auto' else int(warmup)
        self.register_buffer('queries', torch.zeros(size, embed_dim))
        self.register_buffer('keys', torch.zeros(size, embed_dim))
        self.register_buffer('ids', torch.zeros(size, dtype=torch.long))
        # The counters are Python integers, which need no synchronisation; this buffer is their copy for the checkpoint.
        self.register_buffer('counters', torch.zeros(2, dtype=torch.long))
        self.num_enqueued = 0
        self.num_steps = 0
        self._batches_without_step = 0
        self._announced = False

    @property
    def fill(self) -> int:
        """Number of pairs in the queue."""
        return min(self.num_enqueued, self.size)

    @property
    def pointer(self) -> int:
        """Position that the next pair is written to."""
        return self.num_enqueued % self.size

    @property
    def is_serving(self) -> bool:
        """Whether the warm-up is over and the queue is not empty."""
        return self.num_steps >= self.warmup and self.fill > 0

    def negatives(self) -> dict[str, Tensor]:
        """Negatives as keyword arguments of :class:`InfoNCELoss`; empty during the warm-up."""
        if not self.is_serving:
            return {}
        # Copies, because the buffers are overwritten in place while the caller's graph still needs the values.
        queries, keys, ids = (buffer[: self.fill].clone() for buffer in (self.queries, self.keys, self.ids))
        return dict(extra_queries=queries, extra_query_ids=ids, extra_keys=keys, extra_key_ids=ids)

    @torch.no_grad()
    def enqueue(self, queries: Tensor, keys: Tensor, ids: Tensor) -> None:
        """Add pairs, which overwrite the oldest ones; call after the loss, so that a batch is not its own negative.

        Args:
            queries (Tensor): L2-normalised, shape (N, D); detached here.
            keys (Tensor): Their partners, shape (N, D).
            ids (Tensor): Ids of their captions, int64, shape (N,).

        Raises:
            ValueError: Lengths differ.
        """
        if not len(queries) == len(keys) == len(ids):
            raise ValueError(f'NegativeQueue: {len(queries)} queries, {len(keys)} keys, {len(ids)} ids.')
        skipped = max(len(ids) - self.size, 0)  # these would be overwritten by the same call
        place = (torch.arange(skipped, len(ids)) + self.num_enqueued) % self.size
        place = to_device(place, self.ids.device)
        for buffer, new in ((self.queries, queries), (self.keys, keys), (self.ids, ids)):
            buffer[place] = new[skipped:].detach().to(buffer, non_blocking=True)
        self.num_enqueued += len(ids)
        self._save_counters()
        self._announce_start()
        self._batches_without_step += 1
        if self._batches_without_step == _SUSPICIOUS_BATCHES and self.num_steps == 0:
            print_log(
                f'{self.name}: {_SUSPICIOUS_BATCHES} batches but no optimizer step was counted, so the queue never '
                "starts to serve. Is dict(type='OptimizerStepHook') among the hooks?",
                logger='current',
                level=logging.WARNING,
            )

    def before_train(self, max_steps: int) -> None:
        """Set the warm-up of 'auto' from the number of optimizer steps of the training."""
        if self._is_auto:
            self.warmup = min(_AUTO_WARMUP, max_steps // 10)
        state = 'serves from now on' if self.num_steps >= self.warmup else f'serves after {self.warmup} optimizer steps'
        print_log(
            f'{self.name}: {self.size} pairs, {self.fill} of them filled, {state} ({self.num_steps} taken).',
            logger='current',
        )
        self._announced = self.is_serving

    def after_optimizer_step(self) -> None:
        """Count one optimizer step (not one batch: accumulated batches are one step)."""
        self.num_steps += 1
        self._batches_without_step = 0
        self._save_counters()
        self._announce_start()

    def _announce_start(self) -> None:
        if self.is_serving and not self._announced:
            self._announced = True
            print_log(
                f'{self.name}: starts to serve {self.fill} negatives after optimizer step {self.num_steps}.',
                logger='current',
            )

    def _save_counters(self) -> None:
        self.counters[0].fill_(self.num_enqueued)
        self.counters[1].fill_(self.num_steps)

    def _load_from_state_dict(self, state_dict: dict, prefix: str, *args: Any, **kwargs: Any) -> None:
        super()._load_from_state_dict(state_dict, prefix, *args, **kwargs)
        if prefix + 'counters' in state_dict:
            self.num_enqueued, self.num_steps = self.counters.tolist()
