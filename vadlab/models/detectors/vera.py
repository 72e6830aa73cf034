import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from mmengine.structures import InstanceData
from torch import Tensor

from vadlab.datasets.video import index_video, read_frames
from vadlab.registry import MODELS
from vadlab.structures import VADDataSample
from vadlab.utils.config import config_path
from vadlab.utils.errors import CheckpointError, ConfigError, DataError
from vadlab.utils.run_log import log
from vadlab.utils.text_file import read_text

from ..layers.gather import world_size
from ..vlm.answer_parsers import Reading
from ..vlm.asker import AnswerCounts, Asker
from ..vlm.question_file import QuestionFile
from ..vlm.request import Request
from .vlm_detector import VLMDetector

_MOST_BYTES = 4096
_HEADING = re.compile(r'new\s+(?:guiding\s+|prompt\s+)?questions\W*', re.IGNORECASE)
_NUMBERED = re.compile(r'^\s*(?:[-*\u2022]|\(?\d{1,2}[.):])\s*(.+)$')


@MODELS.register_module()
class VERA(VLMDetector):
    """VERA: a frozen vision-language model answers guiding questions, which it has learnt to ask by itself.

    Ye et al., "VERA: Explainable Video Anomaly Detection via Verbalized Learning of Vision-Language Models", CVPR 2025,
    arXiv:2412.01095; github.com/vera-framework/VERA. Steps and defaults follow the code::

        training, per batch:   videos + questions -> model -> predictions, per video
                               videos + questions + predictions + truth -> model -> better questions
        test, per window:      frames + questions -> model -> 0 or 1
        refinement:            similar windows -> smoothing -> position prior

    Only the questions are learnt. They are a buffer of the checkpoint, so checkpoints, the best one by validation, and
    resuming work as for any method. In training and validation a video is asked about once, with frames from its whole
    length.

    Deviations: our own wording of the prompts; an answer without yes or no is asked for again, theirs counts as an
    anomaly; the frames of all videos of a batch are numbered through. The code compares windows by ImageBind; here any
    image tower can be used.

    Args:
        guiding (str): Text file with the first guiding questions, one per line; see :meth:`guiding_text`.
        rewrite (str): Text file of the request for better questions, with ``{questions}``, ``{predictions}`` and
            ``{targets}``; also ``{videos}`` (which frames belong to which video) and ``{limit}``.
        rewriter (dict | None): The client that rewrites; None for ``client``.
        max_questions (int): Largest number of guiding questions.
        **options: Those of :class:`VLMDetector`; its ``question`` must have ``{questions}``.

    Raises:
        ConfigError: An option has an invalid value.
        DataError: A text file cannot be used.
    """

    required_placeholders = ('questions',)

    def __init__(
        self,
        classes: Sequence[str],
        client: dict,
        windows: dict,
        question: str,
        parser: dict,
        guiding: str,
        rewrite: str,
        rewriter: dict | None = None,
        max_questions: int = 5,
        definition: str | None = None,
        class_names: dict[str, str] | None = None,
        refinement: Sequence[dict] = (),
        tower: dict | None = None,
        interpolate: bool = False,
        answer_cache: str = 'work_dirs/answers.sqlite',
        fallback_score: float = 0.5,
        data_preprocessor: dict | None = None,
    ) -> None:
        super().__init__(
            classes, client, windows, question, parser, definition, class_names, refinement, tower, interpolate,
            answer_cache, fallback_score, data_preprocessor,
        )  # fmt: skip
        if max_questions < 1:
            raise ConfigError('VERA: max_questions must be at least 1')
        self.max_questions = max_questions
        self.rewrite = QuestionFile(rewrite, ('questions', 'predictions', 'targets'), ('videos', 'limit'))
        self.rewriter = self.asker if rewriter is None else Asker(MODELS.build(dict(rewriter)), self.cache)
        self.register_buffer('question_bytes', torch.zeros(_MOST_BYTES, dtype=torch.uint8))
        lines = [line.strip() for line in read_text(config_path(guiding)).splitlines()]
        questions = [line for line in lines if line and not line.startswith('#')]
        if not questions:
            raise DataError(f'{guiding} has no guiding question. Write one per line')
        text = '\n'.join(questions)
        if len(text.encode()) > _MOST_BYTES:
            raise DataError(f'{guiding} has {len(text.encode()):,} bytes of questions, more than {_MOST_BYTES:,}')
        self.guiding_text = text

    @property
    def guiding_text(self) -> str:
        """The guiding questions, one per line.

        Raises:
            CheckpointError: The checkpoint has no text.
        """
        try:
            text = bytes(self.question_bytes.tolist()).rstrip(b'\0').decode('utf-8')
        except UnicodeDecodeError as error:
            raise CheckpointError('VERA: question_bytes of the checkpoint is not a text') from error
        if not text.strip():
            raise CheckpointError('VERA: the checkpoint has no guiding questions')
        return text

    @guiding_text.setter
    def guiding_text(self, text: str) -> None:
        raw = text.encode('utf-8')
        if not raw.strip() or len(raw) > _MOST_BYTES or b'\0' in raw:
            raise DataError(f'VERA: guiding questions have {len(raw):,} bytes; give 1 to {_MOST_BYTES:,}')
        padded = np.zeros(_MOST_BYTES, np.uint8)
        padded[: len(raw)] = np.frombuffer(raw, np.uint8)
        self.question_bytes.copy_(torch.from_numpy(padded))

    def question_text(self) -> str:
        """The question with the guiding questions."""
        classes = ', '.join(self.answer_classes)
        return self.question.fill(questions=self.guiding_text, definition=self.definition, classes=classes)

    @property
    def identity(self) -> str:
        """See :class:`VLMDetector`; the guiding questions are part of it."""
        self._config['guiding'] = self.guiding_text
        return super().identity

    # --------------------------------------------------------------------------------------------------------- learning

    def val_step(self, data: dict | tuple | list) -> list:
        """Ask about whole videos, as in training."""
        packed = self.data_preprocessor(data, False)
        samples = packed['data_samples']
        readings, _, counts = self._classify(samples)
        self.counts.add(counts)
        for sample, reading in zip(samples, readings, strict=True):
            sample.set_metainfo({'answer_counts': vars(counts).copy()})  # of the batch, counted at its first video
            counts = AnswerCounts()
            score = self.fallback_score if reading is None else reading.score
            total = index_video(sample.video_path).total_frames
            sample.pred_scores = torch.full((total,), float(score))
            sample.pred_logits = torch.logit(sample.pred_scores, eps=1e-6)
            sample.pred_answers = InstanceData(
                starts=np.zeros(1, np.int64),
                ends=np.full(1, total, np.int64),
                scores=np.full(1, -1.0 if reading is None else score, np.float32),
                labels=[''],
                reasons=['' if reading is None else reading.reason],
            )
        return samples

    def loss(self, inputs: Any, data_samples: list[VADDataSample]) -> dict[str, Tensor]:
        """Ask about a batch of videos, and let the model rewrite the questions.

        Returns:
            dict[str, Tensor]: ``loss``, which is 0; ``accuracy`` of the questions before they are rewritten;
            ``unread``, the number of answers that cannot be read.

        Raises:
            ConfigError: There are several processes: each would learn other questions.
        """
        if world_size() > 1:
            raise ConfigError(
                'VERA learns in one process. Start it without torchrun; requests_at_once asks in parallel'
            )
        readings, requests, counts = self._classify(data_samples)
        targets = [int(sample.gt_label) != 0 for sample in data_samples]
        right = [
            reading is not None and (reading.score >= 0.5) == target
            for reading, target in zip(readings, targets, strict=True)
        ]
        unread = counts.unread
        self._rewrite(readings, targets, requests, counts)
        self.counts.add(counts)
        return {
            'loss': self.unused * 0,
            'accuracy': torch.tensor(float(np.mean(right))),
            'unread': torch.tensor(float(unread)),
        }

    def _classify(self, samples: Sequence[VADDataSample]) -> tuple[list[Reading | None], list[Request], AnswerCounts]:
        """Ask about whole videos; the requests have their frames."""
        counts = AnswerCounts()
        text, schema = self.question_text(), self.parser.schema(self.answer_classes)
        requests = [self._of_whole(Request(text, schema=schema), sample) for sample in samples]
        classes = self.answer_classes
        read = self.asker.ask(requests, lambda text: self.parser(text, classes), counts, None, self.parser.reminder)
        return read, requests, counts

    def _of_whole(self, request: Request, sample: VADDataSample) -> Request:
        index = index_video(sample.video_path)
        inds = self.windows.whole(index.total_frames).frame_inds
        size = self.asker.client.size_of(index.height, index.width)
        frames = read_frames(index, np.array(inds), size, interpolation='area')
        images = tuple(self.asker.client.prepare(frame) for frame in frames)
        return replace(request, video=self.cache().digest_of(index.path), frame_inds=inds, images=images)

    def _rewrite(
        self,
        readings: Sequence[Reading | None],
        targets: Sequence[bool],
        shown: Sequence[Request],
        counts: AnswerCounts,
    ) -> None:
        """Replace the guiding questions by those that the model proposes, if they can be read."""
        parts, first = [], 1
        for number, request in enumerate(shown, 1):
            parts.append(f'video {number}: frames {first} to {first + len(request.images) - 1}')
            first += len(request.images)
        said = ['unreadable' if one is None else str(int(one.score >= 0.5)) for one in readings]
        text = self.rewrite.fill(
            questions=self.guiding_text,
            predictions=', '.join(said),
            targets=', '.join(str(int(target)) for target in targets),
            videos='; '.join(parts),
            limit=str(self.max_questions),
        )
        request = Request(
            text,
            '+'.join(one.video for one in shown),
            tuple(ind for one in shown for ind in one.frame_inds),
            images=tuple(image for one in shown for image in one.images),
        )
        reminder = f'End with the heading "New questions:" and 1 to {self.max_questions} numbered questions.'
        (found,) = self.rewriter.ask([request], lambda answer: self.new_questions(answer), counts, None, reminder)
        if found is None:
            log('VERA: the new questions cannot be read; the old ones are kept')
        else:
            self.guiding_text = found

    def new_questions(self, answer: str) -> str | None:
        """The guiding questions in an answer: the numbered lines after the last heading ``New questions``.

        Args:
            answer (str): The answer.

        Returns:
            str | None: At most ``max_questions`` lines; None if there is no heading, or no question after it.
        """
        found = list(_HEADING.finditer(answer))
        if not found:
            return None
        lines = [line.strip(' `') for line in answer[found[-1].end() :].splitlines()]
        questions = [match[1].strip() for line in lines if (match := _NUMBERED.match(line))]
        questions = questions or [line for line in lines if line.endswith('?')]
        text = '\n'.join(f'{i}. {question}' for i, question in enumerate(questions[: self.max_questions], 1))
        return text if text and len(text.encode('utf-8')) <= _MOST_BYTES and '\0' not in text else None
