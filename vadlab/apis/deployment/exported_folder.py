"""The folder of an exported model. This module needs neither torch nor MMEngine."""

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

import vadlab
from vadlab.utils.errors import DataError, MissingFileError
from vadlab.utils.json_file import read_json, shape_fault, write_json
from vadlab.utils.npy_file import open_npz
from vadlab.utils.onnx_session import OnnxGraph

MANIFEST = 'manifest.json'
CALIBRATION = 'calibration.json'
FORMAT = 'vadlab exported model'
VERSION = 2
#: Graphs of each kind of exported model: methods that embed frames, methods on snippet features, captioners.
_GRAPHS = {'frames': ('vision', 'frame', 'video'), 'snippets': ('scores',), 'captions': ('encoder', 'step')}
KINDS = tuple(_GRAPHS)
PRECISIONS = ('float32', 'int8')

_SHAPE = {
    'format': str,
    'version': int,
    'vadlab': str,
    'kind': str,
    'model': str,
    'config': str,
    'checkpoint': str,
    'weights': str,
    'precision': str,
    'opset': int,
    'graphs': {str: str},
    'files': {str: str},
    'classes': [str],
    'normal_class?': str,
    'prompts?': [str],
    'negatives?': [str],
    'phrases': [str],
    'templates': [str],
    'recipe': {str: Any},
    'differences': {str: float},
    'tolerance': float,
    'metrics': Any,
    'checksum': str,
}
#: Entries of the recipe that are needed to score videos, by kind.
_RECIPES = {
    'frames': {'pipeline': [Any], 'mean': [float], 'std': [float]},
    'snippets': {
        'feature_dim': int, 'chunk?': int, 'most_snippets': int, 'features?': {str: Any}, 'no_features': str,
        'sampled': str,
    },
}  # fmt: skip


@dataclass
class Manifest:
    """What an exported folder contains, and where it comes from.

    Attributes:
        kind (str): One of :data:`KINDS`.
        model (str): Type of the model.
        config (str): Path of its config, at the export.
        checkpoint (str): Path of its checkpoint.
        weights (str): Identifies the weights, as calibrations do.
        precision (str): One of :data:`PRECISIONS`.
        opset (int): ONNX operator set of the graphs.
        graphs (dict[str, str]): File of each graph, by name.
        files (dict[str, str]): SHA-256 of each file that is checked when the folder is opened.
        classes (tuple[str, ...]): Class names or prompts.
        normal_class (str | None): The class that is not anomalous.
        prompts (tuple[str, ...] | None): Prompts given at the export, instead of the config's classes.
        negatives (tuple[str, ...] | None): Negative prompts given at the export.
        phrases (tuple[str, ...]): Phrases that frames are compared with.
        templates (tuple[str, ...]): Sentences around the phrases.
        recipe (dict): From a video to the inputs of the graphs, and from their outputs to scores.
        differences (dict[str, float]): Largest difference of each output from torch, relative to its largest value.
        tolerance (float): Largest difference that an export accepts.
        metrics (dict): Metrics on the test set, by precision, if they were measured.
        vadlab (str): Version of VADLab that wrote the folder.
    """

    kind: str
    model: str
    config: str
    checkpoint: str
    weights: str
    precision: str
    opset: int
    graphs: dict[str, str]
    files: dict[str, str]
    classes: tuple[str, ...]
    normal_class: str | None
    prompts: tuple[str, ...] | None
    negatives: tuple[str, ...] | None
    phrases: tuple[str, ...]
    templates: tuple[str, ...]
    recipe: dict[str, Any]
    differences: dict[str, float]
    tolerance: float
    metrics: dict[str, Any] = field(default_factory=dict)
    vadlab: str = vadlab.__version__

    @property
    def why_no_videos(self) -> str:
        """Why the folder scores no videos without torch, as a sentence; empty if it does."""
        if self.kind == 'captions':
            return (
                f'an exported {self.model} captions images, and the search for captions needs torch. Use the folder in '
                'VADLab: python tools/infer.py CONFIG FOLDER IMAGES --backend onnxruntime'
            )
        if self.kind == 'snippets' and self.recipe.get('features') is None:
            return f'there is no extractor in the folder: {self.recipe["no_features"]}'
        return ''

    def save(self, folder: str | os.PathLike) -> None:
        """Write ``manifest.json``, with its own checksum."""
        content = {'format': FORMAT, 'version': VERSION, **asdict(self)}
        write_json(Path(folder) / MANIFEST, {**content, 'checksum': checksum_of(content)})


class ExportedFolder:
    """An exported model, checked when it is opened.

    Args:
        path (str | PathLike): The folder.
        threads (int | None): Threads of onnxruntime; by default ``OMP_NUM_THREADS`` of the environment, or all cores.

    Raises:
        MissingFileError: It is not an exported folder, or a file is missing.
        DataError: It was written by another version, or a file is damaged or was changed.
    """

    def __init__(self, path: str | os.PathLike, threads: int | None = None) -> None:
        self.path = Path(path)
        self.threads = threads
        self.manifest = read_manifest(self.path)
        for name, digest in self.manifest.files.items():
            file = self.path / name
            if not file.is_file():
                raise MissingFileError(f'{self.path} is incomplete: there is no {name}. Export the model again.')
            if sha256_of(file) != digest:
                raise DataError(f'{file} is damaged: it is not the file that was exported. Export the model again.')
        self._graphs = {name: OnnxGraph(self.path / file, threads) for name, file in self.manifest.graphs.items()}

    @property
    def graphs(self) -> list[str]:
        """Names of the graphs."""
        return list(self._graphs)

    def graph(self, name: str) -> OnnxGraph:
        """A graph by its name; it is loaded at the first use.

        Raises:
            DataError: There is none of this name.
        """
        if name not in self._graphs:
            raise DataError(f'{self.path} has no graph {name!r}: it was exported from a {self.manifest.model}.')
        return self._graphs[name]

    def arrays(self, name: str) -> dict[str, np.ndarray]:
        """Arrays of ``NAME.npz``.

        Raises:
            MissingFileError: There is no such file.
            DataError: It is damaged.
        """
        return {key: read() for key, read in open_npz(self.path / f'{name}.npz').items()}

    @property
    def calibration_path(self) -> Path:
        """Where a calibration of this model is stored."""
        return self.path / CALIBRATION


def is_exported(path: str | os.PathLike) -> bool:
    """Whether a path is a folder with a manifest of an exported model."""
    return (Path(path) / MANIFEST).is_file()


def read_manifest(folder: str | os.PathLike) -> Manifest:
    """Read and check ``manifest.json``.

    Raises:
        MissingFileError: There is none.
        DataError: It is damaged, of another version, or was changed after the export.
    """
    path = Path(folder) / MANIFEST
    if not path.is_file():
        raise MissingFileError(
            f'{folder} is not an exported model: it has no {MANIFEST}. Write one: python tools/export.py CONFIG '
            'CHECKPOINT --out FOLDER'
        )
    content = read_json(path)
    if not isinstance(content, dict) or content.get('format') != FORMAT:
        raise DataError(f'{path} is not the manifest of an exported model.')
    if content.get('version') != VERSION:
        raise DataError(
            f'{folder} was exported by VADLab {content.get("vadlab")} in format {content.get("version")}; this VADLab '
            f'({vadlab.__version__}) reads format {VERSION}. Export the model again.'
        )
    if fault := shape_fault(content, _SHAPE):
        raise DataError(f'{path} is damaged: {fault}')
    if fault := _fault(content):
        raise DataError(f'{path} is damaged: {fault}')
    if content['checksum'] != checksum_of(content):
        raise DataError(
            f'{path} was changed after the export: its checksum is of another text. Export the model again.'
        )
    tuples = ('classes', 'prompts', 'negatives', 'phrases', 'templates')
    fields: dict[str, Any] = {name: content.get(name) for name in Manifest.__dataclass_fields__}
    fields |= {name: None if fields[name] is None else tuple(fields[name]) for name in tuples}
    return Manifest(**fields)


def _fault(content: Mapping[str, Any]) -> str | None:
    """The first value that no export writes, as a phrase; None without one."""
    for name, known in (('kind', KINDS), ('precision', PRECISIONS)):
        if content[name] not in known:
            return f'{name} is {content[name]!r}, not one of {", ".join(known)}'
    kind, recipe = content['kind'], content['recipe']
    if fault := shape_fault(recipe, _RECIPES.get(kind, {}), 'recipe'):
        return fault
    for name in ('mean', 'std'):
        if kind == 'frames' and len(recipe[name]) != 3:
            return f'{name} of the recipe has {len(recipe[name])} values, not 3'
    for name in ('feature_dim', 'chunk', 'most_snippets'):
        if kind == 'snippets' and recipe.get(name) is not None and recipe[name] < 1:
            return f'{name} of the recipe is {recipe[name]}'
    for name in content['files']:
        if Path(name).is_absolute() or '..' in Path(name).parts:
            return f'{name!r} is not a file of the folder'
    for name in _GRAPHS[kind]:
        if name not in content['graphs']:
            return f'there is no graph {name!r}'
    for name, file in content['graphs'].items():
        if file not in content['files']:
            return f'the file {file!r} of the graph {name!r} has no checksum'
    return None


def checksum_of(content: Mapping[str, Any]) -> str:
    """SHA-256 of a manifest without its ``checksum``, in hexadecimal; spaces and the order of keys do not matter."""
    rest = {key: value for key, value in content.items() if key != 'checksum'}
    return hashlib.sha256(json.dumps(rest, sort_keys=True).encode()).hexdigest()


def sha256_of(path: str | os.PathLike) -> str:
    """SHA-256 of a file, in hexadecimal."""
    with open(path, 'rb') as file:
        return hashlib.file_digest(file, 'sha256').hexdigest()
