"""The backbone's part of a captioner's training step: from images, or from stored patches."""

import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import torch

from .harness import Entry, Report, compete

IMAGES = 'from images'
KINDS = {IMAGES: 'images', 'from a store': 'store'}
CASES: dict[str, dict[str, Any]] = {'adapters in the upper half': dict(adapters={}), 'all frozen': {}}
SIZES: dict[str, dict[str, Any]] = {
    'published': dict(image_size=224, patch_size=16, width=768, layers=12, heads=12),
    'tiny': dict(image_size=32, patch_size=8, width=16, layers=4, heads=2),
}


class PatchJob:
    """Read images or their patches from disk; forward through the backbone, and backward to its trained weights.

    Args:
        kind: ``images`` or ``store`` (float16).
        case: A key of :data:`CASES`.
        size: A key of :data:`SIZES`.
        images: Images of the batch.
        folder: Folder for images and store.
    """

    def __init__(self, kind: str, case: str, size: str, images: int, folder: str) -> None:
        import cv2

        from vadlab.datasets.formats.patch_store import PatchWriter
        from vadlab.datasets.transforms.load_image import LoadImage
        from vadlab.datasets.transforms.load_patches import LoadPatches
        from vadlab.datasets.transforms.pack_caption_inputs import PackCaptionInputs
        from vadlab.datasets.transforms.resize import Resize
        from vadlab.datasets.transforms.square_crop import SquareCrop
        from vadlab.models.backbones.clip_vision_transformer import CLIPVisionTransformer
        from vadlab.models.data_preprocessors.caption_data_preprocessor import CaptionDataPreprocessor

        torch.manual_seed(0)
        self.vision = CLIPVisionTransformer(**SIZES[size], **CASES[case], frozen=True)
        self.preprocessor = CaptionDataPreprocessor()
        draw = np.random.default_rng(0)
        self.rows: list[dict[str, Any]] = []
        for number in range(images):  # smooth, as photographs are
            image = cv2.resize(draw.integers(0, 256, (12, 16, 3), np.uint8), (640, 480), interpolation=cv2.INTER_CUBIC)
            path = str(Path(folder) / f'{number}.jpg')
            cv2.imwrite(path, image)
            self.rows.append(dict(image_id=number, image_path=path))
        steps = [LoadImage(), SquareCrop(), Resize(SIZES[size]['image_size'])]
        self.steps: list[Any] = [*steps, PackCaptionInputs()]
        if kind == 'store':
            recipe = dict(
                weights='',
                block=self.vision.first_trained_block,
                steps=[repr(step) for step in steps],
                shape=[self.vision.num_image_tokens, self.vision.width],
                dtype='float16',
            )
            store = Path(folder) / 'store'
            with PatchWriter(store, recipe) as writer:
                patches = self.vision.embed_frozen(self._read())
                writer.write([(row['image_id'], row['image_path']) for row in self.rows], patches.numpy())
            self.steps = [LoadPatches(str(store), steps), PackCaptionInputs()]

    def run(self) -> dict[str, Any]:
        """Run a step; return mean magnitudes of the features, for comparison."""
        seen = self.vision.forward_patches(self._read())
        if seen.cls.requires_grad:
            (seen.patches.square().mean() + seen.aligned.square().mean()).backward()
        return {name: float(getattr(seen, name).detach().abs().mean()) for name in seen._fields}

    def _read(self) -> torch.Tensor:
        inputs = []
        for row in self.rows:
            results = dict(row)
            for step in self.steps:
                results = step.transform(results)
            inputs.append(results['inputs'])
        return self.preprocessor(dict(inputs=inputs))['inputs']


def run(runs: int = 5, size: str = 'published', images: int = 8) -> Report:
    """Measure both cases.

    Args:
        runs: Runs per comparison.
        size: A key of :data:`SIZES`.
        images: Images of the batch.
    """
    report = Report()
    for case in CASES:
        with tempfile.TemporaryDirectory() as folder:
            report.extend(_run_case(case, runs, size, images, folder))
    return report


def _run_case(case: str, runs: int, size: str, images: int, folder: str) -> Report:
    report = Report()
    first: dict[str, Any] = {}
    entries = []
    for name, kind in KINDS.items():
        (place := Path(folder) / kind).mkdir()
        options = dict(kind=kind, case=case, size=size, images=images, folder=str(place))
        entries.append(Entry(name, 'patches:PatchJob', options, images, threads=1))
    report.rows = compete('patches', case, entries, runs, IMAGES, 'images/s', on_first=first.__setitem__)
    for row in report.rows:
        row.details = {}
        if row.name not in first:
            report.errors.append(f'patches, {case}: {row.name}: {row.note}')
    if not report.errors:
        from_images, from_store = (first[name] for name in KINDS)
        worst = max(abs(from_store[name] - value) / value for name, value in from_images.items())
        if worst > 1e-3:
            report.errors.append(f'patches, {case}: features differ by {worst:.2g}')
    return report
