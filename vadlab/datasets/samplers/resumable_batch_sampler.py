"""Batches that can start in the middle of an epoch."""

from collections.abc import Iterator

from torch.utils.data import BatchSampler

from ...registry import DATA_SAMPLERS


@DATA_SAMPLERS.register_module()
class ResumableBatchSampler(BatchSampler):
    """torch's batch sampler with a one-time skip, so that a resumed epoch goes on where it stopped.

    The skipped batches are drawn from the sampler (their order must be kept) but never loaded.
    """

    _skip = 0

    def skip_next(self, batches: int) -> None:
        """Leave out so many batches when iterated the next time."""
        self._skip = batches

    def batches(self) -> Iterator[list[int]]:
        """All batches of an epoch; what a sampler that composes them in another way overrides."""
        return super().__iter__()

    def __iter__(self) -> Iterator[list[int]]:
        skip, self._skip = self._skip, 0
        for i, batch in enumerate(self.batches()):
            if i >= skip:
                yield batch
