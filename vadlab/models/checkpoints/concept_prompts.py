"""Text features of classes: CLIP embeddings of the concepts that are related to each class name.

Shape suffixes: k classes, n concepts, e embedding channels.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from vadlab.registry import TOKENIZERS
from vadlab.utils.errors import CheckpointError, ConfigError, DataError, MissingFileError
from vadlab.utils.json_file import read_json
from vadlab.utils.npy_file import read_npy
from vadlab.utils.suggest import nearest

from ..backbones.clip_text_transformer import CLIPTextTransformer
from .clip_loading import load_clip_checkpoint


def read_concept_features(
    path: str | Path, classes: Sequence[str], order: Sequence[str] | None = None, clip: str | None = None
) -> Tensor:
    """Read one text feature per class from a file of features or of concepts.

    - ``.npy``: precomputed features, shape (number of rows, E), row i for the class ``order[i]``. PEL4VAD's authors
      publish such files.
    - ``.json``: concepts per class, see :func:`read_concepts`. The feature of a class is the mean of the CLIP
      embeddings of its concepts, projected and not normalised, as in PEL4VAD.

    Args:
        path (str | Path): The file.
        classes (Sequence[str]): Classes to return, in this order.
        order (Sequence[str] | None): Classes of the file's rows or entries. None if they are ``classes`` (for ``.npy``,
            in the same order; for ``.json``, by name).
        clip (str | None): CLIP weights for a ``.json`` file, see
            :func:`~vadlab.models.checkpoints.load_clip_checkpoint`.

    Returns:
        Tensor: float32, shape (len(classes), E).

    Raises:
        MissingFileError: The file does not exist.
        DataError: The file is damaged, its number of rows differs from ``order``, or a number is not finite.
        ConfigError: The file does not contain a class, has another ending, or ``clip`` is missing.
    """
    path = Path(path)
    if not path.is_file():
        raise MissingFileError(
            f"No prompt features at {path}. Give a .npy file with one row per class (PEL4VAD's repository has them as "
            'list/*/*-prompt.npy), or a .json file of concepts and CLIP weights to encode them: '
            'prompts=configs/concepts/ucf_crime.json clip=PATH.'
        )
    if path.suffix == '.npy':
        return _read_features(path, classes, order)
    if path.suffix != '.json':
        raise ConfigError(f'{path}: prompts end in .npy (features) or .json (concepts).')
    concepts = read_concepts(path, order)
    rows = _rows_of(path, classes, list(concepts))
    if clip is None:
        raise ConfigError(f'{path} contains words; give clip=PATH, the CLIP weights that encode them.')
    chosen = [list(concepts.values())[row] for row in rows]
    features_ne = encode_texts([text for texts in chosen for text in texts], clip)
    return torch.stack([part.mean(0) for part in features_ne.split([len(texts) for texts in chosen])])


def read_concepts(path: str | Path, order: Sequence[str] | None = None) -> dict[str, list[str]]:
    """Read the concepts of each class from a JSON file.

    The file maps a class to a list of concepts, all of which are used, or to ``{concept: relatedness}`` with the class
    itself first (PEL4VAD's files; relatedness from ConceptNet 5.5, Speer et al., AAAI 2017, arXiv:1612.03975). In the
    second case, a concept is used if its relatedness is at least the mean of all but the first.

    Args:
        path (str | Path): The file.
        order (Sequence[str] | None): New names of the file's entries, in order; None keeps the names in the file.

    Returns:
        dict[str, list[str]]: Concepts per class, in the order of the file.

    Raises:
        DataError: The file is not JSON of this kind, or its number of entries differs from ``order``.
    """
    example = '{"Fighting": ["fighting", "a punch"]} or {"fighting": {"fighting": 1.0, "wrestling": 0.41}}'
    content = read_json(path)
    if not isinstance(content, dict) or not content:
        raise DataError(f'{path} contains no concepts by class; expected {example}.')
    found = {}
    for name, entry in content.items():
        texts = _related(entry) if isinstance(entry, dict) else entry
        if not isinstance(texts, list) or not texts or not all(isinstance(text, str) and text for text in texts):
            raise DataError(f'{path}: the concepts of {name!r} are {str(entry)[:60]!r}; expected {example}.')
        found[name] = texts
    if order is None:
        return found
    if len(order) != len(found):
        raise DataError(f'{path} has {len(found)} entries ({", ".join(found)}), but {len(order)} classes are named.')
    return dict(zip(order, found.values(), strict=True))


def _related(entry: Mapping[str, float]) -> list[str] | None:
    """Concepts with at least the mean relatedness of all but the first; None if a relatedness is not a number."""
    values = list(entry.values())
    if not all(isinstance(value, int | float) for value in values):
        return None
    least = sum(values[1:]) / (len(values) - 1) if len(values) > 1 else 1.0
    return [concept for concept, value in entry.items() if value >= least]


def _read_features(path: Path, classes: Sequence[str], order: Sequence[str] | None) -> Tensor:
    array = read_npy(path)
    order = list(order or classes)
    if array.ndim != 2 or array.dtype.kind != 'f' or len(array) != len(order):
        raise DataError(
            f'{path} holds {array.dtype} of shape {array.shape}; expected one row of floats for each of '
            f'{len(order)} classes ({", ".join(order)}).'
        )
    if not np.isfinite(array).all():
        raise DataError(f'{path} holds numbers that are not finite.')
    return torch.from_numpy(array.astype(np.float32))[_rows_of(path, classes, order)]


def _rows_of(path: Path, classes: Sequence[str], names: list[str]) -> list[int]:
    for name in classes:
        if name not in names:
            raise ConfigError(f'{path} has nothing about the class {name!r}. {nearest(name, names)}')
    return [names.index(name) for name in classes]


@torch.no_grad()
def encode_texts(texts: Sequence[str], clip: str | Path) -> Tensor:
    """Encode texts in CLIP's joint space, not normalised, in batches that bound the memory.

    Args:
        texts (Sequence[str]): n texts.
        clip (str | Path): See :func:`~vadlab.models.checkpoints.load_clip_checkpoint`.

    Returns:
        Tensor: float32 on the CPU, shape (n, E).

    Raises:
        CheckpointError: The number of heads of the text tower is not known.
    """
    weights = load_clip_checkpoint(clip)
    arch = {name: value for name, value in weights.arch['text'].items() if value is not None and name != 'type'}
    if 'heads' not in arch:
        raise CheckpointError(f'{weights.source} does not specify the heads of its text tower.')
    if 'positional_embedding_long' not in weights.text:
        arch['long_context_length'] = None
    tower = CLIPTextTransformer(**arch)
    tower.load_state_dict(weights.text)
    tokenizer = TOKENIZERS.build(dict(type='CLIPTokenizer'))
    tokens = [torch.tensor(tokenizer.encode(text, tower.context_length)) for text in texts]
    tower.eval()
    parts = [tower(tokens[first : first + 256]) for first in range(0, max(len(tokens), 1), 256)]
    return torch.cat(parts) @ weights.extras['text_projection.weight'].T
