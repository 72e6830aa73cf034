"""Outputs of a run beside its scores: the report and the overlay videos."""

import logging
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType

from mmengine.logging import print_log

from vadlab.structures.video_result import RunInfo, VideoResult
from vadlab.utils.av_input import is_written_here
from vadlab.utils.errors import ConfigError, DataError, MissingFileError
from vadlab.utils.option_checks import require_folder
from vadlab.visualization.overlay_video import write_overlay_video
from vadlab.visualization.report.file_names import OVERLAY_ENDING
from vadlab.visualization.report.video_report import VideoReport, check_report_folder


def check_outputs(report: str | Path | None, save_video: str | Path | None) -> None:
    """Check the folders of :class:`ResultOutputs`, before a model is built.

    Raises:
        ConfigError: The folder of the report holds files that are not of a report, or ``save_video`` is a file.
    """
    if report is not None:
        check_report_folder(report)
    require_folder(save_video, '--save-video')


class ResultOutputs:
    """Report and overlay videos of a run, written as results come.

    ::

        with ResultOutputs(run, report='report', save_video='overlays') as outputs:
            for result in results:
                outputs.add(result)
        for line in outputs.summary():
            say(line)

    Args:
        run (RunInfo): What makes the results.
        report (str | Path | None): Folder of the report, see :class:`VideoReport`; None for none.
        save_video (str | Path | None): Folder of the overlay videos, see :func:`overlay_path`; None for none.
        title (str): Title of the report.

    Raises:
        ConfigError: The folder of the report holds files that are not of a report, or ``save_video`` is a file.
    """

    def __init__(
        self,
        run: RunInfo,
        report: str | Path | None = None,
        save_video: str | Path | None = None,
        title: str = 'Scored videos',
    ) -> None:
        check_outputs(report, save_video)
        self.report = None if report is None else VideoReport(report, run, title)
        self.folder = None if save_video is None else Path(save_video)
        self._pages: list[Path] = []
        self._videos: list[Path] = []
        #: Names of the videos that have no overlay video, though they have scores.
        self.not_drawn: list[str] = []
        self._index: Path | None = None

    def __enter__(self) -> 'ResultOutputs':
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def add(self, result: VideoResult) -> None:
        """Write the page and the overlay video of a result. A video that cannot be drawn is logged and counted."""
        if self.report is not None:
            self._pages.append(self.report.add(result))
        if self.folder is not None and result.error is None and len(result.scores):
            try:
                target = overlay_path(self.folder, result)
                self._videos.append(write_overlay_video(result, target))
            except (ConfigError, DataError, MissingFileError) as error:
                self.not_drawn.append(result.name)
                print_log(f'No overlay video of {result.name}: {error}', 'current', logging.WARNING)

    def close(self) -> None:
        """Finish the list of the report."""
        if self.report is not None:
            self._index = self.report.close()

    def summary(self) -> Sequence[str]:
        """A line per kind of output: where it is, and what could not be written."""
        lines = []
        if self._index is not None:
            lines.append(f'report: {self._pages[0] if len(self._pages) == 1 else self._index}')
        if self.folder is not None:
            count = len(self._videos)
            lines.append(
                f'overlay video: {self._videos[0]}' if count == 1 else f'overlay videos: {count} in {self.folder}'
            )
            if self.not_drawn:
                lines.append(
                    f'overlay videos that could not be written: {len(self.not_drawn)} (first: {self.not_drawn[0]})'
                )
        return lines


def overlay_path(folder: Path, result: VideoResult) -> Path:
    """File of an overlay video: ``cam/a.mp4`` becomes ``cam/a.scored.mp4``, ``b.avi`` becomes ``b.avi.scored.mp4``.

    Args:
        folder (Path): Folder of all overlay videos.
        result (VideoResult): The result.

    Raises:
        ConfigError: It is the source itself, or a file that VADLab did not write.
    """
    name = result.name.removesuffix('.mp4')
    path = folder / f'{name}{OVERLAY_ENDING}'
    if path.resolve() == Path(result.path).resolve():
        raise ConfigError(f'--save-video {folder}: {path} would replace the scored video itself. Name another folder.')
    if path.exists() and not is_written_here(path):
        raise ConfigError(
            f'--save-video {folder}: {path} exists, and VADLab did not write it. Remove it, or name another folder.'
        )
    return path
