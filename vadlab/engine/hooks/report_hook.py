import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from mmengine.dist import barrier, is_main_process
from mmengine.hooks import Hook
from mmengine.runner import Runner

from vadlab.evaluation.calibration import UNCALIBRATED
from vadlab.registry import HOOKS
from vadlab.structures.video_result import RunInfo
from vadlab.visualization.report.sample_result import sample_result
from vadlab.visualization.report.video_report import VideoReport


@HOOKS.register_module()
class ReportHook(Hook):
    """Writes the report of a test: a page per video, and a list of all; see :class:`VideoReport`.

    Each process writes the pages of its videos as they are tested. Samples without ``pred_scores`` of frames, such as
    captioned images, have no page.

    Args:
        folder (str): Folder of the report.
        run (RunInfo): What is tested. Its thresholds are those of the events.
        title (str): Title of the list.

    Raises:
        ConfigError: The folder holds files that are not of a report.
    """

    priority = 'LOW'

    def __init__(self, folder: str, run: RunInfo, title: str = 'Tested videos') -> None:
        self.folder, self.run, self.title = Path(folder), run, title
        self.page: Path | None = None
        self._report: VideoReport | None = None
        self._seen = 0

    def before_test(self, runner: Runner) -> None:
        """Make the folder, the main process first."""
        self.page, self._seen = None, 0
        if is_main_process():
            self._report = VideoReport(self.folder, self.run, self.title, is_continued=False)
        barrier()
        if not is_main_process():
            self._report = VideoReport(self.folder, self.run, self.title)

    def after_test_iter(
        self, runner: Runner, batch_idx: int, data_batch: Any = None, outputs: Sequence[Any] | None = None
    ) -> None:
        """Write the pages of a batch.

        The distributed sampler gives each process every n-th sample, and repeats some at the end, which another process
        may be writing now.
        """
        assert self._report is not None
        classes = runner.test_dataloader.dataset.metainfo.get('classes') or ()
        thresholds = self.run.thresholds or UNCALIBRATED
        for sample in outputs or ():
            position, self._seen = self._seen * runner.world_size + runner.rank, self._seen + 1
            if position >= len(runner.test_dataloader.dataset):
                continue
            scores = sample.get('pred_scores')
            if isinstance(scores, torch.Tensor) and sample.get('video_id') is not None and scores.numel():
                names = () if isinstance(classes, dict) else tuple(map(str, classes))
                self._report.add(sample_result(sample, names, thresholds), sample.get('class_name') or '')

    def after_test_epoch(self, runner: Runner, metrics: dict[str, float] | None = None) -> None:
        """Write the list with the metrics and their protocols."""
        barrier()
        if not is_main_process() or self._report is None:
            return
        protocols: dict[str, str] = {}
        for metric in runner.test_evaluator.metrics:
            protocols.update(getattr(metric, 'protocol', None) or {})
        lines = [
            f'{name} {value:.4f}: {protocols.get(name, "")}'.rstrip(': ')
            for name, value in (metrics or {}).items()
            if isinstance(value, float) and math.isfinite(value)
        ]
        self._report.run = replace(self._report.run, protocol='\n'.join(lines))
        self.page = self._report.close()
