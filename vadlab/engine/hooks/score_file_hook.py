"""Save the scores of a test."""

import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from mmengine.dist import all_gather_object, is_main_process
from mmengine.hooks import Hook

from vadlab.registry import HOOKS
from vadlab.utils.atomic import atomic_path


@HOOKS.register_module()
class ScoreFileHook(Hook):
    """Writes the frame scores of all test videos to one ``.npz``, with one array per video under its id.

    For classified clips it writes ``clip_id`` (N,) and the probabilities (N, C) of each head under the head's name.

    Scores are float64 probabilities, computed from the logits. In float32 a sigmoid saturates and causes ties, so a
    metric computed from the file would differ from the reported one.

    Args:
        path (str): The file to write.
    """

    priority = 'LOW'
    suffix, holds = '.npz', 'scores'

    def __init__(self, path: str) -> None:
        self.path = Path(path)
        self.written = False
        self._scores: dict[str, np.ndarray] = {}
        self._heads: dict[str, dict[str, np.ndarray]] = {}

    def before_test(self, runner: Any) -> None:
        """Remove scores of an earlier test."""
        self._scores, self._heads, self.written = {}, {}, False

    def after_test_iter(self, runner: Any, batch_idx: int, data_batch: Any = None, outputs: Any = None) -> None:
        """Collect the scores of a batch."""
        for sample in outputs or []:
            logits = getattr(sample, 'pred_logits', None)
            scores = getattr(sample, 'pred_scores', None)
            if isinstance(scores, Mapping):
                self._heads[sample.clip_id] = {head: values.cpu().numpy() for head, values in scores.items()}
            elif logits is not None:
                self._scores[sample.video_id] = 1 / (1 + np.exp(-logits.cpu().numpy().astype(np.float64)))
            elif scores is not None:
                self._scores[sample.video_id] = scores.cpu().numpy().astype(np.float64)

    def after_test(self, runner: Any) -> None:
        """Gather over ranks and write."""
        merged: dict[str, np.ndarray] = {}
        for part in all_gather_object(self._scores):
            merged.update(part)
        clips: dict[str, dict[str, np.ndarray]] = {}
        for part in all_gather_object(self._heads):
            clips.update(part)
        if clips:
            merged['clip_id'] = np.array(list(clips))
            for head in next(iter(clips.values())):
                merged[head] = np.stack([scores[head] for scores in clips.values()])
        self.written = bool(merged)
        if merged and is_main_process():
            _write_npz(self.path, merged)


def _write_npz(path: Path, arrays: dict[str, np.ndarray]) -> None:
    """Like ``np.savez_compressed``, but written atomically, and any array name is allowed."""
    with atomic_path(path) as part, zipfile.ZipFile(part, 'w', zipfile.ZIP_DEFLATED) as archive:
        for name, array in arrays.items():
            with archive.open(f'{name}.npy', 'w', force_zip64=True) as file:
                np.lib.format.write_array(file, array, allow_pickle=False)
