"""The base of what draws tested samples."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from torch import nn

from vadlab.utils.errors import ConfigError

from ..html_report import Article

DPI = 110


class Renderer(ABC):
    """Draws the tested samples of one class. A subclass is registered under the name of that class.

    Args:
        folder (Path): Where pictures go.
        model (nn.Module): The tested model.
        dataset (Any): The tested data set, with ``metainfo``.
    """

    #: Title of the page.
    title: str = 'Tested samples'
    #: How many samples are drawn where the user does not say; None for all.
    max_samples: int | None = None

    def __init__(self, folder: Path, model: nn.Module, dataset: Any) -> None:
        self.folder = folder
        self.model = model
        self.dataset = dataset

    @abstractmethod
    def draw(self, inputs: Any, sample: Any) -> Article:
        """Draw one sample.

        Args:
            inputs (Any): What the loader gave for this sample, before it was normalised.
            sample (Any): The data sample, with predictions.

        Returns:
            Article: Its part of the page; the pictures are written.
        """

    def overview(self, metrics: Sequence[Any]) -> list[Article]:
        """Pictures of the whole test, which stand before all samples; none by default.

        Args:
            metrics (Sequence[Any]): The test's metrics, computed.
        """
        return []

    def note(self, drawn: int, total: int) -> str:
        """The sentence below the title."""
        return f'{drawn} of {total} samples.'


def name_of(sample: Any) -> str:
    """The id of a data sample of any class.

    Raises:
        ConfigError: It has none.
    """
    for field in ('video_id', 'clip_id', 'image_id'):
        if sample.get(field) is not None:
            return str(sample.get(field))
    raise ConfigError(f'A {type(sample).__name__} without video_id, clip_id and image_id cannot be drawn.')
