"""Pre-flight checks of an experiment."""

import copy
import logging
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.config import Config
from mmengine.logging import MMLogger

from vadlab.checkpoints.checkpoint_io import in_our_names, load_weights, read_checkpoint
from vadlab.engine.build_errors import config_mistakes
from vadlab.engine.runner import VADRunner
from vadlab.models.layers.roi_align import mmcv_ops_problem
from vadlab.registry import DATASETS, MODELS
from vadlab.utils.many_files import Engine
from vadlab.utils.runtime import check_backends, versions, without_caches

from .checked_files import cache_problem
from .checks import CHECKS, CheckContext, SplitUnderTest
from .checks.check_context import names
from .verification_report import VerificationReport


class Verification:
    """Checks an experiment: environment, weights, annotations, splits, one batch, and the checks of its data sets.

    A data set lists its checks in ``verification``, see :mod:`vadlab.apis.checks`, and its warnings in ``notes``.

    Errors in the experiment are not raised but added as findings, so that all of them are listed at once.

    Args:
        config (Config): The experiment, from :func:`~vadlab.utils.config.load_config`.
        workers (int): Processes that check files, > 0.
        num_frames (int): Frames to decode per video, > 0.
        cache_dir (str | Path | None): Folder with results of earlier file checks; None checks all files again.
        smoke (bool): Also run one batch of each loader through the model.
        progress (Callable | None): Called with (done, total) while files are checked.
        listener (Callable | None): Called with each finding.
        engine (Engine | None): What checks files, instead of ``workers`` processes.
    """

    def __init__(
        self,
        config: Config,
        workers: int = 2,
        num_frames: int = 32,
        cache_dir: str | Path | None = None,
        smoke: bool = True,
        progress: Callable[[int, int], None] | None = None,
        listener: Callable[[Any], None] | None = None,
        engine: Engine | None = None,
    ) -> None:
        self.config = config
        self.engine = engine or Engine(workers=workers)
        self.num_frames = num_frames
        self.cache_dir = None if cache_dir is None else str(cache_dir)
        self.smoke = smoke
        self.progress = progress or (lambda done, total: None)
        self.report = VerificationReport(listener)
        self._splits: dict[str, SplitUnderTest] = {}
        self._model: Any = None

    def run(self) -> VerificationReport:
        """Run all checks, fast ones first."""
        with _quiet():
            self.check_environment()
            self.check_weights()
            self.check_annotations()
            self.check_splits()
            self.check_data()
            if not self.smoke:
                self.report.warn('sanity check', 'left out')
            elif self.report.is_ok:
                self.check_smoke_batch()
            else:
                self.report.warn('sanity check', 'left out, since there are failures above')
        return self.report

    # ---- environment ------------------------------------------------------------------------------------------------

    def check_environment(self) -> None:
        """Check versions, compiled ops, log backends and disk space."""
        self.report.passed('versions', ', '.join(f'{k} {v}' for k, v in versions().items()))
        for device in ['cpu', *(['cuda'] if torch.cuda.is_available() else [])]:
            problem = mmcv_ops_problem(device)
            if problem:
                self.report.warn('mmcv ops', f'models that pool regions take RoIAlign in plain torch: {problem}')
            else:
                name = torch.cuda.get_device_name() if device == 'cuda' else 'no GPU' if device == 'cpu' else device
                self.report.passed('mmcv ops', f'RoIAlign runs on {device}' + ('' if device == 'cpu' else f' ({name})'))
        if not torch.cuda.is_available():
            self.report.warn('device', f'no GPU: training will use {torch.get_num_threads()} CPU threads')
        with self.report.failing('log backends') as ok:
            check_backends(self.config)
        if ok():
            self.report.passed('log backends', 'their packages are installed')
        folder = Path(self.config.get('work_dir') or 'work_dirs').absolute()
        while not folder.is_dir():
            folder = folder.parent
        free = shutil.disk_usage(folder).free
        if not os.access(folder, os.W_OK):
            self.report.fail('disk', f'{folder} cannot be written to')
        else:
            self.report.add(
                'pass' if free > 2 * 2**30 else 'warning', 'disk', f'{free / 2**30:.1f} GiB free at {folder}'
            )
        self._free = free
        if self.cache_dir and (problem := cache_problem(self.cache_dir)):
            self.report.warn('cache', f'results of file checks are not kept: {problem}')
            self.cache_dir = None

    def check_weights(self) -> None:
        """Build the model and load its initial weights."""
        pretrained = self.config.model.get('pretrained')
        with self.report.failing('model') as ok, config_mistakes():
            self._model = MODELS.build(copy.deepcopy(self.config.model))
        if not ok():
            return
        count = sum(p.numel() for p in self._model.parameters())
        self.report.passed('model', f'{type(self._model).__name__}, {count / 1e6:.1f} M parameters')
        need = 3 * 4 * count * 4  # weights and AdamW's two moments in float32; three kept and one being written
        if self.config.get('train_dataloader') is not None and need > self._free:
            self.report.warn('disk', f'checkpoints will take about {need / 2**30:.1f} GiB, more than is free')
        if load_from := self.config.get('load_from'):
            with self.report.failing('weights') as ok:
                weights = in_our_names(self._model, read_checkpoint(load_from)['state_dict'], load_from)
                load_weights(self._model, weights, load_from)
            if ok():
                self.report.passed('weights', f'{load_from} fits the model')
            return
        if not pretrained:
            self.report.warn('weights', 'none: training starts from random weights')
            return
        with self.report.failing('weights') as ok:
            try:
                self._model.init_weights()
            except OSError as error:
                self.report.fail('weights', f'{pretrained}: {error}')
                return
        if ok():
            self.report.passed('weights', f'{pretrained} fits the model')

    # ---- annotations ------------------------------------------------------------------------------------------------

    def check_annotations(self) -> None:
        """Read every annotation file, and find the path of every video."""
        for split in ('train', 'val', 'test'):
            loader = self.config.get(f'{split}_dataloader')
            if loader is None:
                continue
            check = f'{split} annotations'
            settings = copy.deepcopy(loader['dataset'])
            if split == 'test' and self._same_data('val', 'test'):
                if 'val' in self._splits:
                    self._splits['test'] = replace(self._splits['val'], name='test')
                self.report.passed(check, 'the same as for validation')
                continue
            if 'pipeline' in settings:
                settings['pipeline'] = []
            with self.report.failing(check) as ok, config_mistakes():
                dataset = DATASETS.build(settings)
                if hasattr(dataset, 'full_init'):
                    dataset.full_init()
            if not ok():
                continue
            listed = hasattr(dataset, 'get_data_info')
            samples = [dataset.get_data_info(i) for i in range(len(dataset))] if listed else []
            self._splits[split] = SplitUnderTest(split, loader['dataset'], dataset, samples)
            labelled = [s for s in samples if 'label' in s]  # only this task has normal and anomalous videos
            normal = sum(s['label'] == 0 for s in labelled)
            message = f'{len(dataset)} samples' + (f', {normal} normal' if labelled else '')
            if any('regions' in s for s in samples):
                message += f', {sum(len(s["regions"]) for s in samples)} regions'
            if len(dataset) == 0:
                self.report.fail(check, 'the data set is empty')
                continue
            self.report.passed(check, message)
            for note in getattr(dataset, 'notes', []):
                self.report.warn(check, note)
            unknown = [s['video_id'] for s in samples if s.get('class_name', '') is None]
            if unknown:
                self.report.warn(check, f'{len(unknown)} paths do not name a class: {names(unknown)}')
            if split != 'train' and labelled and not 0 < normal < len(labelled):
                have = 'normal' if normal else 'anomalous'
                self.report.warn(check, f'all videos are {have}: video AUC is not defined')
        batch = self.config.get('train_dataloader') or {}
        train = self._samples('train')
        if train and batch.get('batch_size', 1) > len(train):
            self.report.warn('train annotations', f'batch_size {batch["batch_size"]} exceeds the {len(train)} videos')

    def _samples(self, split: str) -> list[dict]:
        return self._splits[split].samples if split in self._splits else []

    def _same_data(self, one: str, other: str) -> bool:
        a, b = (self.config.get(f'{split}_dataloader') for split in (one, other))
        return a is not None and b is not None and a['dataset'] == b['dataset']

    def check_splits(self) -> None:
        """Find videos that are in more than one split, by path where train and test clips have the same names."""
        repeat = 'train' in self._splits and getattr(self._splits['train'].dataset, 'names_repeat', False)
        key = 'video_path' if repeat else 'video_id'
        train = {s[key] for s in self._samples('train') if key in s}
        if not train:
            return
        found = False
        for split in ('val', 'test'):
            shared = list(dict.fromkeys(s[key] for s in self._samples(split) if s.get(key) in train))
            if shared:
                found = True
                self.report.warn('splits', f'{len(shared)} videos are in train and in {split}: {names(shared)}')
        if self._samples('val') and self._same_data('val', 'test') and self.config.get('train_dataloader'):
            self.report.warn('splits', 'validation is the test split: a best checkpoint chosen on it is chosen by test')
        if not found:
            self.report.passed('splits', 'no video is in train and in another split')

    def check_data(self) -> None:
        """Run the checks of the data sets."""
        context = CheckContext(
            config=self.config,
            model=self._model,
            report=self.report,
            engine=self.engine,
            num_frames=self.num_frames,
            cache_dir=self.cache_dir,
            progress=self.progress,
        )
        distinct = [s for name, s in self._splits.items() if not (name == 'test' and self._same_data('val', 'test'))]
        for name, check in CHECKS.items():
            splits = [split for split in distinct if name in getattr(split.dataset, 'verification', ())]
            if splits:
                check(splits, context)

    # ---- one batch --------------------------------------------------------------------------------------------------

    def check_smoke_batch(self) -> None:
        """Run one batch of each loader through loss, gradients and evaluation, in a temporary folder."""
        self._model = None  # frees its memory
        config = copy.deepcopy(self.config)
        without_caches(config._cfg_dict)
        if config.get('train_dataloader') is None:
            self.report.warn('sanity check', 'left out: the config does not train')
            return
        with tempfile.TemporaryDirectory() as folder, self.report.failing('sanity check') as ok:
            config.work_dir = folder
            config.visualizer = None  # no log in TensorBoard or Weights & Biases
            for loader in ('train_dataloader', 'val_dataloader', 'test_dataloader'):
                if config.get(loader) is not None:
                    config[loader].update(num_workers=0, persistent_workers=False)
            with _quiet():
                found = VADRunner.from_cfg(config).dry_run()
        if ok():
            losses = ', '.join(f'{k} {v:.4g}' for k, v in found.items() if k.startswith('loss'))
            bad = [k for k, v in found.items() if k.startswith('loss') and not np.isfinite(v)]
            self.report.add('failure' if bad else 'pass', 'sanity check', losses)


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep the log of built components off the terminal, since the findings have the same information."""
    logger = MMLogger.get_current_instance()
    previous = logger.level, logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logger.setLevel(previous[0])
        logging.disable(previous[1])
