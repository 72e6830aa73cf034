"""Batch sampler that can start in the middle of an epoch."""

from collections import Counter
from collections.abc import Iterator

from torch.utils.data import BatchSampler

from ...registry import DATA_SAMPLERS
from ..sample_seeds import SeededIndices


@DATA_SAMPLERS.register_module()
class ResumableBatchSampler(BatchSampler):
    """torch's batch sampler, which can start inside an epoch, and adds the values for the seeds of samples.

    Skipped batches are drawn from the sampler, to keep the order, but not loaded.
    """

    epoch = 0
    _skip = 0

    def start_epoch(self, epoch: int, skip: int = 0) -> None:
        """Set the epoch, from 0, and the number of batches to skip in the next iteration."""
        self.epoch, self._skip = epoch, skip

    def batches(self) -> Iterator[list[int]]:
        """All batches of an epoch; override it to compose batches in another way."""
        return super().__iter__()

    def __iter__(self) -> Iterator[list[int]]:
        skip, self._skip = self._skip, 0
        seed, epoch = getattr(self.sampler, 'seed', None) or 0, self.epoch
        drawn: Counter[int] = Counter()
        for i, batch in enumerate(self.batches()):
            turns = []
            for index in batch:
                turns.append(drawn[index])
                drawn[index] += 1
            if i >= skip:
                yield SeededIndices(batch, seed, epoch, turns)
