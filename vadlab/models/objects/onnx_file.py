"""A network in an ``.onnx`` file, run by onnxruntime on the CPU."""

import os
from typing import Any

import cv2
import numpy as np

from vadlab.utils.errors import DataError, MissingFileError
from vadlab.utils.onnx_session import open_session, run_session


class OnnxFile:
    """An ONNX network with one picture as input; it is loaded at the first use.

    A copy, or a process that receives one, loads the file again.

    Args:
        path (str): The ``.onnx`` file.
        kind (str): What the network is, for messages, such as ``detector``.
        where (str): Where to get one, for the message about a missing file.
        threads (int): Threads of onnxruntime.
    """

    def __init__(self, path: str, kind: str, where: str, threads: int = 1) -> None:
        self.path, self.kind, self.where, self.threads = path, kind, where, threads
        self._session: Any = None
        #: Name of the input.
        self.input = ''
        #: Height and width of the input; None where the file leaves it open.
        self.size: tuple[int | None, int | None] = (None, None)
        #: Pictures per run; None if the file leaves it open.
        self.batch: int | None = None
        #: Shapes of the outputs; -1 where the file leaves it open.
        self.outputs: list[tuple[int, ...]] = []

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, '_session': None}  # a session cannot be copied

    def open(self) -> None:
        """Load the file, if it is not loaded yet.

        Raises:
            MissingFileError: There is no such file.
            MissingDependencyError: onnxruntime is not installed.
            DataError: It is not an ONNX model with one picture of three channels as input.
        """
        if self._session is not None:
            return
        if not os.path.isfile(self.path):
            raise MissingFileError(f'There is no {self.kind} {self.path}. {self.where}')
        session = open_session(self.path, self.kind, self.threads)
        inputs = session.get_inputs()
        shape = inputs[0].shape if inputs else []
        if len(inputs) != 1 or len(shape) != 4 or shape[1] != 3 or inputs[0].type != 'tensor(float)':
            found = '; '.join(f'{node.name} {node.shape} {node.type}' for node in inputs)
            raise DataError(
                f'{self.path} is not a {self.kind}: its inputs are {found}; wanted one of shape (1, 3, H, W), float32'
            )
        self.input = inputs[0].name
        self.size = _number(shape[2]), _number(shape[3])
        self.batch = _number(shape[0])
        self.outputs = [tuple(_number(n) or -1 for n in node.shape or ()) for node in session.get_outputs()]
        self._session = session

    def run(self, pixels: np.ndarray) -> list[np.ndarray]:
        """All outputs for a batch of pictures.

        Args:
            pixels (np.ndarray): float32, shape (N, 3, H, W).

        Raises:
            DataError: onnxruntime fails.
        """
        self.open()
        return run_session(self._session, self.path, {self.input: pixels})


def _number(value: Any) -> int | None:
    return int(value) if isinstance(value, int) and value > 0 else None


def letterbox(
    frame: np.ndarray, size: tuple[int, int], is_centred: bool, fill: int = 114
) -> tuple[np.ndarray, float, np.ndarray]:
    """A picture scaled to fit into a size with its aspect ratio, padded with a grey value.

    Args:
        frame (np.ndarray): uint8, shape (H, W, 3).
        size (tuple[int, int]): Height and width of the result.
        is_centred (bool): Pad on all sides; if False, at the bottom and right.
        fill (int): The grey value.

    Returns:
        tuple: The padded picture, the scale of the picture in it, and the position (x, y) of its top left corner.
    """
    height, width = size
    scale = min(height / frame.shape[0], width / frame.shape[1])
    new = max(round(frame.shape[1] * scale), 1), max(round(frame.shape[0] * scale), 1)
    small = cv2.resize(frame, new, interpolation=cv2.INTER_LINEAR)
    padded = np.full((height, width, 3), fill, np.uint8)
    x, y = ((width - new[0]) // 2, (height - new[1]) // 2) if is_centred else (0, 0)
    padded[y : y + new[1], x : x + new[0]] = small
    return padded, scale, np.array([x, y], np.float32)
