import numpy as np

from vadlab.registry import MODELS

from ..objects.objects import Objects
from .attribute import Attribute


@MODELS.register_module()
class Kind(Attribute):
    """Class of an object: the detector's confidence of each class.

    Args:
        classes (tuple[str, ...]): Names for the explanation; the detector's by default.
    """

    def __init__(self, classes: tuple[str, ...] = ()) -> None:
        super().__init__()
        self.classes = tuple(classes)

    def measure(self, frame: np.ndarray, flow: np.ndarray | None, objects: Objects) -> np.ndarray:
        """Confidences, 0..1, shape (M, C)."""
        return objects.class_scores

    def describe(self, vector: np.ndarray) -> str:
        """The most likely class."""
        best = int(np.argmax(vector))
        name = self.classes[best] if best < len(self.classes) else f'class {best}'
        return f'{name} ({vector[best]:.2f})'
