"""Run a frozen backbone once on the images of a config, and write its output to the patch store for training."""

import re
import socket
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, TypeAlias

import numpy as np
import torch
from mmengine.config import Config
from mmengine.dataset import BaseDataset
from torch import nn
from torch.utils.data import DataLoader, Dataset

from vadlab.apis.features.extraction import default_device
from vadlab.datasets.formats.patch_store import PatchWriter
from vadlab.models.backbones.stored_patches import StoredPatches
from vadlab.models.checkpoints.clip_loading import init_vision_from_clip
from vadlab.registry import DATASETS, MODELS, TRANSFORMS
from vadlab.utils.errors import ConfigError, DataError, VADLabError
from vadlab.utils.loader_workers import exit_if_batches_cannot_be_sent
from vadlab.utils.many_files import Engine, Lost, over_files
from vadlab.utils.setup_env import set_up_worker

#: Number of a data set, row in it, path of the image.
Place: TypeAlias = tuple[int, int, str]

_LOADERS = ('train_dataloader', 'val_dataloader', 'test_dataloader')
_DRAWS = re.compile('random|jitter', re.IGNORECASE)  # random steps are recognised by their name or options


@dataclass
class PatchReport:
    """Result of a run of :class:`PatchExtraction`.

    Attributes:
        written: Images whose patches were written.
        skipped: Images whose patches already existed.
        bad: Images that could not be used, by id, with the reason.
        seconds: Wall time in seconds.
    """

    written: int = 0
    skipped: int = 0
    bad: dict[int | str, str] = field(default_factory=dict)
    seconds: float = 0.0


class PatchExtraction:
    """Runs the frozen first blocks of a backbone on all images for which a config reads stored patches.

    Patches are computed in float32, as by the tower in evaluation. A float32 store gives exactly the features of the
    images, a float16 store those of patches rounded to 11 bits. Training from images with automatic mixed
    precision is less exact than both. Stored patches require images that are the same in every epoch, so random steps
    in the pipeline are refused.

    Args:
        config (Config): Config of a captioner, with a ``LoadPatches`` in the pipeline of a loader
            (``patch_store=DIR``).
        dtype (str): ``float16`` or ``float32``.
        device (str): Device of the backbone.
        batch_size (int): Images per forward pass.
        workers (int): Processes that read images.

    Raises:
        ConfigError: No loader reads a store, no block of the backbone is frozen, or the pipeline is random.
    """

    def __init__(
        self, config: Config, dtype: str = 'float16', device: str = 'cpu', batch_size: int = 64, workers: int = 2
    ) -> None:
        if batch_size < 1 or workers < 0:
            raise ConfigError(f'batch_size={batch_size} must be at least 1, workers={workers} at least 0.')
        found = list(_datasets_with_stores(config))
        if not found:
            raise ConfigError('This config reads no stored patches. Name their folder: --cfg-options patch_store=DIR')
        if len({str((step['store'], step['pipeline'])) for _, step in found}) > 1:
            raise ConfigError('The loaders of this config read patches from several stores; one can be made at a time.')
        self.folder = found[0][1]['store']
        self.steps = [TRANSFORMS.build(step) for step in found[0][1]['pipeline']]
        if drawn := [repr(step) for step in self.steps if _DRAWS.search(repr(step))]:
            raise ConfigError(
                f'Patches can be stored only of pictures that stay the same from epoch to epoch; {drawn[0]} is random.'
            )
        self.config = config
        self.device, self.batch_size, self.workers = torch.device(device), batch_size, workers
        self.preprocessor = MODELS.build(config.model.get('data_preprocessor') or dict(type='CaptionDataPreprocessor'))
        self.preprocessor.to(self.device)
        model = nn.Module()
        self.vision = model.vision = MODELS.build(config.model['vision'])
        self.vision.check_reusable()
        if config.model.get('pretrained') is not None:
            init_vision_from_clip(model, config.model['pretrained'])
        self.vision.to(self.device).eval()
        self.recipe = {
            'weights': StoredPatches(self.vision, self.preprocessor).weights(),
            'block': self.vision.first_trained_block,
            'steps': [repr(step) for step in self.steps],
            'shape': [self.vision.num_image_tokens, self.vision.width],
            'dtype': dtype,
        }
        pipeline = [*self.steps, TRANSFORMS.build(dict(type='PackCaptionInputs'))]
        configs = [{**dataset, 'pipeline': pipeline} for dataset, _ in found]
        self.datasets: list[BaseDataset] = [
            DATASETS.build({**dataset, 'rows': 'images'} if 'rows' in dataset else dataset) for dataset in configs
        ]

    def run(
        self,
        overwrite: bool = False,
        progress: Callable[[int, int], None] | None = None,
        engine: Engine | None = None,
        device: str | None = None,
    ) -> PatchReport:
        """Write the missing patches, in the order of the images.

        Args:
            overwrite (bool): Start over.
            progress (Callable): Called with (images done, all images).
            engine (Engine | None): What computes patches; None: this process. Each worker has a backbone of its own,
                and this process writes what they compute.
            device (str | None): Device of the workers' backbones; None: a GPU of their machine, if it has one.

        Raises:
            DataError: The store contains other patches, or has no room for more.
        """
        started = time.perf_counter()
        report = PatchReport()
        with PatchWriter(self.folder, self.recipe, overwrite) as writer:
            images = self._images()
            todo = {i: place for i, place in images.items() if not writer.is_done(i, place[2])}
            report.skipped = len(images) - len(todo)
            if len(todo) > writer.room:
                raise DataError(f'{self.folder} has room for {writer.room:,} images, but {len(todo):,} are to come')
            if engine is None or engine.is_here:
                parts = self._parts_here(todo)
            else:
                parts = self._parts_elsewhere(todo, engine, device)
            for part in parts:
                if part.patches is not None:
                    writer.write(part.images, part.patches)
                report.bad |= part.bad
                report.written += len(part.images)
                if progress is not None:
                    progress(report.skipped + report.written + len(report.bad), len(images))
        report.seconds = time.perf_counter() - started
        return report

    def _parts_here(self, todo: dict[int | str, Place]) -> Iterator['PatchPart']:
        loader = DataLoader(
            _Rows([(self.datasets[number], row) for number, row, _ in todo.values()]),
            self.batch_size,
            num_workers=self.workers,
            collate_fn=list,
            worker_init_fn=exit_if_batches_cannot_be_sent,
        )
        yield from map(self._part_of, loader)

    def _parts_elsewhere(
        self, todo: dict[int | str, Place], engine: Engine, device: str | None
    ) -> Iterator['PatchPart']:
        ids, places = list(todo), list(todo.values())
        firsts = range(0, len(ids), self.batch_size)
        batches = [places[first : first + self.batch_size] for first in firsts]
        start = partial(start_patches, self.config, self.recipe, device, self.batch_size)
        gpus = float((device or '').startswith('cuda'))
        for number, part in over_files(start, batches, engine, gpus=gpus, in_order=True):
            if isinstance(part, Lost):
                names = ids[firsts[number] : firsts[number] + self.batch_size]
                part = PatchPart([], None, {name: f'image {name}: {part.reason}' for name in names})
            yield part

    def compute(self, batch: Sequence[Place]) -> 'PatchPart':
        """Patches of a batch of images, by number of the data set and of the row in it."""
        rows = _Rows([(self.datasets[number], row) for number, row, _ in batch])
        return self._part_of([rows[k] for k in range(len(rows))])

    def _images(self) -> dict[int | str, Place]:
        """Number of the data set, row in it, and path of each image."""
        images: dict[int | str, Place] = {}
        for number, dataset in enumerate(self.datasets):
            for place in range(len(dataset)):
                row = dataset.get_data_info(place)
                known = images.setdefault(row['image_id'], (number, place, row['image_path']))
                if known[2] != row['image_path']:
                    raise DataError(f'Two images have the id {row["image_id"]}: {known[2]} and {row["image_path"]}.')
        return images

    def _part_of(self, batch: Sequence['dict[str, Any] | _Bad']) -> 'PatchPart':
        bad = {item.image_id: item.reason for item in batch if isinstance(item, _Bad)}
        good = [item for item in batch if not isinstance(item, _Bad)]
        if not good:
            return PatchPart([], None, bad)
        samples = [item['data_samples'] for item in good]
        data = self.preprocessor(dict(inputs=[item['inputs'] for item in good], data_samples=samples))
        patches = self.vision.embed_frozen(data['inputs']).cpu().numpy()
        return PatchPart([(sample.image_id, sample.image_path) for sample in samples], patches, bad)


@dataclass
class PatchPart:
    """What is computed of a batch of images.

    Attributes:
        images (list): Ids and paths of n images.
        patches (np.ndarray | None): Their patches, float32, shape (n, tokens, width); None without any.
        bad (dict): Images that could not be used, by id, with the reason.
    """

    images: list[tuple[int | str, str]]
    patches: np.ndarray | None
    bad: dict[int | str, str] = field(default_factory=dict)


def start_patches(
    config: Config, recipe: dict[str, Any], device: str | None, batch_size: int
) -> Callable[[Sequence[Place]], PatchPart]:
    """Build a backbone in a worker; return the function that computes the patches of a batch.

    Raises:
        DataError: The backbone is another one than that of the recipe.
    """
    set_up_worker()
    extraction = PatchExtraction(config, recipe['dtype'], device or default_device(), batch_size, 0)
    if extraction.recipe != recipe:
        raise DataError(
            f'{socket.gethostname()} has other weights or images than the machine that started the command.'
        )
    return extraction.compute


@dataclass
class _Bad:
    image_id: int | str
    reason: str


class _Rows(Dataset):
    """Rows of data sets; unreadable rows are skipped."""

    def __init__(self, places: list[tuple[BaseDataset, int]]) -> None:
        self.places = places

    def __len__(self) -> int:
        return len(self.places)

    def __getitem__(self, number: int) -> dict[str, Any] | _Bad:
        dataset, place = self.places[number]
        try:
            return dataset.prepare_data(place)
        except VADLabError as error:
            return _Bad(dataset.get_data_info(place)['image_id'], str(error))


def _datasets_with_stores(config: Config) -> Iterator[tuple[dict, dict]]:
    plain = config.to_dict()
    for name in _LOADERS:
        dataset = (plain.get(name) or {}).get('dataset') or {}
        for step in dataset.get('pipeline') or []:
            if step.get('type') == 'LoadPatches':
                yield dataset, step
