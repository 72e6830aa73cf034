"""Base class of clients."""

from abc import abstractmethod
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from vadlab.utils.errors import ConfigError

from ..request import Answer, Request

#: Called with each request and its answer as soon as it is there, possibly in a thread of the client.
Keep = Callable[[Request, Answer], None]


class VLMClient:
    """Sends questions to a model.

    Args:
        model_name (str): Name of the model.
        image_size (int): Largest side of the frames that are shown, in pixels; smaller frames are not enlarged.
        max_tokens (int): Largest number of tokens of an answer.

    Raises:
        ConfigError: A value is out of its range.
    """

    def __init__(self, model_name: str, image_size: int = 448, max_tokens: int = 300) -> None:
        if not model_name:
            raise ConfigError(f'{type(self).__name__}: name the model')
        if image_size < 8 or max_tokens < 1:
            raise ConfigError(f'{type(self).__name__}: image_size must be at least 8, and max_tokens at least 1')
        self.model_name = model_name
        self.image_size = image_size
        self.max_tokens = max_tokens

    def size_of(self, height: int, width: int) -> tuple[int, int]:
        """Height and width of the frames that are shown of a video of this size, in pixels."""
        scale = min(1.0, self.image_size / max(height, width))
        return max(round(height * scale), 1), max(round(width * scale), 1)

    def prepare(self, frame: np.ndarray) -> Any:
        """A frame as it is kept until it is sent.

        Args:
            frame (np.ndarray): RGB, uint8, shape (H, W, 3).
        """
        return frame

    def image_tokens(self, height: int, width: int) -> int:
        """About how many tokens a frame of a video of this size takes: one per 28 x 28 pixels, as in Qwen2-VL."""
        rows, columns = self.size_of(height, width)
        return max(-(-rows // 28), 1) * max(-(-columns // 28), 1)

    @property
    @abstractmethod
    def settings(self) -> dict[str, Any]:
        """Everything that affects an answer beside the question and the frames; plain values, no secrets."""

    @abstractmethod
    def answers(self, requests: Iterable[Request], keep: Keep) -> None:
        """Ask, and call ``keep`` with each answer as soon as it is there, in any order.

        Args:
            requests (Iterable[Request]): Read lazily, a few ahead of the model.
            keep (Callable): See :data:`Keep`.

        Raises:
            ServiceError: The model cannot be reached.
            ConfigError: The model does not take the question.
        """
