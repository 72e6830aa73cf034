from .resumable_batch_sampler import ResumableBatchSampler
from .resumable_epoch_loop import ResumableEpochLoop

__all__ = ['ResumableBatchSampler', 'ResumableEpochLoop']
