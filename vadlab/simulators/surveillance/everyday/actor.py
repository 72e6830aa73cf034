"""The base class of everything that ordinary people and cars do."""

from abc import ABC, abstractmethod

from ..stage import Stage
from ..wording import Namer, Phrase


class Actor(ABC):
    """Somebody or something in the scene, a pure function of the frame number.

    Attributes:
        y: Ground position, pixels.
    """

    y: float

    @abstractmethod
    def draw(self, stage: Stage, role: str | None = None) -> None:
        """Put the actor on the stage."""

    @abstractmethod
    def phrase(self, name: Namer) -> Phrase:
        """What it is, and what it does."""
