"""Networks in ``.onnx`` files, run by onnxruntime on the CPU."""

import os
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from .errors import DataError, MissingDependencyError, MissingFileError


def open_session(path: str | os.PathLike, what: str, threads: int = 1) -> Any:
    """Open an ``.onnx`` file.

    Args:
        path (str | PathLike): The file.
        what (str): What the network is, for messages, such as ``detector``.
        threads (int): Threads of onnxruntime; 0 for all cores.

    Returns:
        The InferenceSession.

    Raises:
        MissingFileError: There is no such file.
        MissingDependencyError: onnxruntime is not installed.
        DataError: onnxruntime cannot load it.
    """
    if not os.path.isfile(path):
        raise MissingFileError(f'There is no {what} {path}.')
    try:
        import onnxruntime
    except ImportError as error:
        raise MissingDependencyError(
            f'The {what} {path} needs onnxruntime: pip install "vadlab[onnx]" (or: pip install onnxruntime)'
        ) from error
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    try:
        return onnxruntime.InferenceSession(os.fspath(path), options, providers=['CPUExecutionProvider'])
    except Exception as error:  # onnxruntime's own kinds of errors
        raise DataError(f'{path} is not an ONNX model that onnxruntime can load: {_reason(error)}') from error


def run_session(
    session: Any, path: str | os.PathLike, inputs: Mapping[str, np.ndarray], outputs: Sequence[str] | None = None
) -> list[np.ndarray]:
    """Run a network.

    Args:
        session (Any): From :func:`open_session`.
        path (str | PathLike): Its file, for messages.
        inputs (Mapping[str, np.ndarray]): Arrays by name.
        outputs (Sequence[str] | None): Names of the wanted outputs; all by default.

    Raises:
        DataError: onnxruntime fails.
    """
    try:
        return session.run(outputs, dict(inputs))
    except Exception as error:
        raise DataError(f'{path}: onnxruntime failed: {_reason(error)}') from error


def _reason(error: Exception) -> str:
    return str(error).splitlines()[0][:200]


class OnnxGraph:
    """A network with named inputs and outputs, loaded at the first use.

    A copy, or a process that receives one, loads the file again.

    Args:
        path (str | PathLike): The ``.onnx`` file.
        threads (int | None): Threads of onnxruntime; by default ``OMP_NUM_THREADS`` of the environment, or all cores.
    """

    def __init__(self, path: str | os.PathLike, threads: int | None = None) -> None:
        self.path = os.fspath(path)
        number = os.environ.get('OMP_NUM_THREADS', '')
        self.threads = threads if threads is not None else int(number) if number.isdigit() else 0
        self._session: Any = None

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, '_session': None}  # a session cannot be copied

    @property
    def session(self) -> Any:
        """The open session.

        Raises:
            MissingFileError, MissingDependencyError, DataError: See :func:`open_session`.
        """
        if self._session is None:
            self._session = open_session(self.path, 'network', self.threads)
        return self._session

    @property
    def inputs(self) -> list[str]:
        """Names of the inputs."""
        return [node.name for node in self.session.get_inputs()]

    @property
    def outputs(self) -> list[str]:
        """Names of the outputs."""
        return [node.name for node in self.session.get_outputs()]

    def __call__(self, **inputs: np.ndarray) -> dict[str, np.ndarray]:
        """Outputs by name.

        Args:
            **inputs (np.ndarray): Arrays by name; those that the network does not take are left out.

        Raises:
            DataError: onnxruntime fails.
        """
        names = self.inputs
        given = {name: np.ascontiguousarray(value) for name, value in inputs.items() if name in names}
        return dict(zip(self.outputs, run_session(self.session, self.path, given), strict=True))
