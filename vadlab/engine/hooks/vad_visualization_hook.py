"""Pictures of a test."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mmengine.dist import all_gather_object, is_main_process
from mmengine.hooks import Hook
from mmengine.runner import Runner

from vadlab.registry import HOOKS
from vadlab.structures import VADDataSample
from vadlab.utils.errors import ConfigError
from vadlab.visualization.html_report import PictureEntry, picture_name, write_index
from vadlab.visualization.vad_visualizer import VADVisualizer


@HOOKS.register_module()
class VADVisualizationHook(Hook):
    """Draws one PNG per test video into a folder, and an ``index.html`` that shows them all.

    Args:
        show_dir (str): The folder; made where it is missing.
        max_videos (int | None): Draw only so many per process; all where None.
        num_tiles (int): Frames of a strip at most.
        threshold (float): Scores from here on are drawn as alarms, 0..1.
    """

    priority = 'LOW'

    def __init__(
        self, show_dir: str, max_videos: int | None = None, num_tiles: int = 8, threshold: float = 0.5
    ) -> None:
        if max_videos is not None and max_videos < 1:
            raise ConfigError(f'max_videos is {max_videos}; give None for all, or 1 and more')
        self.show_dir = Path(show_dir)
        self.max_videos = max_videos
        self.visualizer = VADVisualizer(name='test_pictures', num_tiles=num_tiles, threshold=threshold)
        self._entries: dict[str, PictureEntry] = {}

    def before_test(self, runner: Runner) -> None:
        """Start with an empty list, and fail now rather than after the test where the folder cannot be made."""
        self._entries = {}
        self.show_dir.mkdir(parents=True, exist_ok=True)

    def after_test_iter(
        self,
        runner: Runner,
        batch_idx: int,
        data_batch: dict[str, Any] | None = None,
        outputs: Sequence[VADDataSample] | None = None,
    ) -> None:
        """Draw the videos of a batch from its frames as loaded, before they were normalised."""
        for frames, sample in zip((data_batch or {}).get('inputs', ()), outputs or (), strict=True):
            if self.max_videos is not None and len(self._entries) >= self.max_videos:
                return
            entry = PictureEntry(
                video_id=str(sample.video_id),
                picture=picture_name(str(sample.video_id)),
                score=float(sample.pred_scores.max()),
                class_name=sample.get('class_name') or '',
                caption=sample.get('gt_caption') or '',
            )
            self.visualizer.add_datasample(entry.video_id, frames.cpu(), sample, self.show_dir / entry.picture)
            self._entries[entry.video_id] = entry

    def after_test(self, runner: Runner) -> None:
        """Gather the list over the processes and write the page."""
        entries: dict[str, PictureEntry] = {}
        for part in all_gather_object(self._entries):
            entries |= part
        if is_main_process():
            page = write_index(self.show_dir, list(entries.values()), threshold=self.visualizer.threshold)
            runner.logger.info(f'{len(entries)} pictures: {page}')
