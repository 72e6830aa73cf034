"""Training by epochs, resumable inside an epoch."""

from collections.abc import Sequence
from typing import Any

import torch
from mmengine.runner import EpochBasedTrainLoop

from vadlab.datasets.samplers.resumable_batch_sampler import ResumableBatchSampler
from vadlab.registry import LOOPS
from vadlab.utils.errors import TrainingError

from ..random_state import restore_random_state


def sample_names(data_batch: Any) -> list[str]:
    """Names of the videos, clips or images in a batch, for messages."""
    samples = data_batch.get('data_samples', []) if isinstance(data_batch, dict) else []

    def name(sample: Any, place: int) -> str:
        known = (getattr(sample, key, None) for key in ('video_id', 'clip_id', 'image_id'))
        return str(next((found for found in known if found is not None), f'sample {place} of the batch'))

    return [name(sample, i) for i, sample in enumerate(samples)]


@LOOPS.register_module()
class ResumableEpochLoop(EpochBasedTrainLoop):
    """MMEngine's loop by epochs that, resumed from a checkpoint saved inside an epoch, runs the rest of that epoch.

    The order of the samples follows from the seed and the epoch; the random generators are put back to their saved
    states before the first batch is loaded. With ``num_workers=0`` a resumed run is the same as one never stopped, bit
    for bit; worker processes draw their augmentations from generators of their own, which start anew.

    A failure of the device stops the run at once and names the samples: what comes after it on a GPU cannot be trusted.
    """

    #: Set by the runner when it resumes.
    random_state: dict[str, Any] | None = None

    def run_epoch(self) -> None:
        """Iterate one epoch, or what is left of it."""
        done = self._iter - self._epoch * len(self.dataloader)
        self.runner.call_hook('before_train_epoch')
        self.runner.model.train()
        if done and isinstance(self.dataloader.batch_sampler, ResumableBatchSampler):
            self.dataloader.batch_sampler.skip_next(done)
        if not done:
            self._restore_random_state()
        batches = iter(self.dataloader)
        # Making the iterator draws from torch's generator, which at the time of saving had already happened.
        self._restore_random_state()
        for index, batch in enumerate(batches, start=done):
            self.run_iter(index, batch)
        self.runner.call_hook('after_train_epoch')
        self._epoch += 1

    def run_iter(self, idx: int, data_batch: Sequence[dict]) -> None:
        """Iterate one batch.

        Raises:
            TrainingError: The device failed or is out of memory; the message names the samples.
        """
        try:
            super().run_iter(idx, data_batch)
        except torch.OutOfMemoryError as error:
            raise TrainingError(
                f'Out of memory on the device at iteration {self._iter} ({", ".join(sample_names(data_batch))}). '
                'Lower batch_size or num_frames, or the chunk_size of the vision tower, or switch on its activation '
                f'checkpointing (with_cp). {str(error).splitlines()[0]}'
            ) from error
        except RuntimeError as error:
            if 'CUDA error' not in str(error) and 'device-side assert' not in str(error):
                raise
            raise TrainingError(
                f'The device failed at iteration {self._iter}, in or shortly before the batch of '
                f'{", ".join(sample_names(data_batch))}: {str(error).splitlines()[0]}. Its context is lost, so the run '
                'stops here. python tools/verify.py CONFIG checks every sample on the CPU.'
            ) from error

    def _restore_random_state(self) -> None:
        state, self.random_state = self.random_state, None
        if state is not None:
            restore_random_state(state)
