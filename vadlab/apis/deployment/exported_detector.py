"""Score videos with an exported detector. This module needs neither torch nor MMEngine."""

import os
from collections.abc import Iterable, Iterator

from vadlab.apis.inferencers.event_thresholds import EventThresholds
from vadlab.apis.inferencers.frame_sampling import FrameSampling
from vadlab.apis.inferencers.result_folder import claim_folder, finished_result
from vadlab.apis.inferencers.scored_video import ScoredVideo
from vadlab.apis.inferencers.video_inputs import VideoInput, find_sources
from vadlab.evaluation.calibration import CalibrationFile
from vadlab.evaluation.functional.events import explain_events, find_events
from vadlab.structures.video_result import RunInfo, Thresholds, VideoResult
from vadlab.utils.errors import ConfigError
from vadlab.utils.run_log import log

from .exported_folder import ExportedFolder
from .exported_scorers import ExportedFrameScorer, ExportedSnippetScorer, pipeline_of


class ExportedDetector(EventThresholds):
    """Scores videos for anomalies with an exported model; needs NumPy, onnxruntime, PyAV and OpenCV only.

    Args:
        folder (str | PathLike): The exported folder.
        sampling (int | str): As of :class:`~vadlab.apis.inferencers.VADInferencer`.
        thresholds (Thresholds | None): Of events; by default those of the calibration in the folder.
        workers (int): Decoding threads, >= 1.
        batch_size (int): Frames per run of the network, >= 1.
        fps (float): Frame rate of arrays and of folders of frames, > 0.
        threads (int | None): Threads of onnxruntime; by default ``OMP_NUM_THREADS`` of the environment, or all cores.

    Raises:
        MissingFileError, DataError: See :class:`ExportedFolder`.
        ConfigError: The folder is not of a detector, or a value is out of its range.

    Example::

        detector = ExportedDetector('exported')
        for result in detector('videos/'):
            print(result.name, result.events)
    """

    def __init__(
        self,
        folder: str | os.PathLike,
        sampling: int | str = 'auto',
        thresholds: Thresholds | None = None,
        workers: int = 2,
        batch_size: int = 32,
        fps: float = 25.0,
        threads: int | None = None,
    ) -> None:
        if workers < 1 or batch_size < 1 or not 0 < fps < 1e6:
            raise ConfigError(f'ExportedDetector: workers={workers}, batch_size={batch_size}, fps={fps} must be > 0.')
        self.exported = ExportedFolder(folder, threads)
        manifest = self.manifest = self.exported.manifest
        if manifest.why_no_videos:
            raise ConfigError(f'{folder} scores no videos: {manifest.why_no_videos}')
        self.thresholds = thresholds
        self.fps = fps
        self.scorer: ExportedFrameScorer | ExportedSnippetScorer
        if manifest.kind == 'frames':
            choice = FrameSampling(pipeline_of(manifest.recipe), sampling)
            self.scorer = ExportedFrameScorer(self.exported, choice, workers, batch_size, fps)
            self.sampled = str(choice)
        else:
            if sampling != 'auto':
                raise ConfigError(f'sampling={sampling!r}: {manifest.model} scores snippets, not sampled frames.')
            self.scorer = ExportedSnippetScorer(self.exported, workers, batch_size, fps)
            self.sampled = manifest.recipe['sampled']

    def calibration(self) -> CalibrationFile | None:
        """The calibration in the folder, if it is valid for these weights and frames."""
        path = self.exported.calibration_path
        if not path.is_file():
            return None
        found = CalibrationFile.load(path)
        if why := found.why_other(self.manifest.weights, self.sampled):
            log(f'{path} is not used: {why}')
            return None
        return found

    def run_info(self) -> RunInfo:
        """Record of the run."""
        found = self.calibration()
        manifest = self.manifest
        how = 'scores between sampled frames by linear interpolation'
        if manifest.kind == 'snippets':
            how = 'the score of a snippet counts for its frames'
        return RunInfo(
            config=manifest.config,
            checkpoint=str(self.exported.path),
            model=manifest.model,
            prompts=manifest.prompts or (),
            protocol=f'{self.sampled}; {how}; onnxruntime, {manifest.precision}',
            thresholds=self.chosen_thresholds(),
            calibration=None if found is None else found.calibration,
            weights=manifest.weights,
        )

    def __call__(
        self, inputs: VideoInput | Iterable[VideoInput], out: str | os.PathLike | None = None
    ) -> Iterator[VideoResult]:
        """Score videos; each result is delivered, and written, as soon as it is complete.

        Args:
            inputs: Paths of videos, folders of videos or of frames, lists, patterns; arrays (RGB, uint8, shape (N, H,
                W, 3)); or a list of these.
            out (str | PathLike | None): Folder to which results are written; a killed run continues there.

        Yields:
            VideoResult: One per video; with ``error`` if a video cannot be scored.

        Raises:
            MissingFileError, DataError: An input does not exist, or is not a video.
            ConfigError: ``out`` has results of another run.
        """
        sources = find_sources(inputs)
        info = self.run_info()
        assert info.thresholds is not None
        if out is not None:
            claim_folder(out, info)
        todo = []
        for source in sources:
            known = None if out is None else finished_result(out, source, self.fps)
            if known is None:
                todo.append(source)
                continue
            if known.threshold != info.thresholds:
                self._add_events(known, info.thresholds)
                known.save(str(out))
            yield known
        for scored in self.scorer(todo):
            result = self.with_events(scored, info.thresholds)
            if out is not None:
                result.save(out)
            yield result

    def with_events(self, scored: ScoredVideo, thresholds: Thresholds) -> VideoResult:
        """The result of a video with its events."""
        result = scored.result()
        if result.error is None:
            self._add_events(result, thresholds)
        return result

    def _add_events(self, result: VideoResult, thresholds: Thresholds) -> None:
        events = find_events(result.scores, result.times, thresholds, result.duration_s)
        if result.class_scores is not None and result.classes:
            name = self.manifest.normal_class
            normal = result.classes.index(name) if name in result.classes else 0
            events = explain_events(events, result.frame_inds, result.class_scores, result.classes, normal)
        result.events, result.threshold = events, thresholds
