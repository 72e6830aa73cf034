"""One part of a model to an ``.onnx`` file, and its check against torch."""

import contextlib
import io
import logging
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from vadlab.models.layers.weights_cache import steady_weights
from vadlab.utils.errors import ConfigError, MissingDependencyError
from vadlab.utils.onnx_session import OnnxGraph

from .graphs import Graph

#: ONNX operator set of exported graphs: that of torch's exporter in torch 2.13.
OPSET = 20
#: Largest difference from torch that an export accepts, relative to the largest value of an output.
TOLERANCE = 1e-4


def check_packages() -> None:
    """Check that the packages that an export needs are installed.

    Raises:
        MissingDependencyError: One is not.
    """
    missing = []
    for name in ('onnx', 'onnxscript', 'onnxruntime'):
        try:
            __import__(name)
        except ImportError:
            missing.append(name)
    if missing:
        raise MissingDependencyError(
            f'An export needs {", ".join(missing)}: pip install "vadlab[onnx]" (or: pip install {" ".join(missing)})'
        )


def write_graph(graph: Graph, path: Path) -> dict[str, float]:
    """Export a graph with torch's exporter (``dynamo=True``), run it with onnxruntime and compare it with torch.

    Args:
        graph (Graph): The part, with real inputs.
        path (Path): The ``.onnx`` file.

    Returns:
        dict[str, float]: Largest difference of each output, relative to the largest value of the output.

    Raises:
        ConfigError: torch cannot export the part, or the difference is too large.
    """
    module = graph.module.eval()
    names = list(graph.inputs)
    dims = {dim: torch.export.Dim(dim) for axes in graph.open_dims.values() for dim in axes.values()}
    shapes = tuple({axis: dims[dim] for axis, dim in graph.open_dims.get(name, {}).items()} or None for name in names)
    inputs = tuple(graph.inputs.values())
    with torch.no_grad(), steady_weights(), _quiet():
        module(*inputs)  # embeddings of texts are kept, and become constants of the graph
        try:
            program = torch.onnx.export(
                module,
                inputs,
                input_names=names,
                output_names=list(graph.outputs),
                dynamic_shapes=shapes,
                opset_version=OPSET,
                dynamo=True,
                verbose=False,
            )
            program.save(str(path))
        except Exception as error:
            cause = error.__cause__ or error
            reason = ' '.join(str(cause).split())[:300]
            raise ConfigError(f'{graph.name}: torch cannot export it: {type(error).__name__}: {reason}') from error
    return check_graph(graph, path, TOLERANCE)


def check_graph(graph: Graph, path: Path, tolerance: float | None) -> dict[str, float]:
    """Compare an ``.onnx`` file with torch on real inputs, at two sizes of the open dimensions.

    Args:
        graph (Graph): The part in torch, with real inputs.
        path (Path): The file.
        tolerance (float | None): Largest accepted difference; None for any.

    Returns:
        dict[str, float]: See :func:`write_graph`.

    Raises:
        ConfigError: The difference is too large, or whole numbers differ.
        DataError: onnxruntime cannot run it.
    """
    network = OnnxGraph(path)
    found: dict[str, float] = {}
    for given in (graph.inputs, graph.smaller):
        if not given:
            continue
        with torch.no_grad():
            wanted = graph.module(*given.values())
        wanted = [wanted] if isinstance(wanted, Tensor) else list(wanted)
        got = network(**{name: value.numpy() for name, value in given.items()})
        for name, reference in zip(graph.outputs, wanted, strict=True):
            difference = relative_difference(got[name], reference.numpy())
            found[f'{graph.name}.{name}'] = max(difference, found.get(f'{graph.name}.{name}', 0.0))
    worst = max(found, key=lambda name: found[name], default='')
    if tolerance is not None and worst and found[worst] > tolerance:
        raise ConfigError(
            f'{worst}: onnxruntime and torch differ by {found[worst]:.2g} of the largest value; at most {tolerance:g} '
            'is accepted. Nothing was written.'
        )
    return found


def relative_difference(got: np.ndarray, reference: np.ndarray) -> float:
    """Largest difference of two arrays divided by the largest value; for whole numbers, the share that differs."""
    if got.shape != reference.shape:
        return float('inf')
    if not reference.size:
        return 0.0
    if not np.issubdtype(reference.dtype, np.floating):
        return float((got != reference).mean())
    finite = np.isfinite(reference)
    if not np.array_equal(finite, np.isfinite(got)):
        return float('inf')
    scale = max(float(np.abs(reference[finite]).max(initial=0.0)), 1e-6)
    return float(np.abs(got[finite] - reference[finite]).max(initial=0.0)) / scale


def quantize_graph(source: Path, target: Path) -> None:
    """Write a graph with 8-bit weights: onnxruntime's dynamic quantization of its matrix products with weights.

    Weights have one scale per output channel; activations are quantised while the network runs, with one scale per
    tensor. Convolutions, norms and attention stay in float32.

    Args:
        source (Path): The ``.onnx`` file.
        target (Path): The file to write.
    """
    with _quiet():
        from onnxruntime.quantization import QuantType, quantize_dynamic

        quantize_dynamic(
            source,
            target,
            op_types_to_quantize=['MatMul', 'Gemm'],
            per_channel=True,
            weight_type=QuantType.QInt8,
        )


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Silence the exporter's notes about its own progress."""
    loggers = [logging.getLogger(name) for name in ('torch.onnx', 'onnxscript', 'onnx_ir', 'root', '')]
    before = [logger.level for logger in loggers]
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter('ignore')
        for logger in loggers:
            logger.setLevel(logging.ERROR)
        try:
            yield
        finally:
            for logger, level in zip(loggers, before, strict=True):
                logger.setLevel(level)


def to_numpy(values: dict[str, Any]) -> dict[str, np.ndarray]:
    """Tensors as arrays."""
    return {name: value.detach().cpu().numpy() for name, value in values.items()}
