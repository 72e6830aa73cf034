"""Everything that can be known to be wrong before a run starts."""

import copy
import logging
import multiprocessing
import os
import shutil
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.config import Config
from mmengine.logging import MMLogger

from vadlab.datasets.keyframes import shown_spans, track_boxes
from vadlab.engine import VADRunner
from vadlab.engine.build_errors import config_mistakes
from vadlab.engine.hooks.device_check_hook import roi_align_problem
from vadlab.registry import DATASETS, MODELS, TOKENIZERS
from vadlab.utils.errors import VADLabError
from vadlab.utils.runtime import check_backends, versions, without_caches

from .verification_report import VerificationReport
from .video_check import check_video

_SHOWN = 8  # names in one message


def _names(names: list[str]) -> str:
    return ', '.join(names[:_SHOWN]) + (f', ... ({len(names)} in all)' if len(names) > _SHOWN else '')


class Verification:
    """Checks an experiment: environment, weights, annotations, videos, captions, splits, one batch.

    Nothing raises for what is wrong with the experiment; it becomes a finding, so that all of it is seen at once.

    Args:
        config (Config): The experiment, of :func:`~vadlab.utils.config.load_config`.
        workers (int): Processes that look at videos, > 0.
        num_frames (int): Frames decoded of each video, > 0.
        cache_dir (str | Path | None): Results of earlier looks at videos; None looks at all of them anew.
        smoke (bool): Also take one batch of each loader through the model.
        progress (Callable | None): Called with (done, total) while videos are looked at.
        listener (Callable | None): Called with each finding.
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
    ) -> None:
        self.config = config
        self.workers = workers
        self.num_frames = num_frames
        self.cache_dir = None if cache_dir is None else str(cache_dir)
        self.smoke = smoke
        self.progress = progress or (lambda done, total: None)
        self.report = VerificationReport(listener)
        self._samples: dict[str, list[dict]] = {}
        self._model: Any = None

    def run(self) -> VerificationReport:
        """Do all checks, the cheap ones first."""
        with _quiet():
            self.check_environment()
            self.check_weights()
            self.check_annotations()
            self.check_splits()
            self.check_boxes()
            self.check_captions()
            self.check_videos()
            if not self.smoke:
                self.report.warn('smoke batch', 'left out')
            elif self.report.is_ok:
                self.check_smoke_batch()
            else:
                self.report.warn('smoke batch', 'left out, since there are failures above')
        return self.report

    # ---- environment ------------------------------------------------------------------------------------------------

    def check_environment(self) -> None:
        """Versions, compiled ops, log backends, disk."""
        self.report.passed('versions', ', '.join(f'{k} {v}' for k, v in versions().items()))
        for device in ['cpu', *(['cuda'] if torch.cuda.is_available() else [])]:
            problem = roi_align_problem(device)
            if problem:
                self.report.fail('mmcv ops', problem)
            else:
                name = torch.cuda.get_device_name() if device == 'cuda' else 'no GPU' if device == 'cpu' else device
                self.report.passed('mmcv ops', f'RoIAlign runs on {device}' + ('' if device == 'cpu' else f' ({name})'))
        if not torch.cuda.is_available():
            self.report.warn('device', f'no GPU: training will use {torch.get_num_threads()} CPU threads')
        with self._failing('log backends') as ok:
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

    def check_weights(self) -> None:
        """Build the model and load what it starts from."""
        pretrained = self.config.model.get('pretrained')
        with self._failing('model') as ok, config_mistakes():
            self._model = MODELS.build(copy.deepcopy(self.config.model))
        if not ok():
            return
        count = sum(p.numel() for p in self._model.parameters())
        self.report.passed('model', f'{type(self._model).__name__}, {count / 1e6:.1f} M parameters')
        need = 3 * 4 * count * 4  # weights and AdamW's two moments in float32; three kept and one being written
        if self.config.get('train_dataloader') is not None and need > self._free:
            self.report.warn('disk', f'checkpoints will take about {need / 2**30:.1f} GiB, more than is free')
        if not pretrained:
            self.report.warn('weights', 'none: training starts from random weights')
            return
        with self._failing('weights') as ok:
            try:
                self._model.init_weights()
            except OSError as error:
                self.report.fail('weights', f'{pretrained}: {error}')
                return
        if ok():
            self.report.passed('weights', f'{pretrained} fits the model')

    # ---- annotations ------------------------------------------------------------------------------------------------

    def check_annotations(self) -> None:
        """Read every annotation file; find every video's path."""
        for split in ('train', 'val', 'test'):
            loader = self.config.get(f'{split}_dataloader')
            if loader is None:
                continue
            check = f'{split} annotations'
            settings = copy.deepcopy(loader['dataset'])
            if split == 'test' and self._same_data('val', 'test'):
                self._samples['test'] = self._samples.get('val', [])
                self.report.passed(check, 'the same as for validation')
                continue
            if 'pipeline' in settings:
                settings['pipeline'] = []
            if 'max_bad_videos' in settings:
                settings['max_bad_videos'] = 0  # videos are looked at below, in parallel
            with self._failing(check) as ok, config_mistakes():
                dataset = DATASETS.build(settings)
                if hasattr(dataset, 'full_init'):
                    dataset.full_init()
            if not ok():
                continue
            listed = hasattr(dataset, 'get_data_info')
            samples = [dataset.get_data_info(i) for i in range(len(dataset))] if listed else []
            self._samples[split] = samples
            regions = sum(len(s.get('regions', [])) for s in samples)
            normal = sum(s.get('label') == 0 for s in samples)
            message = f'{len(dataset)} samples'
            if samples:
                message += f', {normal} normal, {regions} regions'
            if len(dataset) == 0:
                self.report.fail(check, 'the data set is empty')
                continue
            self.report.passed(check, message)
            parser = getattr(dataset, '_parser', None)
            if parser is not None and (mended := parser.summary()):
                self.report.warn(check, f'mended: {mended}')
            unknown = [s['video_id'] for s in samples if s.get('class_name', '') is None]
            if unknown:
                self.report.warn(check, f'{len(unknown)} paths name no class: {_names(unknown)}')
            if split != 'train' and samples and not 0 < normal < len(samples):
                have = 'normal' if normal else 'anomalous'
                self.report.warn(check, f'all videos are {have}: video AUC is not defined')
        batch = self.config.get('train_dataloader') or {}
        if self._samples.get('train') and batch.get('batch_size', 1) > len(self._samples['train']):
            self.report.warn(
                'train annotations',
                f'batch_size {batch["batch_size"]} exceeds the {len(self._samples["train"])} videos',
            )

    def _same_data(self, one: str, other: str) -> bool:
        a, b = (self.config.get(f'{split}_dataloader') for split in (one, other))
        return a is not None and b is not None and a['dataset'] == b['dataset']

    def check_splits(self) -> None:
        """Videos that are trained on and tested on."""
        train = {s['video_path']: s['video_id'] for s in self._samples.get('train', []) if 'video_path' in s}
        if not train:
            return
        found = False
        for split in ('val', 'test'):
            shared = [s['video_id'] for s in self._samples.get(split, []) if s.get('video_path') in train]
            by_name = [
                s['video_id']
                for s in self._samples.get(split, [])
                if s.get('video_path') not in train and s.get('video_id') in set(train.values())
            ]
            if shared or by_name:
                found = True
                names = _names(shared + by_name)
                self.report.warn('splits', f'{len(shared + by_name)} videos are in train and in {split}: {names}')
        if self._samples.get('val') and self._same_data('val', 'test') and self.config.get('train_dataloader'):
            self.report.warn('splits', 'validation is the test split: a best checkpoint chosen on it is chosen by test')
        if not found:
            self.report.passed('splits', 'no video is in train and in another split')

    def check_boxes(self) -> None:
        """Regions of which the pipeline's minimum area leaves nothing."""
        for split, samples in self._unique_splits():
            transforms = self.config[f'{split}_dataloader']['dataset'].get('pipeline') or []
            least = next((t.get('min_box_area', 0.0) for t in transforms if t['type'] == 'RegionsToBoxes'), None)
            if least is None or not any(s.get('regions') for s in samples):
                continue
            small, total, emptied = 0, 0, []
            for sample in samples:
                for number, region in enumerate(sample['regions']):
                    spans = shown_spans(region)
                    frames = np.concatenate([np.arange(a, b) for a, b in spans]) if len(spans) else np.zeros(0, int)
                    boxes, valid = track_boxes(region, frames)
                    area = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
                    is_small = valid & (area < least - 1e-6)
                    small, total = small + int(is_small.sum()), total + int(valid.sum())
                    if not (valid & ~is_small).any():
                        emptied.append(f'{sample["video_id"]} region {number}')
            check = f'{split} boxes'
            if small:
                text = f'{small} of {total} boxes lie below {least:.1%} of the frame and are dropped'
                text += f'; nothing is left of {_names(emptied)}' if emptied else ''
                self.report.warn(check, text)
            else:
                self.report.passed(check, f'{total} boxes over all frames')

    # ---- captions ---------------------------------------------------------------------------------------------------

    def check_captions(self) -> None:
        """Token lengths, ids within the vocabulary, captions that are not English."""
        for split, samples in self._unique_splits():
            transforms = self.config[f'{split}_dataloader']['dataset'].get('pipeline') or []
            step = next((t for t in transforms if t['type'] == 'TokenizeCaptions'), None)
            if step is None or not samples:
                continue
            check = f'{split} captions'
            with self._failing(check) as ok:
                tokenizer = TOKENIZERS.build(copy.deepcopy(step.get('tokenizer') or {'type': 'CLIPTokenizer'}))
            if not ok():
                continue
            captions = [(s['video_id'], s['caption']) for s in samples if s.get('caption')]
            captions += [
                (s['video_id'], text)
                for s in samples
                for r in s.get('regions', [])
                for text in (r['caption'], *r.get('negatives', []))
            ]
            if not captions:
                self.report.warn(check, 'there are none: nothing but frame scores can be tested')
                continue
            longest = step.get('max_len', 248)
            size = self.config.model.get('text', {}).get('vocab_size', 49408)
            encoded = {text: tokenizer.encode(text, max_len=10**6) for text in {text for _, text in captions}}
            outside = [v for v, text in captions if not 0 <= min(encoded[text]) <= max(encoded[text]) < size]
            long = [v for v, text in captions if len(encoded[text]) > 77]
            cut = [v for v, text in captions if len(encoded[text]) > longest]
            other = sum(not text.isascii() for _, text in captions)
            if outside:
                self.report.fail(check, f'token ids beyond the vocabulary of {size}: {_names(outside)}')
            most = max(map(len, encoded.values()))
            text = f'{len(captions)} captions, {len(encoded)} of them distinct, longest {most} tokens'
            self.report.passed(check, f'{text}, {len(long)} over 77')
            if long and not self._has_long_path():
                self.report.warn(check, f'{len(long)} captions are cut at 77 tokens: the text tower has no long path')
            if cut:
                self.report.warn(check, f'{len(cut)} captions are cut at {longest} tokens: {_names(cut)}')
            if other:
                self.report.warn(check, f'{other} captions ({other / len(captions):.1%}) have non-ASCII text')

    def _has_long_path(self) -> bool:
        return bool(getattr(getattr(self._model, 'text', None), 'long_context_length', None))

    # ---- videos -----------------------------------------------------------------------------------------------------

    def check_videos(self) -> None:
        """Decode frames of every video, and hold annotations to its true length."""
        paths = sorted({s['video_path'] for v in self._samples.values() for s in v if 'video_path' in s})
        if not paths:
            return
        results = self._look(paths)
        for split, samples in self._unique_splits():
            limit = self.config[f'{split}_dataloader']['dataset'].get('max_bad_videos', 0)
            bad = [
                (s['video_id'], results[s['video_path']]['error'])
                for s in samples
                if 'error' in results[s['video_path']]
            ]
            check = f'{split} videos'
            for name, error in bad:
                self.report.add('warning' if len(bad) <= limit else 'failure', check, f'{name}: {error}')
            if bad:
                level = 'warning' if len(bad) <= limit else 'failure'
                self.report.add(level, check, f'{len(bad)} damaged videos, max_bad_videos is {limit}')
            good = [s for s in samples if 'error' not in results[s['video_path']]]
            frames = sum(results[s['video_path']]['total_frames'] for s in good)
            if good:
                self.report.passed(check, f'{len(good)} videos decode, {frames:,} frames')
            self._check_lengths(check, good, results)

    def _check_lengths(self, check: str, samples: list[dict], results: dict[str, dict]) -> None:
        counts: Counter[str] = Counter()
        where: dict[str, list[str]] = {}

        def note(what: str, name: str) -> None:
            counts[what] += 1
            where.setdefault(what, []).append(name)

        for sample in samples:
            total = results[sample['video_path']]['total_frames']
            for region in sample.get('regions', []):
                if region['start_frame'] >= total:
                    note('regions begin after the end of their video and are dropped', sample['video_id'])
                elif region['end_frame'] >= total:
                    note('regions end after the end of their video and are clipped', sample['video_id'])
            if any(end > total for _, end in sample.get('intervals', [])):
                note('anomalous intervals reach beyond their video and are clipped', sample['video_id'])
        for what, count in counts.items():
            self.report.warn(check, f'{count} {what}: {_names(where[what])}')

    def _look(self, paths: list[str]) -> dict[str, dict]:
        backend = 'auto'
        loader = self.config.get('train_dataloader') or self.config.get('test_dataloader')
        for transform in loader['dataset'].get('pipeline') or []:
            if transform['type'] == 'DecodeFrames':
                backend = transform.get('backend', backend)
        results: dict[str, dict] = {}
        self.progress(0, len(paths))
        if self.workers <= 1:
            for path in paths:
                results[path] = check_video(path, self.num_frames, backend, self.cache_dir)
                self.progress(len(results), len(paths))
            return results
        # Spawned, not forked: torch and its threads are loaded here.
        context = multiprocessing.get_context('spawn')
        with ProcessPoolExecutor(self.workers, mp_context=context) as pool:
            futures = {pool.submit(check_video, p, self.num_frames, backend, self.cache_dir): p for p in paths}
            for future in as_completed(futures):
                results[futures[future]] = future.result()
                self.progress(len(results), len(paths))
        return results

    # ---- one batch --------------------------------------------------------------------------------------------------

    def check_smoke_batch(self) -> None:
        """One batch of each loader through loss, gradients and evaluation, in a folder that is gone afterwards."""
        self._model = None  # frees its memory
        config = copy.deepcopy(self.config)
        without_caches(config._cfg_dict)
        if config.get('train_dataloader') is None:
            self.report.warn('smoke batch', 'left out: the config does not train')
            return
        with tempfile.TemporaryDirectory() as folder, self._failing('smoke batch') as ok:
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
            self.report.add('failure' if bad else 'pass', 'smoke batch', losses)

    # ---- helpers ----------------------------------------------------------------------------------------------------

    def _unique_splits(self) -> Iterator[tuple[str, list[dict]]]:
        for split, samples in self._samples.items():
            if not (split == 'test' and self._same_data('val', 'test')):
                yield split, samples

    @contextmanager
    def _failing(self, check: str) -> Iterator[Callable[[], bool]]:
        """A user's error inside it becomes a failure of ``check``; what it yields tells whether there was none."""
        state = {'ok': False}
        try:
            yield lambda: state['ok']
            state['ok'] = True
        except VADLabError as error:
            self.report.fail(check, str(error))


@contextmanager
def _quiet() -> Iterator[None]:
    """Keeps the log of the parts that are built off the terminal: the findings say it."""
    logger = MMLogger.get_current_instance()
    previous = logger.level, logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logger.setLevel(previous[0])
        logging.disable(previous[1])
