"""A model's folder as Hugging Face lays it out: ``config.json`` and weights, in one file or in shards."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from vadlab.checkpoints.hub import shard_names
from vadlab.checkpoints.tensor_files import read_tensor_file
from vadlab.checkpoints.weights import listed, weights_in
from vadlab.utils.errors import CheckpointError, DataError
from vadlab.utils.json_file import read_json

#: Names of the weights, in search order.
WEIGHT_FILES = (
    'model.safetensors',
    'model.safetensors.index.json',
    'pytorch_model.bin',
    'pytorch_model.bin.index.json',
)


def read_json_object(path: Path) -> dict[str, Any]:
    """The object in a JSON file.

    Raises:
        CheckpointError: It is not JSON, or another value.
    """
    try:
        content = read_json(path)
    except DataError as error:
        raise CheckpointError(str(error)) from error
    if not isinstance(content, dict):
        raise CheckpointError(f'{path} contains no JSON object.')
    return content


def read_folder_weights(folder: Path, files: Sequence[str] = WEIGHT_FILES) -> tuple[dict[str, Any], str]:
    """Tensors of a folder, from one file or all shards.

    Args:
        folder (Path): The folder.
        files (Sequence[str]): File names, in search order.

    Returns:
        tuple: Tensors by name, and the name of the file that was found.

    Raises:
        CheckpointError: There is no such file, a shard is missing or damaged, or the shards lack a tensor of the index.
    """
    found = next((folder / name for name in files if (folder / name).is_file()), None)
    if found is None:
        raise CheckpointError(f'{folder} contains no weights; looked for {", ".join(files)}.')
    if found.suffix != '.json':
        return weights_in(read_tensor_file(found)[0], str(found)), found.name
    names = shard_names(found)
    # Unlike Path.is_file, this takes any name: the index may be damaged.
    missing = [name for name in names if not os.path.isfile(folder / name)]
    if missing:
        raise CheckpointError(
            f'{folder} lacks {len(missing)} of the {len(names)} shards that {found.name} lists: {listed(missing)}. '
            'Copy or download them again.'
        )
    tensors: dict[str, Any] = {}
    for name in names:
        tensors.update(weights_in(read_tensor_file(folder / name)[0], str(folder / name)))
    lost = [name for name in read_json_object(found)['weight_map'] if name not in tensors]
    if lost:
        raise CheckpointError(
            f'{folder}: {len(lost)} tensors that {found.name} lists are in no shard (first: {lost[0]}). The shards are '
            'of another version: copy or download all of them again.'
        )
    return tensors, found.name
