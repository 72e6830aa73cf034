"""Export a trained model to a folder that onnxruntime runs."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from mmengine.config import Config

import vadlab
from vadlab.apis.inferencers.base_inferencer import BaseInferencer
from vadlab.evaluation.calibration import find_calibration
from vadlab.utils.atomic import write_text
from vadlab.utils.errors import ConfigError
from vadlab.utils.option_checks import require_new_folder

from .export_graph import OPSET, TOLERANCE, check_graph, check_packages, quantize_graph, write_graph
from .exported_folder import CALIBRATION, Manifest, sha256_of
from .model_parts import Parts, kind_of, parts_of
from .run_exported import SCRIPT

#: What an exported folder needs: the oldest versions that it was tried with are those of requirements/.
REQUIREMENTS = 'av>=18,<20\nnumpy>=1.26\nonnxruntime>=1.20\nopencv-python-headless>=4.8\n'
_RUNTIME = 'vadlab.apis.deployment.run_exported', 'vadlab.utils.cli'
_HEAVY = ('torch', 'mmengine', 'mmcv', 'mmdet', 'transformers', 'PIL', 'scipy', 'sklearn', 'rich')


class _Loaded(BaseInferencer):
    """The model with its weights, on the CPU."""

    def check_model(self) -> None:
        """Refuse a model that cannot be exported before its weights are read."""
        kind_of(self.model)


def export_model(
    config: Config,
    checkpoint: str | Path,
    out: Path,
    int8: bool = False,
    check_with: Sequence[str | Path] = (),
    prompts: Sequence[str] | None = None,
    negatives: Sequence[str] | None = None,
    feature_config: str | None = None,
    tell: Callable[[str], None] = lambda line: None,
) -> Manifest:
    """Export a model: graphs, prompts, recipe, calibration, and the code that runs them without torch.

    Args:
        config (Config): The experiment.
        checkpoint (str | Path): Its weights; ``none`` for zero-shot.
        out (Path): The folder to write; it must not exist, or be empty.
        int8 (bool): Write 8-bit weights instead of float32.
        check_with (Sequence): Videos or images for the check against torch; by default, the test data of the config.
        prompts (Sequence[str] | None): What is looked for instead of the classes of the config.
        negatives (Sequence[str] | None): What counts as normal, with ``prompts``.
        feature_config (str | None): For methods on snippet features: another extractor than that of the config.
        tell (Callable): Takes lines about the progress.

    Returns:
        Manifest: As written.

    Raises:
        ConfigError: The model cannot be exported, differs too much from torch, or ``out`` is not empty.
        MissingDependencyError: A package of the export is missing.
    """
    check_packages()
    require_new_folder(out, '--out')
    loaded = _Loaded(config, checkpoint, 'cpu')
    model: Any = loaded.model
    if prompts is not None:
        if not hasattr(model, 'use_prompts'):
            raise ConfigError(f'{type(model).__name__} takes no prompts.')
        model.use_prompts(prompts, negatives)
    parts = parts_of(model, config, check_with, loaded.meta, feature_config)
    part = out.with_name(f'.{out.name}.{os.getpid()}.part')
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True)
    try:
        differences = _write_graphs(parts, part, int8, tell)
        for name, arrays in parts.arrays.items():
            np.savez(part / f'{name}.npz', **arrays)  # type: ignore[arg-type]
        copy_runtime(part)
        (part / 'run.py').write_text(SCRIPT, encoding='utf-8')
        (part / 'requirements.txt').write_text(REQUIREMENTS, encoding='utf-8')
        files = sorted(file.relative_to(part).as_posix() for file in part.rglob('*') if file.is_file())
        manifest = Manifest(
            kind=parts.kind,
            model=type(model).__name__,
            config=loaded.config_path,
            checkpoint=loaded.checkpoint,
            weights=loaded.weights_id if not int8 else f'int8 of {loaded.weights_id}',
            precision='int8' if int8 else 'float32',
            opset=OPSET,
            graphs={graph.name: f'{graph.name}.onnx' for graph in parts.graphs},
            files={name: sha256_of(part / name) for name in files},
            classes=tuple(parts.classes),
            normal_class=parts.normal_class,
            prompts=None if prompts is None else tuple(prompts),
            negatives=None if negatives is None else tuple(negatives),
            phrases=parts.phrases,
            templates=parts.templates,
            recipe=parts.recipe,
            differences=differences,
            tolerance=TOLERANCE,
        )
        manifest.save(part)
        found = find_calibration(loaded.checkpoint, loaded.config_path, prompts, negatives)
        if found is not None and found.weights == manifest.weights:
            replace(found, path=part / CALIBRATION).save()
            tell(f'calibration: {found.path}')
        elif found is not None:
            tell(f'{found.path} is of other weights, and is not copied. Calibrate the folder: tools/calibrate.py')
        if out.is_dir():
            out.rmdir()
        os.replace(part, out)
    finally:
        shutil.rmtree(part, ignore_errors=True)
    return manifest


def _write_graphs(parts: Parts, folder: Path, int8: bool, tell: Callable[[str], None]) -> dict[str, float]:
    """Write all graphs; returns their largest differences from torch."""
    differences: dict[str, float] = {}
    for graph in parts.graphs:
        path = folder / f'{graph.name}.onnx'
        found = write_graph(graph, path)
        if int8 and graph.is_quantized:
            small = path.with_suffix('.int8.onnx')
            quantize_graph(path, small)
            os.replace(small, path)
            found = check_graph(graph, path, None)
        differences |= found
        worst = max(found.values(), default=0.0)
        size = path.stat().st_size / 1e6
        tell(f'{graph.name}.onnx: {size:.1f} MB, largest difference from torch {worst:.1e} of the largest value')
    return differences


def copy_runtime(folder: Path) -> None:
    """Copy the modules of VADLab that an exported model needs, found by importing them without torch and MMEngine.

    Raises:
        RuntimeError: One of them needs a package that an exported folder does not have.
    """
    root = Path(vadlab.__file__).resolve().parent
    code = (
        'import sys, importlib\n'
        'class Refuse:\n'
        '    def find_spec(self, name, path=None, target=None):\n'
        f'        if name.partition(".")[0] in {_HEAVY!r}: raise ImportError(name + " is not in an exported folder")\n'
        'sys.meta_path.insert(0, Refuse())\n'
        f'for name in {_RUNTIME!r}: importlib.import_module(name)\n'
        'import json\n'
        'print(json.dumps([m.__file__ for n, m in sys.modules.items() if n.partition(".")[0] == "vadlab"]))\n'
    )
    environment = {**os.environ, 'PYTHONPATH': os.pathsep.join([str(root.parent), os.environ.get('PYTHONPATH', '')])}
    done = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True, env=environment, check=False)
    if done.returncode:
        raise RuntimeError(f'The code of an exported folder cannot be collected: {done.stderr[-500:]}')
    for name in json.loads(done.stdout):
        source = Path(name)
        target = folder / 'vadlab' / source.relative_to(root)
        target.parent.mkdir(parents=True, exist_ok=True)
        write_text(target, source.read_text(encoding='utf-8'))
