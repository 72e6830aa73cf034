from abc import abstractmethod
from collections.abc import Sequence
from typing import Any

from mmengine.model import BaseModel
from torch import Tensor

from vadlab.structures import VADDataSample
from vadlab.utils.errors import ConfigError, DataError


class FittedDetector(BaseModel):
    """Base of one-class detectors that are fitted in one pass over normal clips, without gradients.

    :class:`~vadlab.engine.hooks.fit_densities_hook.FitDensitiesHook` calls ``fit`` at the end of the pass.
    """

    def forward(
        self, inputs: Any, data_samples: list[VADDataSample], mode: str = 'tensor'
    ) -> dict[str, Tensor] | list[VADDataSample]:
        """``loss`` gathers from training clips, ``predict`` scores clips.

        Args:
            inputs (Any): Not used: videos are streamed from ``video_path``.
            data_samples (list[VADDataSample]): With ``video_id`` and ``video_path``.
            mode (str): ``loss`` or ``predict``.
        """
        if mode == 'loss':
            return self.gather(data_samples)
        if mode == 'predict':
            return self.predict(data_samples)
        raise ConfigError(f'{type(self).__name__}: mode is {mode!r}; choose loss or predict')

    @abstractmethod
    def gather(self, data_samples: Sequence[VADDataSample]) -> dict[str, Tensor]:
        """Keep what :meth:`fit` needs of training clips."""

    @abstractmethod
    def fit(self, seed: int = 0) -> None:
        """Fit to the gathered clips."""

    @abstractmethod
    def predict(self, data_samples: list[VADDataSample]) -> list[VADDataSample]:
        """Score clips."""


def check_is_normal(sample: VADDataSample) -> None:
    """Check that a training clip has no anomalous frames.

    Raises:
        DataError: It has.
    """
    if 'gt_intervals' in sample and len(sample.gt_intervals):
        raise DataError(f'{sample.video_id} has anomalous frames; training clips must be normal')
