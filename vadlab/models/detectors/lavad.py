from collections.abc import Sequence

import torch

from vadlab.datasets.video import VideoIndex, index_video
from vadlab.registry import MODELS
from vadlab.utils.errors import ConfigError

from ..vlm.answer_parsers import Reading, is_refusal, shortened
from ..vlm.asker import AnswerCounts, Asker
from ..vlm.question_file import QuestionFile
from ..vlm.request import Request
from ..vlm.windows import Window
from .vlm_detector import VLMDetector


@MODELS.register_module()
class LAVAD(VLMDetector):
    """LAVAD: captions of frames, cleaned by similarity; a language model summarises and scores them.

    Zanella et al., "Harnessing Large Language Models for Training-free Video Anomaly Detection", CVPR 2024,
    arXiv:2404.01014; github.com/lucazanella/lavad. Steps and defaults follow the code::

        first frame of each block -> captioners -> captions of the video
        frames of a window -> image tower -> nearest captions (text tower) -> language model -> summary
        summary -> language model -> score -> mean over the windows with the most similar summaries

    A window's summary is its reason.

    Deviations: our own wording of the prompts; a summary is the whole answer in one line, theirs the last line. The
    code uses five BLIP-2 models as captioners, Llama-2-13b-chat, and ImageBind to compare; here each is a config. The
    feature of a window is the mean over its frames, ImageBind's that of a clip.

    Args:
        captioners (Sequence[dict]): Clients that caption single frames.
        caption_question (str): Text file of what they are asked.
        summary_question (str): Text file with ``{captions}``.
        client (dict): The language model; it sees no images.
        question (str): Text file of the question for a score, with ``{summary}``.
        tower (dict): :class:`ImageTextTower` whose model embeds frames and texts.
        **options: Those of :class:`VLMDetector`.

    Raises:
        ConfigError: An option has an invalid value.
        DataError: A text file cannot be used.
    """

    cost_note = (
        'Summaries and scores count as calls, even if their answers are in the cache: their texts depend on captions.'
    )
    required_placeholders = ('summary',)

    def __init__(
        self,
        classes: Sequence[str],
        client: dict,
        captioners: Sequence[dict],
        windows: dict,
        question: str,
        caption_question: str,
        summary_question: str,
        parser: dict,
        tower: dict,
        definition: str | None = None,
        class_names: dict[str, str] | None = None,
        refinement: Sequence[dict] = (),
        interpolate: bool = False,
        answer_cache: str = 'work_dirs/answers.sqlite',
        fallback_score: float = 0.5,
        data_preprocessor: dict | None = None,
    ) -> None:
        super().__init__(
            classes, client, windows, question, parser, definition, class_names, refinement, tower, interpolate,
            answer_cache, fallback_score, data_preprocessor,
        )  # fmt: skip
        if not captioners:
            raise ConfigError('LAVAD: captioners is empty')
        self.captioners = [Asker(MODELS.build(dict(one)), self.cache) for one in captioners]
        self.caption_question = QuestionFile(caption_question)
        self.summary_question = QuestionFile(summary_question, ('captions',))
        self._config['captioners'] = [asker.client.settings for asker in self.captioners]
        self._config['questions'] = [self.caption_question.text, self.summary_question.text]

    def read_windows(
        self, index: VideoIndex, windows: Sequence[Window], video: str, counts: AnswerCounts
    ) -> tuple[list[Reading | None], list[str] | None]:
        """Caption, clean, summarise and score; see :meth:`VLMDetector.read_windows`."""
        captions = self.captions(index, windows, video, counts)
        if not captions:
            return [None] * len(windows), None
        shown = self.clean(index, windows, captions)
        asked = [Request(self.summary_question.fill(captions='\n'.join(texts))) for texts in shown]
        summaries = self.asker.ask(asked, _as_line, counts, None, 'Answer with one or two sentences.')
        # A window without a summary keeps its captions, so that it is still scored.
        texts = [one or ' '.join(dict.fromkeys(each)) for one, each in zip(summaries, shown, strict=True)]
        classes = self.answer_classes
        scoring = [
            Request(self.question.fill(summary=text, definition=self.definition, classes=', '.join(classes)))
            for text in texts
        ]
        read = self.asker.ask(scoring, lambda text: self.parser(text, classes), counts, None, self.parser.reminder)
        found = [
            None if one is None else Reading(one.score, one.label, one.reason or shortened(text))
            for one, text in zip(read, texts, strict=True)
        ]
        return found, texts

    def captions(self, index: VideoIndex, windows: Sequence[Window], video: str, counts: AnswerCounts) -> list[str]:
        """Distinct captions of a video, in order of time; empty and refused answers are left out.

        Args:
            index (VideoIndex): The video.
            windows (Sequence[Window]): The first frame of each block is captioned.
            video (str): Digest of the video's content.
            counts (AnswerCounts): Is added to.
        """
        requests = [Request(self.caption_question.text, video, (window.start,)) for window in windows]
        found = [
            asker.ask(requests, _as_line, counts, index, 'Describe the picture in one sentence.')
            for asker in self.captioners
        ]
        return list(dict.fromkeys(text for texts in zip(*found, strict=True) for text in texts if text))

    def clean(self, index: VideoIndex, windows: Sequence[Window], captions: Sequence[str]) -> list[list[str]]:
        """The caption of the video that is most similar to each frame of each window.

        Args:
            index (VideoIndex): The video.
            windows (Sequence[Window]): W of them.
            captions (Sequence[str]): Distinct captions of the video.

        Returns:
            list[list[str]]: One caption per shown frame, W lists.
        """
        assert self.tower is not None
        device = self._device()
        inds = sorted({ind for window in windows for ind in window.frame_inds})
        similarity = self.tower.frames(index, inds, device) @ self.tower.texts(captions, device).T
        nearest = dict(zip(inds, torch.argmax(similarity, dim=1).tolist(), strict=True))
        return [[captions[nearest[ind]] for ind in window.frame_inds] for window in windows]

    def expected(self, path: str) -> AnswerCounts:
        """See :meth:`VLMDetector.expected`. Texts are only known after the calls, so their tokens are estimates."""
        index = index_video(path)
        windows = self.windows(index.total_frames)
        video = self.cache().digest_of(index.path)
        counts = AnswerCounts()
        for asker in self.captioners:
            requests = [Request(self.caption_question.text, video, (window.start,)) for window in windows]
            counts.add(asker.expected(requests, index.height, index.width))
        # Summaries and scores: counted as calls, whether or not they are in the cache.
        caption = 'x' * 80
        shown = self.summary_question.fill(captions='\n'.join([caption] * self.windows.num_frames))
        scoring = self.question.fill(summary=caption * 2, definition=self.definition, classes='')
        counts.add(self.asker.expected([Request(shown, 'unknown', attempt=-1)] * len(windows)))
        counts.add(self.asker.expected([Request(scoring, 'unknown', attempt=-1)] * len(windows)))
        return counts


def _as_line(text: str) -> str | None:
    """An answer as one line; None if it is empty or refused: a refusal does not describe the video."""
    return None if is_refusal(text, at_start=True) else ' '.join(text.split()) or None
