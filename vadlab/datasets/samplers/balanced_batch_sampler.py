"""Batches with equal numbers of normal and abnormal videos."""

from collections.abc import Iterator
from typing import Any

import torch
from mmengine.dataset import DefaultSampler

from ...registry import DATA_SAMPLERS
from ...utils.errors import ConfigError
from .resumable_batch_sampler import ResumableBatchSampler

EPOCH_LENGTHS = ('min', 'max')


@DATA_SAMPLERS.register_module()
class BalancedBatchSampler(ResumableBatchSampler):
    """Batch sampler whose batches have normal samples in the first half and abnormal ones in the second.

    Both halves are in random order. An epoch with ``min`` ends when the smaller class runs out of whole halves, as in
    VadCLIP's public code. With ``max`` it ends when the larger class does, and the smaller one is shuffled again each
    time it runs out, as with the two loaders over which RTFM and UR-DMU count iterations. Samples that do not fill a
    half are skipped in that epoch.

    The order depends on the sampler's seed and the epoch. Each process takes its own share of both classes.

    Args:
        sampler: A ``DefaultSampler`` with ``shuffle``; provides the data set, the seed, the epoch and the share.
        batch_size: Samples in a batch, both halves together, even.
        epoch_length: ``min`` or ``max``.

    Raises:
        ConfigError: The batch size is odd, the sampler is another one, or a class is missing or too small for half a
            batch.
    """

    def __init__(self, sampler: DefaultSampler, batch_size: int, epoch_length: str = 'min') -> None:
        if not isinstance(batch_size, int) or batch_size < 2 or batch_size % 2:
            raise ConfigError(
                f'BalancedBatchSampler: batch_size counts normal and abnormal samples together and must be even, '
                f'not {batch_size!r}'
            )
        if epoch_length not in EPOCH_LENGTHS:
            raise ConfigError(
                f'BalancedBatchSampler: epoch_length is {epoch_length!r}; choose one of {", ".join(EPOCH_LENGTHS)}'
            )
        if not isinstance(sampler, DefaultSampler) or not sampler.shuffle:
            raise ConfigError("BalancedBatchSampler needs sampler=dict(type='DefaultSampler', shuffle=True)")
        super().__init__(sampler, batch_size, drop_last=True)
        self.epoch_length = epoch_length
        self.half = batch_size // 2
        labels = _labels(sampler.dataset)
        self.classes = [torch.nonzero((labels != 0) == abnormal).flatten() for abnormal in (False, True)]
        self.shares = [len(inds) // sampler.world_size for inds in self.classes]
        for name, inds in zip(('normal', 'abnormal'), self.classes, strict=True):
            if not len(inds):
                raise ConfigError(f'BalancedBatchSampler: not one of the {len(labels)} training samples is {name}')
        if not len(self):
            raise ConfigError(
                f'BalancedBatchSampler: batch_size={batch_size} takes {self.half} of each kind, but a process has '
                f'{self.shares[0]} normal and {self.shares[1]} abnormal samples. Lower batch_size'
            )

    def __len__(self) -> int:
        shortest_or_longest = min if self.epoch_length == 'min' else max
        return shortest_or_longest(self.shares) // self.half

    def batches(self) -> Iterator[list[int]]:
        """All batches of the sampler's epoch."""
        generator = torch.Generator()
        generator.manual_seed(self.sampler.seed + self.sampler.epoch)
        needed = len(self) * self.half
        normal, abnormal = (self._draw(inds, share, needed, generator) for inds, share in self._both())
        for start in range(0, needed, self.half):
            yield normal[start : start + self.half] + abnormal[start : start + self.half]

    def _both(self) -> Iterator[tuple[torch.Tensor, int]]:
        return zip(self.classes, self.shares, strict=True)

    def _draw(self, inds: torch.Tensor, share: int, needed: int, generator: torch.Generator) -> list[int]:
        """This process's samples of a class, shuffled again when they run out; no half spans two shuffles."""
        whole = max(share // self.half, 1) * self.half
        drawn: list[int] = []
        while len(drawn) < needed:
            order = inds[torch.randperm(len(inds), generator=generator)]
            mine = order[self.sampler.rank :: self.sampler.world_size][:share].tolist()
            drawn += (mine * -(-whole // max(share, 1)))[:whole]
        return drawn[:needed]


def _labels(dataset: Any) -> torch.Tensor:
    """Labels of all samples, int64, shape (N,), without running the pipeline."""
    return torch.tensor([dataset.get_data_info(i)['label'] for i in range(len(dataset))])
