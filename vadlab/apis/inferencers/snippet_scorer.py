"""Scores of raw videos by methods on snippet features, which are extracted on the fly and kept by recipe."""

import errno
import hashlib
import json
import logging
import os
import shutil
import tempfile
import weakref
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.config import Config
from mmengine.dataset import pseudo_collate
from mmengine.logging import print_log

from vadlab.apis.features.extraction import FeatureExtraction
from vadlab.apis.features.feature_writer import crop_path, read_marker
from vadlab.apis.features.video_list import VideoItem, size_of
from vadlab.datasets.video import index_video
from vadlab.evaluation.functional.ground_truth import match_lengths
from vadlab.models.layers.weights_cache import steady_weights
from vadlab.utils.config import config_differences, load_config
from vadlab.utils.errors import ConfigError, DataError

from .base_inferencer import build_steps, only_warnings
from .frame_sampling import steps_of_test
from .scored_video import ScoredVideo
from .video_inputs import VideoSource

#: Default folder of features, one subfolder per recipe.
FEATURE_CACHE = Path('work_dirs/inference_features')
_AT_ONCE = 8  # videos whose features are extracted together
_MOST_SNIPPETS = 65_536  # of a video, for methods whose time grows with the square of this number


class SnippetScorer:
    """Scores raw videos with a :class:`~vadlab.models.detectors.SnippetDetector`.

    The config of the method names the config of its features (``feature_config``). Features are extracted once per
    video and recipe, and found again later; a video that changed is extracted again.

    Args:
        model (nn.Module): The method.
        config (Config): The experiment.
        feature_config (str | None): Config of the features instead of the one that ``config`` names.
        trained_on (dict | None): Recipe of the features that the weights were trained on, from the checkpoint.
        cache_dir (Path): Folder of the features. If it cannot be written, they are in a temporary folder.
        device (torch.device | str): Device of the extractor.
        workers (int): Decoding threads.
        batch_size (int): Frames per forward pass of the extractor.
        fps (float): Frame rate of folders of frames.

    Raises:
        ConfigError: No feature config is known, it makes features of another size than the method takes, or the method
            takes features of sound.
    """

    def __init__(
        self,
        model: Any,
        config: Config,
        feature_config: str | None = None,
        trained_on: dict | None = None,
        cache_dir: Path = FEATURE_CACHE,
        device: torch.device | str = 'cpu',
        workers: int = 2,
        batch_size: int = 32,
        fps: float = 25.0,
    ) -> None:
        name = type(model).__name__
        if config.get('audio_dir'):
            raise ConfigError(
                f'{name} takes features of sound (audio_dir), which VADLab does not extract from videos. Extract them '
                'with the VGGish of your choice and score the files: python tools/test.py CONFIG CHECKPOINT'
            )
        path = feature_config or config.get('feature_config')
        if not path:
            raise ConfigError(
                f'{name} scores snippet features, and this config does not say how they are made (feature_config). '
                'Give the config of an extractor: --feature-config configs/features_clip_vit_b16.py'
            )
        recipe_config = load_config(path, {})
        with only_warnings():
            self.extraction = FeatureExtraction(recipe_config, cache_dir, str(device), batch_size, workers)
        recipe = json.loads(json.dumps(self.extraction.recipe()))
        digest = hashlib.sha256(json.dumps(recipe, sort_keys=True).encode()).hexdigest()[:16]
        self.extraction.out = self.folder = Path(cache_dir) / digest
        wanted, made = config.get('feature_dim'), self.extraction.model.feature_dim
        if wanted is not None and wanted != made:
            raise ConfigError(
                f'{name} takes features of {wanted} channels; {path} makes {made}. Give the '
                'config of an extractor that makes them: --feature-config FILE. I3D features are only made by the code '
                'of their authors (docs/features.md).'
            )
        if trained_on and (differences := config_differences(trained_on, recipe)):
            print_log(
                f'{name} was trained on features of another recipe than {path} ({"; ".join(differences[:4])}). If the '
                'weights of the extractor differ, the scores mean nothing.',
                'current',
                logging.WARNING,
            )
        self._is_prepared = False
        self.model = model
        self.classes = tuple(getattr(model, 'classes', None) or config.get('classes') or ())
        self.pipeline = build_steps(steps_of_test(config))
        self.feature_config = str(path)
        self.fps = fps

    def __call__(self, sources: Sequence[VideoSource]) -> Iterator[ScoredVideo]:
        """Score videos in their order, a few at a time."""
        if not self._is_prepared:
            self._prepare()
            self._is_prepared = True
        for first in range(0, len(sources), _AT_ONCE):
            yield from self._score_group(sources[first : first + _AT_ONCE])

    def _prepare(self) -> None:
        """Make the folder for features; a temporary one, with a warning, if nothing can be written there."""
        try:
            self.extraction.prepare()
            if not os.access(self.folder, os.W_OK | os.X_OK):
                raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(self.folder))
        except OSError as error:
            if error.errno not in (errno.EACCES, errno.EPERM, errno.EROFS):
                raise
            reason = f'{error.filename}: {error.strerror}'
            print_log(f'Features of these videos are not kept for the next run: {reason}', 'current', logging.WARNING)
            self.extraction.out = self.folder = Path(tempfile.mkdtemp(prefix='vadlab-features-'))
            weakref.finalize(self, shutil.rmtree, self.folder, ignore_errors=True)
            self.extraction.prepare()

    def _score_group(self, sources: Sequence[VideoSource]) -> Iterator[ScoredVideo]:
        items: dict[str, VideoItem] = {}
        errors: dict[str, str] = {}
        for source in sources:
            if source.frames is not None:
                errors[source.name] = (
                    f'{type(self.model).__name__} extracts features of files; it does not take arrays.'
                )
                continue
            try:
                # A name of its own for each file, because files of several folders share the cache.
                real = os.path.realpath(source.path)
                stamp = f'{real} {os.stat(real).st_mtime_ns}'.encode(errors='surrogateescape')
                name = f'{Path(source.path).stem}-{hashlib.sha256(stamp).hexdigest()[:12]}'
                items[source.name] = VideoItem(source.path, name, size_of(source.path))
            except OSError as error:
                errors[source.name] = str(error)
        report = self.extraction.extract_missing(list(items.values()))
        for source in sources:
            item = items.get(source.name)
            reason = errors.get(source.name) if item is None else report.bad.get(item.name)
            if reason is not None or item is None:
                yield ScoredVideo(source, error=reason)
                continue
            try:
                yield self._score(source, item)
            except (DataError, OSError) as error:
                yield ScoredVideo(source, error=str(error))

    @torch.inference_mode()
    def _score(self, source: VideoSource, item: VideoItem) -> ScoredVideo:
        note = read_marker(self.folder, item.name) or {}
        index = index_video(source.path, remember=False, count=False)
        total, plan = int(note['total_frames']), self.extraction.plan
        if self.model.attends_to_all and int(note['snippets']) > _MOST_SNIPPETS:
            raise DataError(
                f'{source.path}: {note["snippets"]} snippets. In {type(self.model).__name__} each of them attends to '
                f'all others, so at most {_MOST_SNIPPETS} are scored. Cut the video into parts.'
            )
        crops = self.extraction.crops.count
        results = dict(
            video_id=source.name,
            video_path=source.path,
            feature_paths=[str(crop_path(self.folder, item.name, crop)) for crop in range(crops)],
            crop_columns=[None] * crops,
            crop_inds=list(range(crops)),
            snippet_len=plan.snippet_len,
            total_frames=total,
            class_name=None,
            label=0,
            class_labels=(0,),
            num_classes=max(len(self.classes), 1),
        )
        with steady_weights():
            (sample,) = self.model.test_step(pseudo_collate([self.pipeline(results)]))
        scores, _ = match_lengths(source.name, sample.pred_scores.float().cpu().numpy(), total, 'pad_last')
        inds = np.minimum(np.arange(int(note['snippets'])) * plan.stride + plan.stride // 2, total - 1)
        inds = np.unique(inds)
        fps, times = index.clock(total, self.fps)
        found = sample.get('pred_class_scores')
        has_classes = found is not None and found.shape[1] == len(self.classes)
        return ScoredVideo(
            source,
            fps,
            (index.height, index.width),
            scores,
            times,
            inds,
            self.classes if has_classes else (),
            match_lengths(source.name, found.cpu().numpy(), total, 'pad_last')[0][inds] if has_classes else None,
        )
