"""Score any videos for anomalies: frames, classes, events."""

import logging
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from mmengine.config import Config
from mmengine.logging import print_log
from mmengine.structures import InstanceData
from torch import nn

from vadlab.evaluation.calibration import CalibrationFile, find_calibration, scoring_id
from vadlab.evaluation.functional.events import explain_by_answers, explain_events, find_events
from vadlab.registry import MODELS
from vadlab.structures.video_result import Event, RunInfo, Thresholds, VideoResult
from vadlab.utils.config_check import checked_arguments
from vadlab.utils.errors import ConfigError, DataError
from vadlab.utils.many_files import Engine, Lost
from vadlab.utils.progress import ProgressBar

from .base_inferencer import BaseInferencer
from .box_captions import BoxCaptioner
from .event_thresholds import EventThresholds
from .frame_sampling import FrameSampling
from .frame_scorer import FrameScorer, can_stream
from .localizer import Localizer
from .pipeline_scorer import PipelineScorer
from .result_folder import claim_folder, finished_result, settings_id
from .scored_video import ScoredVideo
from .snippet_scorer import FEATURE_CACHE, SnippetScorer
from .video_inputs import VideoInput, VideoSource, find_sources


class VADInferencer(BaseInferencer, EventThresholds):
    """Scores videos for anomalies with any detector; no annotation, caption or class is needed.

    ::

        videos -> threads decode sampled frames -> model, by batches -> score of every frame -> events

    Args:
        config (Config | str | Path): The experiment.
        checkpoint (str | Path | None): Trained weights; None or ``none`` for zero-shot.
        device (str | None): Device of the model; by default the GPU, if there is one.
        sampling (int | str): Frames from one sampled frame to the next; ``test``: the frames of the config's test;
            ``auto``: those, or every 16th frame if that is more. Only for methods that embed frame by frame.
        thresholds (Thresholds | None): Of events; by default those of a calibration beside the checkpoint.
        workers (int): Decoding threads, >= 1.
        batch_size (int): Frames per forward pass, >= 1.
        fps (float): Frame rate of arrays and of folders of frames, > 0.
        feature_config (str | None): For methods on snippet features: another extractor than that of the config.
        feature_cache (Path): For methods on snippet features: folder of the features, by recipe.
        backend (str): ``torch``; or ``onnxruntime``, and ``checkpoint`` is a folder that ``tools/export.py`` wrote.
        fill_batches (bool | None): For methods that embed frame by frame: fill batches with frames of several videos.
            Short videos then take less time on a GPU, and scores may differ in the last digits with the other videos.
            None: on a GPU.

    Raises:
        ConfigError: The config is not of a detector, or a value is out of its range.
        CheckpointError: The weights do not fit the model.

    Example::

        inferencer = VADInferencer('configs/fgclip_demo.py', 'work_dirs/fgclip_demo/epoch_12.pth')
        for result in inferencer('videos/', prompts=['a person lying on the floor']):
            print(result.name, result.events)
    """

    @checked_arguments
    def __init__(
        self,
        config: Config | str | Path,
        checkpoint: str | Path | None = None,
        device: str | None = None,
        sampling: int | str = 'auto',
        thresholds: Thresholds | None = None,
        workers: int = 2,
        batch_size: int = 32,
        fps: float = 25.0,
        feature_config: str | None = None,
        feature_cache: Path = FEATURE_CACHE,
        backend: str = 'torch',
        fill_batches: bool | None = None,
    ) -> None:
        if fps >= 1e6:
            raise ConfigError(f'VADInferencer: fps must be below 1,000,000, not {fps:g}.')
        super().__init__(config, checkpoint, device, backend)
        self.made_by |= dict(
            sampling=sampling, workers=workers, batch_size=batch_size, fps=fps, feature_config=feature_config,
            feature_cache=feature_cache, backend=backend, fill_batches=fill_batches,
        )  # fmt: skip
        self.thresholds = thresholds
        self.fps = fps
        self._prompts: tuple[str, ...] | None = None
        self._negatives: tuple[str, ...] | None = None
        self.scorer: FrameScorer | SnippetScorer | PipelineScorer
        if hasattr(self.model, 'score') and hasattr(self.model, 'snippet_len'):
            self.scorer = SnippetScorer(
                self.model, self.config, feature_config, self.meta.get('feature_recipe'), feature_cache, self.device,
                workers, batch_size, fps,
            )  # fmt: skip
            self.sampled = f'snippet features of {self.scorer.feature_config}'
        elif can_stream(self.model, self.config):
            choice = FrameSampling(self.config, sampling)
            fills = self.fills_batches(fill_batches)
            self.scorer = FrameScorer(self.model, self.config, choice, workers, batch_size, fps, fills)
            self.sampled = str(choice)
        else:
            self.scorer = PipelineScorer(self.model, self.config, workers, fps)
            self.sampled = getattr(self.model, 'sampled', 'frames as in the test')

        for name, value in (
            ('sampling', None if sampling == 'auto' else sampling),
            ('fill_batches', fill_batches or None),
        ):
            if value is not None and not isinstance(self.scorer, FrameScorer):
                raise ConfigError(
                    f'{name}={value!r}: {type(self.model).__name__} does not embed frame by frame. It sees '
                    f'{self.sampled}.'
                )

    def check_model(self) -> None:
        """Check that the model is a detector; see :class:`BaseInferencer`."""
        name = self.config.model.type
        if hasattr(self.model, 'concepts'):
            raise ConfigError(f'{name} captions images. Use CaptionInferencer, or python tools/infer.py.')
        if isinstance(getattr(self.model, 'heads', None), nn.ModuleDict):
            raise ConfigError(f'{name} names classes of clips. Use ClipInferencer, or python tools/infer.py.')

    # --------------------------------------------------------------------------------------------------- what is scored

    def use_prompts(self, prompts: Sequence[str] | None, negatives: Sequence[str] | None = None) -> None:
        """Score by prompts instead of the classes of the config, until the next call.

        Args:
            prompts (Sequence[str] | None): What is looked for, in words; None for the classes of the config.
            negatives (Sequence[str] | None): What counts as normal, in words; None for the config's phrases.

        Raises:
            ConfigError: The method takes no prompts, or a prompt cannot be used.
        """
        if isinstance(prompts, str) or isinstance(negatives, str):
            raise ConfigError('prompts and negatives are lists of texts, not one text.')
        for given in (prompts, negatives):
            if given is not None and (isinstance(given, Mapping) or not isinstance(given, Sequence)):
                raise ConfigError(f'prompts and negatives are lists of texts, not {given!r:.60}.')
        if other := [text for text in [*(prompts or ()), *(negatives or ())] if not isinstance(text, str)]:
            raise ConfigError(f'prompts and negatives are lists of texts; {other[0]!r:.60} is not a text.')
        if prompts is None and negatives is not None:
            raise ConfigError('negatives need prompts. Give at least one prompt for what is anomalous.')
        if not hasattr(self.model, 'use_prompts'):
            if prompts is None:
                return
            takers = sorted(name for name, kind in MODELS.module_dict.items() if hasattr(kind, 'use_prompts'))
            raise ConfigError(
                f'{type(self.model).__name__} does not compare videos with texts at the call, so it takes no prompts. '
                f'These methods do: {", ".join(takers)}.'
            )
        self.model.use_prompts(prompts, negatives)
        self._prompts = None if prompts is None else tuple(prompts)
        self._negatives = None if negatives is None else tuple(negatives)
        if isinstance(self.scorer, SnippetScorer):
            head: Any = getattr(self.model, 'score_head', self.model)
            self.scorer.classes = tuple(head.classes)

    @property
    def prompts(self) -> tuple[tuple[str, ...] | None, tuple[str, ...] | None]:
        """Prompts and negative prompts in use; None for those of the config."""
        return self._prompts, self._negatives

    def calibration(self) -> CalibrationFile | None:
        """The calibration beside the checkpoint for these weights, this sampling and the prompts in use, if any."""
        found = find_calibration(self.checkpoint, self.config_path, self._prompts, self._negatives)
        if found is not None and (why := found.why_other(self.weights_id, self.sampled, scoring_id(self.config.model))):
            print_log(f'{found.path} is not used: {why}', 'current', logging.WARNING)
            return None
        return found

    def run_info(self) -> RunInfo:
        """Record of the run: the model, the prompts, the sampling, the thresholds."""
        found = self.calibration()
        protocol = f'{self.sampled}; scores between sampled frames by linear interpolation'
        if isinstance(self.scorer, SnippetScorer):
            protocol = f'{self.sampled}; the score of a snippet counts for its frames'
        elif getattr(self.model, 'interpolate', True) is False:  # windows of a method that asks a model
            protocol = f'{self.sampled}; the score of a window counts for its frames'
        if self._negatives is not None:
            protocol += f'; normal is: {", ".join(self._negatives)}'
        return RunInfo(
            config=self.config_path,
            checkpoint=self.checkpoint,
            model=type(self.model).__name__,
            prompts=self._prompts or (),
            protocol=protocol,
            thresholds=self.chosen_thresholds(),
            calibration=None if found is None else found.calibration,
            weights=self.weights_id,
            settings=settings_id(self.config),
        )

    # ----------------------------------------------------------------------------------------------------------- scores

    def __call__(
        self,
        inputs: VideoInput | Iterable[VideoInput],
        prompts: Sequence[str] | None = None,
        negatives: Sequence[str] | None = None,
        out: str | os.PathLike | None = None,
        boxes: bool = False,
        progress: bool = False,
        captioner: BoxCaptioner | None = None,
        engine: Engine | None = None,
    ) -> Iterator[VideoResult]:
        """Score videos; each result is delivered, and written, as soon as it is complete.

        Args:
            inputs: Paths of videos, folders of videos or of frames, lists, patterns; arrays (RGB, uint8, shape (N, H,
                W, 3)); or a list of these.
            prompts (Sequence[str] | None): See :meth:`use_prompts`.
            negatives (Sequence[str] | None): See :meth:`use_prompts`.
            out (str | PathLike | None): Folder to which results are written. Videos that have a result of the same run
                there are not scored again; with other thresholds, events are looked for in the stored scores.
            boxes (bool): Also find boxes of the events, and link them to tracks.
            progress (bool): Show a progress bar.
            captioner (BoxCaptioner | None): Captions the boxes; with ``boxes``.
            engine (Engine | None): What scores videos; None: this process. Each worker has a model of its own.

        Yields:
            VideoResult: One per video, in the order in which they are finished; with ``error`` if a video cannot be
            scored.

        Raises:
            MissingFileError, DataError: An input does not exist, or is not a video.
            ConfigError: A prompt cannot be used, ``out`` has results of another run, or there are no boxes to caption.
        """
        for name, given, kind in (('captioner', captioner, BoxCaptioner), ('engine', engine, Engine)):
            if given is not None and not isinstance(given, kind):
                raise ConfigError(f'{name} must be an object of {kind.__name__}, not {given!r:.60}.')
        if out is not None and not isinstance(out, str | os.PathLike):
            raise ConfigError(f'out must be the path of a folder, not {out!r:.60}.')
        if captioner is not None and not boxes:
            raise ConfigError('A captioner describes boxes of events, so it needs boxes.')
        sources = find_sources(inputs)
        self.use_prompts(prompts, negatives)
        localizer = self.box_finder() if boxes else None
        info = self.run_info()
        if boxes:
            described = f', captions by {captioner}' if captioner else ''
            info = replace(info, protocol=f'{info.protocol}; boxes from proposals{described}')
        assert info.thresholds is not None
        if out is not None:
            claim_folder(out, info)
        with ProgressBar('videos', len(sources), line_every_s=60.0 if progress else None) as bar:
            done = 0
            todo = []
            for source in sources:
                known = None if out is None else finished_result(out, source, self.fps)
                if known is not None and known.threshold != info.thresholds:
                    known = None if boxes else self._with_thresholds(known, info.thresholds, out)
                if known is None:
                    todo.append(source)
                    continue
                done += 1
                yield known
            if engine is None or engine.is_here:
                results = self._results(todo, info.thresholds, boxes, localizer, captioner)
            else:
                results = self._results_elsewhere(todo, info.thresholds, boxes, captioner, engine)
            for result in results:
                if out is not None:
                    result.save(out)
                done += 1
                if progress:
                    bar(done, note=result.name)
                yield result

    def _results(
        self,
        sources: Sequence[VideoSource],
        thresholds: Thresholds,
        boxes: bool,
        localizer: Localizer | None,
        captioner: BoxCaptioner | None,
    ) -> Iterator[VideoResult]:
        for scored in self.scorer(sources):
            result = self.with_events(scored, thresholds)
            if localizer is not None and result.error is None:
                result.boxes = localizer.boxes(result, scored.source)
            elif boxes and scored.boxes is not None:
                result.boxes = boxes_in_events(scored.boxes, result.events)
            if captioner is not None:
                captioner(result, scored.source)
            yield result

    def _results_elsewhere(
        self,
        sources: Sequence[VideoSource],
        thresholds: Thresholds,
        boxes: bool,
        captioner: BoxCaptioner | None,
        engine: Engine,
    ) -> Iterator[VideoResult]:
        if hasattr(self.model, 'counts'):
            raise ConfigError(
                f'{type(self.model).__name__} asks a model and counts its answers in one process. Leave out --jobs and '
                '--engine.'
            )
        captions = None if captioner is None else captioner.made_by
        how: dict[str, Any] = dict(
            prompts=self._prompts, negatives=self._negatives, thresholds=thresholds, boxes=boxes, captions=captions
        )
        for source, result in self.elsewhere(partial(_scoring_of, **how), sources, engine, self.made_by['workers']):
            if isinstance(result, Lost):
                result = VideoResult.failed(source.name, source.path, f'{source.path}: {result.reason}')
            yield result

    def score_one(
        self, source: VideoSource, thresholds: Thresholds, boxes: bool = False, captioner: BoxCaptioner | None = None
    ) -> VideoResult:
        """The result of a video; see :meth:`__call__`."""
        localizer = self.box_finder() if boxes else None
        (result,) = self._results([source], thresholds, boxes, localizer, captioner)
        return result

    def localizer(self) -> Localizer:
        """Finder of boxes and heat maps.

        Raises:
            ConfigError: The method cannot find boxes.
        """
        return Localizer(self.model, self.scorer)

    def box_finder(self) -> Localizer | None:
        """Finder of boxes of events; None for a method that predicts boxes with its scores.

        Raises:
            ConfigError: The method cannot find boxes.
        """
        return None if isinstance(self.scorer, PipelineScorer) else self.localizer()

    def heat_maps(self, video: VideoInput, frame_inds: Sequence[int], prompt: str) -> np.ndarray:
        """Similarity of each patch of some frames to a prompt; see :meth:`Localizer.heat_maps`.

        Raises:
            ConfigError: The method has no patch grid, or the prompt is too long.
            DataError: ``video`` is not one video.
        """
        if not isinstance(prompt, str):
            raise ConfigError(f'A heat map is of one prompt, a text, not {prompt!r:.60}.')
        if isinstance(frame_inds, str | int) or not np.issubdtype(np.asarray(frame_inds).dtype, np.integer):
            raise ConfigError(f'frame_inds are the numbers of frames, such as [0, 16], not {frame_inds!r:.60}.')
        sources = find_sources(video)
        if len(sources) != 1:
            raise DataError(f'{video} has {len(sources)} videos; heat maps are of one.')
        return self.localizer().heat_maps(sources[0], frame_inds, prompt)

    def with_events(self, scored: ScoredVideo, thresholds: Thresholds) -> VideoResult:
        """The result of a video with its events."""
        result = scored.result()
        if result.error is None:
            self._add_events(result, thresholds, scored.boxes, scored.answers)
        return result

    def _with_thresholds(
        self, result: VideoResult, thresholds: Thresholds, out: str | os.PathLike | None
    ) -> VideoResult | None:
        """A stored result with the events of other thresholds; None if boxes would be lost."""
        is_named_by_boxes = result.class_scores is None and isinstance(self.scorer, PipelineScorer)
        if result.boxes is not None or is_named_by_boxes:
            return None
        self._add_events(result, thresholds, None)
        if out is not None:
            result.save(out)
        return result

    def _add_events(
        self,
        result: VideoResult,
        thresholds: Thresholds,
        boxes: InstanceData | None,
        answers: InstanceData | None = None,
    ) -> None:
        events = find_events(result.scores, result.times, thresholds, result.duration_s)
        if result.class_scores is not None and result.classes:
            normal = self._normal(result)
            events = explain_events(events, result.frame_inds, result.class_scores, result.classes, normal)
        elif answers is not None:
            events = explain_by_answers(events, answers)
        elif boxes is not None:
            events = tuple(_named_by_boxes(event, boxes) for event in events)
        result.events, result.threshold = events, thresholds

    def _normal(self, result: VideoResult) -> int | None:
        head: Any = getattr(self.model, 'score_head', None)
        name = head.normal_class if head is not None else 'Normal'
        return result.classes.index(name) if name in result.classes else 0


def _scoring_of(
    inferencer: VADInferencer,
    prompts: Sequence[str] | None,
    negatives: Sequence[str] | None,
    thresholds: Thresholds,
    boxes: bool,
    captions: dict[str, Any] | None,
) -> Callable[[VideoSource], VideoResult]:
    """Set up an inferencer in a worker; return the function that scores a video."""
    inferencer.use_prompts(prompts, negatives)
    captioner = None
    if captions is not None:
        captioner = BoxCaptioner(**{**captions, 'device': inferencer.made_by['device']})
    return partial(inferencer.score_one, thresholds=thresholds, boxes=boxes, captioner=captioner)


def _named_by_boxes(event: Event, boxes: InstanceData) -> Event:
    """An event with the label and the reason of its highest box, if there is one."""
    rows = np.flatnonzero((boxes.frame_inds >= event.start) & (boxes.frame_inds < event.end))
    if not len(rows):
        return event
    best = int(rows[np.argmax(boxes.scores[rows])])
    return replace(event, label=boxes.labels[best] or None, reason=boxes.reasons[best])


def boxes_in_events(boxes: InstanceData, events: Sequence[Event], most: int = 3) -> InstanceData:
    """The highest-scoring boxes of each frame that is in an event."""
    kept = []
    for frame in np.unique(boxes.frame_inds).tolist():
        if any(event.start <= frame < event.end for event in events):
            rows = np.flatnonzero(boxes.frame_inds == frame)
            kept += rows[np.argsort(-boxes.scores[rows], kind='stable')[:most]].tolist()
    return boxes[np.array(kept, np.int64)]


def sampling_of(text: str) -> int | str:
    """``sampling`` of :class:`VADInferencer` from a command line: a number, or a word."""
    return int(text) if text.isdigit() else text
