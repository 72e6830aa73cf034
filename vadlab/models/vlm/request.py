"""Questions and answers, as they pass between a method, the cache and a client."""

import hashlib
import json
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Request:
    """One call of a model.

    Attributes:
        text (str): The question.
        video (str): Digest of the video's content, :meth:`AnswerCache.digest_of`; empty without images.
        frame_inds (tuple[int, ...]): Frames that are shown, in order; 0-based.
        schema (dict | None): JSON schema of the answer, for servers that support one.
        attempt (int): 0; 1 if the first answer could not be read.
        images (tuple): The frames as the client's ``prepare`` returns them; not part of the key.
    """

    text: str
    video: str = ''
    frame_inds: tuple[int, ...] = ()
    schema: dict[str, Any] | None = field(default=None, compare=False)
    attempt: int = 0
    images: tuple[Any, ...] = field(default=(), repr=False, compare=False)

    def key(self, settings: dict[str, Any]) -> str:
        """Key of the answer in a cache.

        Args:
            settings (dict[str, Any]): Those of the client that affect the answer, such as the name of the model.
        """
        content = [self.text, self.video, list(self.frame_inds), self.schema, self.attempt, settings]
        return hashlib.sha256(json.dumps(content, sort_keys=True, ensure_ascii=True).encode()).hexdigest()


@dataclass(frozen=True)
class Answer:
    """What a model answered.

    Attributes:
        text (str): The answer.
        tokens_in (int): Tokens of the question and its images, as the server counts them.
        tokens_out (int): Tokens of the answer.
        seconds (float): From sending to receiving, waiting times of repeated calls excluded.
        is_refused (bool): The server or the model marked the answer as a refusal.
        is_cut (bool): The answer reached the largest number of tokens.
        tries (int): Calls that were needed, >= 1.
    """

    text: str
    tokens_in: int = 0
    tokens_out: int = 0
    seconds: float = 0.0
    is_refused: bool = False
    is_cut: bool = False
    tries: int = 1
