"""Base class of renderers."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from torch import nn

from vadlab.utils.errors import ConfigError

from ..report.picture_page import Article

DPI = 110


class Renderer(ABC):
    """Renderer for the tested samples of one class. A subclass is registered under the name of that class.

    Args:
        folder (Path): Folder for the pictures.
        model (nn.Module): The tested model.
        dataset (Any): The tested data set, with ``metainfo``.
    """

    #: Title of the page.
    title: str = 'Tested samples'
    #: Default number of samples to draw; None for all.
    max_samples: int | None = None

    def __init__(self, folder: Path, model: nn.Module, dataset: Any) -> None:
        self.folder = folder
        self.model = model
        self.dataset = dataset

    @abstractmethod
    def draw(self, inputs: Any, sample: Any) -> Article:
        """Draw one sample.

        Args:
            inputs (Any): Inputs of this sample from the loader, before normalisation.
            sample (Any): The data sample, with predictions.

        Returns:
            Article: Its article for the page; the pictures are already written.
        """

    def overview(self, metrics: Sequence[Any]) -> list[Article]:
        """Articles about the whole test, shown before all samples; none by default.

        Args:
            metrics (Sequence[Any]): Metrics of the test, already computed.
        """
        return []

    def note(self, drawn: int, total: int) -> str:
        """The sentence below the title."""
        return f'{drawn} of {total} samples.'


def name_of(sample: Any) -> str:
    """The id of a data sample of any class.

    Raises:
        ConfigError: It has no id.
    """
    for field in ('video_id', 'clip_id', 'image_id'):
        if sample.get(field) is not None:
            return str(sample.get(field))
    raise ConfigError(f'A {type(sample).__name__} without video_id, clip_id and image_id cannot be drawn.')
