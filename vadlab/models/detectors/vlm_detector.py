# W windows, N frames of a video.
import hashlib
import json
import logging
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from mmengine.logging import print_log
from mmengine.model import BaseModel
from mmengine.structures import InstanceData
from torch import Tensor, nn

from vadlab.datasets.video import VideoIndex, index_video
from vadlab.registry import MODELS
from vadlab.structures import VADDataSample
from vadlab.utils.errors import ConfigError

from ..heads.prompt_scoring_head import in_words, to_every_frame
from ..vlm.answer_cache import AnswerCache
from ..vlm.answer_parsers import Reading
from ..vlm.asker import AnswerCounts, Asker, tell_unread
from ..vlm.frame_stream import change_of_frames
from ..vlm.question_file import QuestionFile
from ..vlm.refinement import Refinement, fill_unread
from ..vlm.request import Request
from ..vlm.windows import Window

_LONGEST_DEFINITION = 4000
_OTHER = 'Other'


@MODELS.register_module()
class VLMDetector(BaseModel):
    """Asks a vision-language model about windows of a video; no training, scores with reasons.

    ::

        video -> windows -> question with frames -> client -> parser -> score, class, reason per window
                                 (cache)                                     |
        score of a frame <- interpolation or repetition <- refinement <------+

    Every answer is kept in a cache, so a killed run continues where it was, and other refinements ask nothing again. An
    answer that cannot be read is asked for once more. If that fails, the window's score is interpolated between its
    neighbours, and the window is counted. A video without any readable answer gets ``fallback_score``, and is counted.

    There are no weights: ``python tools/test.py CONFIG none``.

    Args:
        classes (Sequence[str]): Class names, Normal first. The model chooses one of them, or ``Other``.
        client (dict): ``OpenAIClient`` or ``TransformersVLM``.
        windows (dict): Config of :class:`Windows` without its type.
        question (str): Text file of the question, see :class:`QuestionFile`, with ``{definition}``.
        parser (dict): ``ScoreParser``, ``YesNoParser`` or ``BracketParser``.
        definition (str | None): What counts as abnormal, in words; None lists the classes.
        class_names (dict | None): What the model calls the classes, if the data set has codes (``B1``: ``Fighting``).
        refinement (Sequence[dict]): Steps of :mod:`vadlab.models.vlm.refinement`.
        tower (dict | None): :class:`ImageTextTower`, for steps that compare windows.
        interpolate (bool): Frames between the middles of two windows get interpolated scores; False repeats the score
            of a window for its frames.
        answer_cache (str): SQLite file of the answers.
        fallback_score (float): Score of a video without a readable answer, 0..1.
        data_preprocessor (dict | None): See MMEngine.

    Raises:
        ConfigError: An option has an invalid value.
        DataError: The question file cannot be used.
        MissingFileError: There is no question file.
    """

    needs_training = False
    #: Without weights, a test needs neither a checkpoint nor ``pretrained``.
    has_own_weights = False
    #: What a dry run cannot count exactly, for people.
    cost_note = ''
    required_placeholders: tuple[str, ...] = ()
    allowed_placeholders: tuple[str, ...] = ('definition', 'classes')

    def __init__(
        self,
        classes: Sequence[str],
        client: dict,
        windows: dict,
        question: str,
        parser: dict,
        definition: str | None = None,
        class_names: dict[str, str] | None = None,
        refinement: Sequence[dict] = (),
        tower: dict | None = None,
        interpolate: bool = False,
        answer_cache: str = 'work_dirs/answers.sqlite',
        fallback_score: float = 0.5,
        data_preprocessor: dict | None = None,
    ) -> None:
        super().__init__(data_preprocessor)
        name = type(self).__name__
        if len(classes) < 2:
            raise ConfigError(f'{name}: classes needs Normal and at least one abnormal class')
        if not 0 <= fallback_score <= 1:
            raise ConfigError(f'{name}: fallback_score must be in 0..1')
        #: The Runner asks for the device of a parameter, and a loss for one that has a gradient.
        self.unused = nn.Parameter(torch.zeros(()))
        self.classes = tuple((class_names or {}).get(name, name) for name in classes)
        self.windows = MODELS.build(dict(type='Windows', **windows))
        self.question = QuestionFile(question, self.required_placeholders, self.allowed_placeholders)
        self.parser = MODELS.build(parser)
        self.refinement: list[Refinement] = [MODELS.build(dict(step)) for step in refinement]
        if any(step.needs_features for step in self.refinement) and tower is None:
            raise ConfigError(
                f'{name}: a step of the refinement compares windows. Set tower=dict(type="ImageTextTower", ..)'
            )
        self.tower = None if tower is None else MODELS.build(dict(tower))
        self.interpolate = interpolate
        self.fallback_score = fallback_score
        self.cache_path = answer_cache
        self._cache: AnswerCache | None = None
        self.asker = Asker(MODELS.build(dict(client)), self.cache)
        #: What all questions cost since the model was built.
        self.counts = AnswerCounts()
        self._config = dict(windows=windows, refinement=list(refinement), interpolate=interpolate)
        self._own = (self.classes, definition)
        self._define(self.classes, definition)

    # ------------------------------------------------------------------------------------------------- what is asked

    def cache(self) -> AnswerCache:
        """The cache of answers, opened at the first call."""
        if self._cache is None:
            self._cache = AnswerCache(self.cache_path)
        return self._cache

    def _define(self, classes: Sequence[str], definition: str | None) -> None:
        self.classes = tuple(classes)
        if definition is None:
            definition = ', '.join(in_words(name) for name in classes[1:]) + ', or something as dangerous or unlawful'
        if not definition.strip() or len(definition) > _LONGEST_DEFINITION:
            raise ConfigError(
                f'The definition of abnormal has {len(definition):,} characters; give 1 to {_LONGEST_DEFINITION:,}. '
                'Long definitions hide what matters from the model, and are sent with every question'
            )
        self.definition = definition.strip()

    def use_prompts(self, prompts: Sequence[str] | None, negatives: Sequence[str] | None = None) -> None:
        """Look for something else than the config's classes, until the next call.

        Args:
            prompts (Sequence[str] | None): What counts as abnormal, in words; each is a class. None for the config.
            negatives (Sequence[str] | None): What counts as normal, in words.

        Raises:
            ConfigError: A prompt is empty, given twice, or too long, or the question file has no ``{definition}``.
        """
        if prompts is None:
            self._define(*self._own)
            return
        texts = [text.strip() for text in prompts]
        normal = [text.strip() for text in negatives or ()]
        keys = [' '.join(text.lower().split()) for text in [*texts, *normal]]
        if not texts or not all(keys):
            raise ConfigError('Prompts: give at least one prompt, and no empty ones.')
        if len(set(keys)) < len(keys):
            raise ConfigError('Prompts: a prompt is given twice. Give each once.')
        if 'definition' not in self.question.placeholders:
            raise ConfigError(
                f'{self.question.path} has no placeholder {{definition}}, so prompts would have no effect. Write '
                '{definition} where they belong, or use another question file'
            )
        definition = '; '.join(texts)
        if normal:
            definition += '. Not abnormal: ' + '; '.join(normal)
        self._define((self._own[0][0], *texts), definition)

    @property
    def answer_classes(self) -> tuple[str, ...]:
        """Names that the model may answer."""
        return (*self.classes, _OTHER)

    def question_text(self) -> str:
        """The question with its texts."""
        return self.question.fill(definition=self.definition, classes=', '.join(self.answer_classes))

    @property
    def sampled(self) -> str:
        """Which frames the model sees, for people."""
        windows = self.windows
        around = f' of {windows.span} around them' if windows.span else ''
        return f'a score for each {windows.stride} frames, from {windows.num_frames}{around}'

    @property
    def identity(self) -> str:
        """Digest of everything that affects scores, in place of a digest of weights."""
        content = [type(self).__name__, self.question.text, self.asker.client.settings, self._config, self._own]
        return hashlib.sha256(json.dumps(content, sort_keys=True, default=str).encode()).hexdigest()

    def requests(self, windows: Sequence[Window], video: str) -> list[Request]:
        """The questions about windows.

        Args:
            windows (Sequence[Window]): W of them.
            video (str): Digest of the video's content.
        """
        text, schema = self.question_text(), self.parser.schema(self.answer_classes)
        return [Request(text, video, window.frame_inds, schema) for window in windows]

    # ------------------------------------------------------------------------------------------------------- forward

    def forward(
        self, inputs: Any, data_samples: list[VADDataSample], mode: str = 'tensor'
    ) -> dict[str, Tensor] | list[VADDataSample]:
        """Score videos (``predict``).

        Args:
            inputs (Any): Not used: videos are streamed from ``video_path``.
            data_samples (list[VADDataSample]): With ``video_id`` and ``video_path``.
            mode (str): ``predict``, or ``loss`` if the method learns something.
        """
        if mode == 'loss':
            return self.loss(inputs, data_samples)
        if mode == 'predict':
            return self.predict(inputs, data_samples)
        raise ConfigError(f'{type(self).__name__}: mode is {mode!r}; choose predict')

    def loss(self, inputs: Any, data_samples: list[VADDataSample]) -> dict[str, Tensor]:
        """Not available: nothing is trained.

        Raises:
            ConfigError: Always.
        """
        raise ConfigError(
            f'{type(self).__name__} has nothing to train. Test it without a checkpoint: '
            'python tools/test.py CONFIG none'
        )

    def predict(self, inputs: Any, data_samples: list[VADDataSample]) -> list[VADDataSample]:
        """Write ``pred_scores``, ``pred_logits``, ``pred_answers`` and ``pred_answer_counts`` to each sample."""
        for sample in data_samples:
            index = index_video(sample.video_path)
            change = change_of_frames(index) if self.windows.needs_change else None
            self.score_windows(sample, index, self.windows(index.total_frames, change))
        return data_samples

    def score_windows(self, sample: VADDataSample, index: VideoIndex, windows: Sequence[Window]) -> None:
        """Ask about windows, and write the scores of a video to its sample."""
        counts = AnswerCounts()
        readings, summaries = self.read_windows(index, windows, self.cache().digest_of(index.path), counts)
        raw = np.array([np.nan if reading is None else reading.score for reading in readings])
        missing = int(np.isnan(raw).sum())
        tell_unread(str(sample.video_id), counts, missing if missing < len(windows) else 0)
        if missing == len(windows):
            counts.videos_without_answer += 1
            print_log(
                f'{sample.video_id}: not one answer can be read, so it has no score; tests count its frames as '
                f'{self.fallback_score:g}',
                'current',
                logging.WARNING,
            )
            frames = np.full(index.total_frames, self.fallback_score)
        else:
            frames = self.refine(index, windows, raw, summaries)
        self.counts.add(counts)
        sample.pred_scores = torch.from_numpy(np.clip(frames, 0, 1).astype(np.float32))
        sample.pred_logits = torch.logit(torch.from_numpy(np.clip(frames, 0, 1)), eps=1e-6).float()
        sample.pred_answers = InstanceData(
            starts=np.array([window.start for window in windows], np.int64),
            ends=np.array([window.end for window in windows], np.int64),
            scores=np.nan_to_num(raw, nan=-1.0).astype(np.float32),
            labels=['' if one is None else one.label for one in readings],
            reasons=['' if one is None else one.reason for one in readings],
        )
        sample.set_metainfo({'answer_counts': vars(counts).copy()})
        inds = np.array([(window.start + window.end) // 2 for window in windows], np.int64)
        sample.set_metainfo({'frame_inds': inds})

    def read_windows(
        self, index: VideoIndex, windows: Sequence[Window], video: str, counts: AnswerCounts
    ) -> tuple[list[Reading | None], list[str] | None]:
        """Ask about the windows of a video.

        Args:
            index (VideoIndex): The video.
            windows (Sequence[Window]): W of them.
            video (str): Digest of its content.
            counts (AnswerCounts): Is added to.

        Returns:
            tuple: What was read of each window, and a text about each, if the method makes some.
        """
        classes = self.answer_classes
        requests = self.requests(windows, video)
        readings = self.asker.ask(
            requests, lambda text: self.parser(text, classes), counts, index, self.parser.reminder
        )
        return readings, None

    # ---------------------------------------------------------------------------------------------------- refinement

    def refine(
        self, index: VideoIndex, windows: Sequence[Window], raw: np.ndarray, summaries: Sequence[str] | None = None
    ) -> np.ndarray:
        """Scores of frames from those of windows.

        Args:
            index (VideoIndex): The video.
            windows (Sequence[Window]): W of them.
            raw (np.ndarray): Score of each window, NaN where there is none, shape (W,).
            summaries (Sequence[str] | None): Text about each window.

        Returns:
            np.ndarray: float64, shape (N,).
        """
        centres = np.array([(window.start + window.end) // 2 for window in windows])
        scores = fill_unread(raw, centres)
        for step in self.refinement:
            if not step.on_frames:
                similarity, columns = self._similarity(step, index, windows, summaries)
                scores = step(scores, similarity, columns)
        if self.interpolate:
            frames = to_every_frame(torch.from_numpy(scores), centres, index.total_frames).double().numpy()
        else:
            frames = np.repeat(scores, [window.end - window.start for window in windows])
        for step in self.refinement:
            if step.on_frames:
                frames = step(frames)
        return frames

    def _similarity(
        self, step: Refinement, index: VideoIndex, windows: Sequence[Window], summaries: Sequence[str] | None
    ) -> tuple[np.ndarray | None, np.ndarray | None]:
        """Similarity of windows for a step, and the window of each column."""
        if not step.needs_features:
            return None, None
        shown = self.window_features(index, windows)
        if step.needs_features == 'images':
            return (shown @ shown.T).double().numpy(), None
        assert self.tower is not None
        if summaries is None:
            raise ConfigError(f'{type(self).__name__} makes no texts of windows; set features="images"')
        first: dict[str, int] = {}
        for number, text in enumerate(summaries):
            first.setdefault(text, number)
        texts = self.tower.texts(list(first), self._device())
        return (shown @ texts.T).double().numpy(), np.array(list(first.values()), np.int64)

    def window_features(self, index: VideoIndex, windows: Sequence[Window]) -> Tensor:
        """Mean feature of the frames that each window shows, L2-normalised, shape (W, D)."""
        assert self.tower is not None
        inds = sorted({ind for window in windows for ind in window.frame_inds})
        features = self.tower.frames(index, inds, self._device())
        place = {ind: row for row, ind in enumerate(inds)}
        means = torch.stack([features[[place[ind] for ind in window.frame_inds]].mean(0) for window in windows])
        return torch.nn.functional.normalize(means, dim=-1)

    def _device(self) -> torch.device:
        return self.unused.device

    # --------------------------------------------------------------------------------------------------------- costs

    def expected(self, path: str) -> AnswerCounts:
        """What scoring a video would cost; no question is asked.

        Args:
            path (str): The video.
        """
        index = index_video(path)
        change = change_of_frames(index) if self.windows.needs_change else None
        windows = self.windows(index.total_frames, change)
        requests = self.requests(windows, self.cache().digest_of(index.path))
        return self.asker.expected(requests, index.height, index.width)
