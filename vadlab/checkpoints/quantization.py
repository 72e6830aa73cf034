"""Checkpoints whose linear layers are 8-bit integers."""

from collections.abc import Mapping
from typing import Any

from torch import nn

from vadlab.utils.errors import CheckpointError

from .int8_linear import quantize_linears, replace_linear

SCHEME = 'int8 weights by output channel, int8 inputs by row'


def quantized_checkpoint(model: nn.Module, meta: Mapping[str, Any]) -> dict[str, Any]:
    """Quantise a trained model in place; returns its checkpoint.

    Args:
        model (nn.Module): The model, on the CPU.
        meta (Mapping[str, Any]): The ``meta`` of the checkpoint that it was loaded from.

    Returns:
        dict[str, Any]: Checkpoint for :func:`~vadlab.checkpoints.checkpoint_io.write_checkpoint`.

    Raises:
        CheckpointError: No layer is large enough.
    """
    layers = quantize_linears(model)
    if not layers:
        raise CheckpointError(
            f'{type(model).__name__} has no linear layer of at least 64 channels: there is nothing to quantise.'
        )
    return {
        'meta': dict(meta),
        'quantization': {'scheme': SCHEME, 'layers': layers},
        'state_dict': model.state_dict(),
    }


def prepare_quantized(model: nn.Module, checkpoint: Mapping[str, Any], name: str) -> None:
    """Replace the layers of a model that are quantised in a checkpoint, before its weights are loaded.

    Args:
        model (nn.Module): The model, as its config builds it.
        checkpoint (Mapping[str, Any]): Checkpoint with the key ``quantization``.
        name (str): Name of the file, for messages.

    Raises:
        CheckpointError: The scheme is another one, or the model does not have these layers.
    """
    about = checkpoint['quantization']
    scheme = about.get('scheme') if isinstance(about, Mapping) else about
    if scheme != SCHEME:
        raise CheckpointError(f'{name} is quantised by an unknown scheme: {str(scheme)[:100]!r}.')
    if not isinstance(about.get('layers'), list) or not all(isinstance(layer, str) for layer in about['layers']):
        raise CheckpointError(f'{name} does not name the layers that are quantised in it.')
    if hasattr(model, 'check_checkpoint'):  # it may replace parts of the model
        model.check_checkpoint(checkpoint['state_dict'], name)
    for layer in about['layers']:
        try:
            replace_linear(model, layer)
        except KeyError as error:
            raise CheckpointError(
                f'{name} was quantised from another model: this one has no linear layer {layer}. Use the config that '
                'the checkpoint was trained with.'
            ) from error
