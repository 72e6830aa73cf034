"""Codebooks: names of concepts and their text embeddings, the labels of a MaskCLIP head."""

import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import torch.nn.functional as F
from safetensors.torch import save_file
from torch import Tensor

from vadlab.checkpoints.tensor_files import read_tensor_file
from vadlab.utils.atomic import atomic_path
from vadlab.utils.errors import CheckpointError, ConfigError, DataError, MissingFileError
from vadlab.utils.json_file import parse_json, read_json
from vadlab.utils.text_file import read_lines

from ..checkpoints.concept_prompts import encode_texts

# Radford et al., 2021, arXiv:2103.00020, section 3.1.4: the embeddings of one name in several templates are averaged.
TEMPLATES = ('a photo of a {}.', 'a photo of the {}.', 'a photo of many {}.', 'there is a {} in the scene.')
_ADVICE = 'Build one: python tools/build_codebook.py NAMES --clip WEIGHTS --out FILE.safetensors'


def load_codebook(path: str | Path, embed_dim: int | None = None) -> tuple[list[str], Tensor]:
    """Read a codebook, with any number of concepts.

    Args:
        path (str | Path): A file written by :func:`save_codebook`.
        embed_dim (int | None): The width that the model expects.

    Returns:
        tuple: N names and their embeddings, L2-normalised, float32, shape (N, D).

    Raises:
        MissingFileError: The file does not exist.
        DataError: The file is not a codebook, or its width differs from the model's.
    """
    path = Path(path)
    if not path.is_file():
        raise MissingFileError(f'There is no codebook {path}. {_ADVICE}')
    try:
        tensors, metadata = read_tensor_file(path)
        names = parse_json(metadata['names'], f'{path}: the list of names')
        embeds = tensors['embeds']
    except (CheckpointError, KeyError, ValueError, TypeError) as error:
        raise DataError(f'{path} is not a codebook ({error}). {_ADVICE}') from error
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise DataError(f'{path} is not a codebook (its names are not a list of texts). {_ADVICE}')
    if not isinstance(embeds, Tensor) or embeds.ndim != 2 or len(embeds) != len(names):
        shape = tuple(embeds.shape) if isinstance(embeds, Tensor) else type(embeds).__name__
        raise DataError(f'{path}: {len(names)} names, but embeddings of shape {shape}. {_ADVICE}')
    if not embeds.isfinite().all():
        raise DataError(f'{path} holds numbers that are not finite. {_ADVICE}')
    if embed_dim is not None and embeds.shape[1] != embed_dim:
        raise DataError(
            f'{path}: its concepts have {embeds.shape[1]} dimensions, the model has embed_dim={embed_dim}. Build it '
            'with the text tower that belongs to the model: python tools/build_codebook.py NAMES --clip WEIGHTS'
        )
    return names, F.normalize(embeds.float(), dim=-1)


def save_codebook(path: str | Path, names: Sequence[str], embeds: Tensor, **notes: str) -> None:
    """Write a codebook atomically: an existing file is replaced only when the new one is complete.

    Args:
        path (str | Path): Path that ends with ``.safetensors``.
        names (Sequence[str]): N concepts.
        embeds (Tensor): Shape (N, D).
        notes (str): Entries for the file's header, such as how the codebook was made.

    Raises:
        ConfigError: The path has another ending, or the numbers of names and embeddings differ.
    """
    path = Path(path)
    if path.suffix != '.safetensors':
        raise ConfigError(f'{path}: a codebook is written as .safetensors only.')
    if len(names) != len(embeds):
        raise ConfigError(f'{path}: {len(names)} names, but {len(embeds)} embeddings.')
    metadata = {**notes, 'format': 'pt', 'names': json.dumps(list(names), ensure_ascii=False)}
    with atomic_path(path) as part:
        save_file({'embeds': embeds.detach().float().contiguous()}, part, metadata)


def read_names(path: str | Path) -> list[str]:
    """Read names of concepts from a text file, one per line (``#`` begins a comment), or from a JSON list.

    Raises:
        MissingFileError: The file does not exist.
        DataError: The file is neither of these, is empty, or names a concept twice.
    """
    path = Path(path)
    if not path.is_file():
        raise MissingFileError(f'There is no file of names {path}; wanted a text file with a concept in each line')
    if path.suffix == '.json':
        names = read_json(path)
    else:
        names = [line.partition('#')[0].strip() for line in read_lines(path)]
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise DataError(f'{path} contains no list of names')
    names = [name for name in names if name]
    twice = [name for name, count in Counter(names).items() if count > 1]
    if not names or twice:
        raise DataError(f'{path} has {f"{twice[0]!r} twice" if twice else "no concept"}')
    return names


def embed_names(names: Sequence[str], clip: str | Path, templates: Sequence[str] = TEMPLATES) -> Tensor:
    """Embed concepts: the L2-normalised mean over templates of L2-normalised text embeddings.

    Args:
        names (Sequence[str]): N concepts.
        clip (str | Path): Weights of CLIP, see :func:`~vadlab.models.checkpoints.load_clip_checkpoint`.
        templates (Sequence[str]): Sentences with one ``{}`` for the name.

    Returns:
        Tensor: float32, L2-normalised, shape (N, D).

    Raises:
        ConfigError: A template does not contain ``{}``.
    """
    if not templates or any(template.count('{}') != 1 for template in templates):
        raise ConfigError(f'Each template of a codebook holds one {{}} for the name; got {list(templates)}.')
    texts = [template.format(name) for name in names for template in templates]
    embeds = F.normalize(encode_texts(texts, clip), dim=-1)
    return F.normalize(embeds.unflatten(0, (-1, len(templates))).mean(dim=1), dim=-1)
