"""Per-frame scores for other programs."""

import os
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from vadlab.registry import METRICS
from vadlab.utils.errors import ConfigError

from .vad_metric import VADMetric, choose, field_of, one_dimensional


@METRICS.register_module()
class ScoreWriter(VADMetric):
    """No number, but a file: the per-frame scores of each video as ``.npz``, one array of shape (N,) per video id.

    ``np.load(out_file)['Abuse028_x264']`` reads one. The file appears whole or not at all.

    Args:
        out_file (str): Where to write; ends in ``.npz``. Missing folders are made.
        field (str): ``pred_scores`` (probabilities) or ``pred_margins`` (logits).
        collect_device (str): ``cpu`` or ``gpu``.
    """

    def __init__(self, out_file: str, field: str = 'pred_scores', collect_device: str = 'cpu') -> None:
        super().__init__(collect_device)
        if not str(out_file).endswith('.npz'):
            raise ConfigError(f'ScoreWriter: out_file is {str(out_file)!r}; its name must end in .npz')
        self.out_file = Path(out_file)
        self.field = choose('field', field, ('pred_scores', 'pred_margins'))

    @property
    def protocol(self) -> dict[str, str]:
        """There is no number to explain."""
        return {}

    def process_sample(self, sample: Mapping[str, Any]) -> dict[str, Any]:
        """The scores of one video, shape (N,)."""
        name = type(self).__name__
        values = one_dimensional(field_of(sample, self.field, name), self.field, sample)
        return {'video_id': str(field_of(sample, 'video_id', name)), 'values': values.astype(np.float32)}

    def compute_metrics(self, results: list[dict[str, Any]]) -> dict[str, float]:
        """Write the file."""
        results = self.checked(results)
        self.out_file.parent.mkdir(parents=True, exist_ok=True)
        unfinished = self.out_file.with_suffix('.npz.part')
        # Not np.savez: it takes the names as keyword arguments and trips over a video called "file".
        with zipfile.ZipFile(unfinished, 'w', zipfile.ZIP_DEFLATED) as archive:
            for result in results:
                with archive.open(f'{result["video_id"]}.npy', 'w', force_zip64=True) as member:
                    np.lib.format.write_array(member, result['values'], allow_pickle=False)
        os.replace(unfinished, self.out_file)
        return {}
