"""Frames per second of FG-CLIP's vision tower: onnxruntime in float32 and int8 against torch, on one thread."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np

from .harness import Entry, Report, compete, resident_bytes

#: Options of the towers, and frames per run.
TOWERS: dict[str, tuple[dict[str, Any], int]] = {
    'demo': (dict(image_size=96, patch_size=8, width=96, layers=3, heads=3, hidden_act='gelu'), 32),
    'ViT-B/32': (dict(image_size=224, patch_size=32, width=768, layers=12, heads=12), 16),
}
#: Largest difference from torch, relative to the largest value; int8 is only reported.
SAME = 1e-4


def tower(name: str) -> tuple[Any, Any]:
    """The tower with both projections, with fixed random weights, and its normalised frames."""
    import torch
    from torch import nn

    from vadlab.apis.deployment.graphs import VisionGraph
    from vadlab.models.backbones.clip_vision_transformer import CLIPVisionTransformer

    options, batch = TOWERS[name]
    torch.manual_seed(0)
    width = options['width']
    parts = SimpleNamespace(
        vision=CLIPVisionTransformer(**options),
        visual_projection=nn.Linear(width, 64, bias=False),
        roi_projection=nn.Linear(width, 64, bias=False),
    )
    size = options['image_size']
    return VisionGraph(parts).eval(), torch.randn(batch, 3, size, size)


class VisionJob:
    """Encode a batch of frames.

    Args:
        name: The tower.
        path: An exported file; None for torch.
    """

    def __init__(self, name: str, path: str | None) -> None:
        import torch

        torch.set_num_threads(1)
        self.model, self.frames = tower(name)
        self.network = None
        if path is not None:
            from vadlab.utils.onnx_session import OnnxGraph

            self.network, self.model = OnnxGraph(path, 1), None
            assert self.network.session is not None
        self.baseline_bytes = resident_bytes()

    def run(self) -> dict[str, Any]:
        """Encode the frames; return their embeddings."""
        import torch

        if self.network is not None:
            embeds = self.network(frames=self.frames.numpy())['embeds']
        else:
            with torch.inference_mode():
                embeds = self.model(self.frames)[0].numpy()
        return dict(embeds=embeds.tolist())


def run(cache_dir: Path, runs: int = 5, towers: tuple[str, ...] = ('demo', 'ViT-B/32')) -> Report:
    """Measure each tower.

    Args:
        cache_dir: Folder of the exported files.
        runs: Runs per comparison.
        towers: Names of the towers.
    """
    from vadlab.apis.deployment.export_graph import quantize_graph, relative_difference, write_graph
    from vadlab.apis.deployment.graphs import Graph

    report = Report()
    cache_dir.mkdir(parents=True, exist_ok=True)
    for name in towers:
        module, frames = tower(name)
        stem = f'export_{name.replace("/", "_")}'
        plain, small = cache_dir / f'{stem}.onnx', cache_dir / f'{stem}.int8.onnx'
        graph = Graph(
            'vision', module, {'frames': frames[:3]}, ('embeds', 'grid'), {'frames': {0: 'n'}}, {'frames': frames[:1]}
        )
        write_graph(graph, plain)
        quantize_graph(plain, small)
        batch = TOWERS[name][1]
        entries = [
            Entry(label, 'export:VisionJob', dict(name=name, path=path), units=batch, threads=1)
            for label, path in (('torch', None), ('onnxruntime', str(plain)), ('onnxruntime int8', str(small)))
        ]
        found: dict[str, Any] = {}
        case = f'{name}, {batch} frames of {TOWERS[name][0]["image_size"]} pixels'
        rows = compete('export', case, entries, runs, 'torch', 'frames/s', on_first=found.__setitem__)
        report.rows += rows
        report.errors += [f'export: {row.name}: {row.note}' for row in rows if row.note]
        reference = np.array(found['torch']['embeds'], np.float32)
        for row in rows[1:]:
            if row.name not in found:
                continue
            difference = relative_difference(np.array(found[row.name]['embeds'], np.float32), reference)
            row.details['difference from torch'] = difference
            if row.name == 'onnxruntime' and difference > SAME:
                report.errors.append(f'export: {case}: onnxruntime and torch differ by {difference:.2g}')
    return report
