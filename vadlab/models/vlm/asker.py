"""Asks the questions of a video: from the cache, or from the model; reads the answers; counts."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace
from typing import TypeVar

from vadlab.datasets.video import VideoIndex
from vadlab.utils.run_log import log

from .answer_cache import AnswerCache
from .answer_parsers import is_refusal
from .clients.vlm_client import VLMClient
from .frame_stream import with_images
from .request import Answer, Request

T = TypeVar('T')
_TEXT_TOKENS = 4  # characters per token, about


@dataclass
class AnswerCounts:
    """What questions cost, and what was wrong with the answers; summed up over videos.

    Attributes:
        questions (int): Questions, repeated ones included.
        calls (int): Calls of a model, those that failed included.
        cached (int): Questions that were answered from the cache.
        images (int): Frames that were sent.
        tokens_in (int): Of the calls, as the server counts them.
        tokens_out (int): Of the answers.
        seconds (float): Time of the calls, added up over threads.
        repeated (int): Questions that were asked a second time, since the answer could not be read.
        unread (int): Questions without a readable answer after that.
        refused (int): Those of them that were refused.
        cut (int): Those of them whose answer reached the largest number of tokens.
        videos_without_answer (int): Videos without any readable answer.
    """

    questions: int = 0
    calls: int = 0
    cached: int = 0
    images: int = 0
    tokens_in: int = 0
    tokens_out: int = 0
    seconds: float = 0.0
    repeated: int = 0
    unread: int = 0
    refused: int = 0
    cut: int = 0
    videos_without_answer: int = 0

    def add(self, other: 'AnswerCounts') -> None:
        """Add the counts of another video."""
        for one in fields(self):
            setattr(self, one.name, getattr(self, one.name) + getattr(other, one.name))

    def __str__(self) -> str:
        text = (
            f'{self.questions} questions, {self.cached} of them from the cache; {self.calls} calls, {self.images} '
            f'images, {self.tokens_in} tokens in, {self.tokens_out} out, {self.seconds:.1f} s'
        )
        if self.unread or self.repeated:
            text += f'; asked again: {self.repeated}, not readable: {self.unread}'
            text += f' (refused: {self.refused}, cut: {self.cut})' if self.unread else ''
        return text


class Asker:
    """Answers of one client, with its cache.

    Args:
        client (VLMClient): The client.
        cache (Callable): Returns the cache; it is opened at the first question.
    """

    def __init__(self, client: VLMClient, cache: Callable[[], AnswerCache]) -> None:
        self.client = client
        self.cache = cache

    def ask(
        self,
        requests: Sequence[Request],
        read: Callable[[str], T | None],
        counts: AnswerCounts,
        index: VideoIndex | None = None,
        reminder: str = '',
    ) -> list[T | None]:
        """Ask, and read the answers. Answers that cannot be read are asked for once more, with a reminder.

        Args:
            requests (Sequence[Request]): The questions.
            read (Callable): Takes the text of an answer, returns what it means; None if it cannot be read.
            counts (AnswerCounts): Is added to.
            index (VideoIndex | None): The video of the frames; None if no question shows frames.
            reminder (str): Text below a repeated question; empty asks only once.

        Returns:
            list: One entry per request; None if the answer cannot be read.

        Raises:
            ServiceError: The model cannot be reached.
            ConfigError: The model does not take the question.
            DataError: A frame cannot be decoded, or the cache cannot be used.
        """
        answers = self._answers(requests, counts, index)
        readings = [None if answer.is_refused else read(answer.text) for answer in answers]
        again = [number for number, reading in enumerate(readings) if reading is None] if reminder else []
        if again:
            counts.repeated += len(again)
            repeated = [
                replace(requests[i], text=f'{requests[i].text}\n\n{reminder}', attempt=requests[i].attempt + 1)
                for i in again
            ]
            for number, answer in zip(again, self._answers(repeated, counts, index), strict=True):
                answers[number] = answer
                readings[number] = None if answer.is_refused else read(answer.text)
        for reading, answer in zip(readings, answers, strict=True):
            if reading is None:
                counts.unread += 1
                counts.refused += answer.is_refused or is_refusal(answer.text)
                counts.cut += answer.is_cut
        return readings

    def _answers(self, requests: Sequence[Request], counts: AnswerCounts, index: VideoIndex | None) -> list[Answer]:
        """One answer per request; equal requests are sent once."""
        cache, settings = self.cache(), self.client.settings
        keys = [request.key(settings) for request in requests]
        found: dict[str, Answer] = {}
        missing: dict[str, Request] = {}
        for key, request in zip(keys, requests, strict=True):
            if key in found or key in missing:
                continue
            answer = cache.get(key)
            if answer is None:
                missing[key] = request
            else:
                found[key] = answer
        counts.questions += len(requests)
        counts.cached += len(requests) - len(missing)

        def keep(request: Request, answer: Answer) -> None:
            key = request.key(settings)
            cache.put(key, self.client.model_name, answer)
            found[key] = answer
            counts.calls += answer.tries
            counts.images += len(request.images)
            counts.tokens_in += answer.tokens_in
            counts.tokens_out += answer.tokens_out
            counts.seconds += answer.seconds

        if missing:
            asked = list(missing.values())
            sent = with_images(index, asked, self.client) if index is not None else iter(asked)
            self.client.answers(sent, keep)
        return [found[key] for key in keys]

    def expected(self, requests: Sequence[Request], height: int = 0, width: int = 0) -> AnswerCounts:
        """What the questions would cost; nothing is asked. Tokens are estimated.

        Args:
            requests (Sequence[Request]): The questions.
            height (int): Of the video, in pixels.
            width (int): Of the video.
        """
        cache, settings = self.cache(), self.client.settings
        counts = AnswerCounts(questions=len(requests))
        per_image = self.client.image_tokens(height, width) if height else 0
        for request in requests:
            if cache.get(request.key(settings)) is not None:
                counts.cached += 1
                continue
            counts.calls += 1
            counts.images += len(request.frame_inds)
            counts.tokens_in += len(request.text) // _TEXT_TOKENS + per_image * len(request.frame_inds)
            counts.tokens_out += min(self.client.max_tokens, 60)
        return counts


def tell_unread(video_id: str, counts: AnswerCounts, interpolated: int = 0) -> None:
    """Write to the log that answers of a video could not be read.

    Args:
        video_id (str): The video.
        counts (AnswerCounts): Of the video.
        interpolated (int): Windows that get interpolated scores.
    """
    if counts.unread:
        text = (
            f'{video_id}: {counts.unread} of {counts.questions - counts.repeated} answers cannot be read, asked twice '
            f'(refused: {counts.refused}, cut: {counts.cut})'
        )
        log(text + (f'; windows with interpolated scores: {interpolated}' if interpolated else ''))
