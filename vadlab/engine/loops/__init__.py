from .resumable_epoch_loop import ResumableEpochLoop

__all__ = ['ResumableEpochLoop']
