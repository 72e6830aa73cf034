"""Training by epochs, resumable inside an epoch."""

from collections.abc import Sequence
from typing import Any

import torch
from mmengine.runner import EpochBasedTrainLoop
from torch import nn

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
    """MMEngine's loop by epochs. Resumed from a checkpoint, it equals an uninterrupted run, bit for bit.

    The order of the samples and their random choices depend on the seed and the epoch. The random generators are
    restored first. A validation that was due when the checkpoint was saved runs before training continues.

    A failure of the device stops the run at once, and the message names the samples: later results on a failed GPU are
    not reliable.
    """

    #: Set by the runner when it resumes.
    random_state: dict[str, Any] | None = None
    #: Finished batches of the current epoch; valid only between epochs and in hooks that run after an iteration.
    batches_done = 0
    #: The last epoch whose validation is finished, or has reached its final hooks.
    validated_epoch = 0

    def resume_at(self, batches_done: int, validated: bool) -> None:
        """Continue inside the current epoch, or at its start.

        Args:
            batches_done (int): Finished batches of the current epoch.
            validated (bool): Whether the epoch before it was validated, if that was due.
        """
        self.batches_done = batches_done
        self.validated_epoch = self._epoch if validated else self._epoch - 1
        self._max_iters = self._iter - batches_done + (self._max_epochs - self._epoch) * len(self.dataloader)

    def run(self) -> nn.Module:
        """Run the validation that a resumed run still has to do, then train."""
        self.runner.call_hook('before_train')
        if self.random_state is not None:
            restore_random_state(self.random_state)
            self.random_state = None
        if self._epoch and not self.batches_done and self.validated_epoch < self._epoch:
            self._validate()
        while self._epoch < self._max_epochs and not self.stop_training:
            self.run_epoch()
            self._validate()
        self.runner.call_hook('after_train')
        return self.runner.model

    def _validate(self) -> None:
        self._decide_current_val_interval()
        due = self._epoch % self.val_interval == 0 or self._epoch == self._max_epochs
        if self.runner.val_loop is not None and self._epoch >= self.val_begin and due:
            self.validated_epoch = self._epoch
            self.runner.val_loop.run()

    def run_epoch(self) -> None:
        """Train one epoch, or the rest of it."""
        self.runner.call_hook('before_train_epoch')
        self.runner.model.train()
        sampler = self.dataloader.batch_sampler
        if isinstance(sampler, ResumableBatchSampler):
            sampler.start_epoch(self._epoch, skip=self.batches_done)
        for index, batch in enumerate(self.dataloader, start=self.batches_done):
            self.batches_done = index + 1
            self.run_iter(index, batch)
        self.batches_done = 0
        self.runner.call_hook('after_train_epoch')
        self._epoch += 1

    def run_iter(self, idx: int, data_batch: Sequence[dict]) -> None:
        """Train one batch.

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
