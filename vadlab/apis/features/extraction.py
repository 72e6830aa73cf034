# Shapes: s snippets, f frames of a snippet, c crops, d channels.
import contextlib
import hashlib
import os
import secrets
import socket
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.config import Config
from mmengine.logging import MMLogger

from vadlab.datasets.video import index_video
from vadlab.registry import MODELS
from vadlab.utils.errors import ConfigError, DataError
from vadlab.utils.json_file import write_json
from vadlab.utils.many_files import Engine, Lost, over_files
from vadlab.utils.runtime import versions
from vadlab.utils.setup_env import set_up_worker

from .crops import CropViews
from .feature_writer import (
    FeatureWriter,
    all_markers,
    finished_names,
    is_done,
    marker_path,
    read_marker,
    remove_features,
    remove_parts,
)
from .recipe import check_recipe
from .snippet_plan import SnippetPlan
from .snippet_source import Ended, Failed, Opened, Snippet, SnippetSource
from .video_list import VideoItem

PRECISIONS = {'float32': None, 'bfloat16': torch.bfloat16, 'float16': torch.float16}
_SETTINGS = {
    'snippet_len': 16,
    'stride': None,
    'frames': 'middle',
    'tail': 'drop',
    'resize': (256, 340),
    'crop_size': 224,
    'interpolation': 'bilinear',
    'resizer': 'swscale',
    'crops': 1,
    'crop_order': 'centre_first',
    'precision': 'float32',
    'dtype': 'float16',
    'blank': False,
}


@dataclass
class ExtractionReport:
    """Result of a run of :class:`FeatureExtraction`.

    Attributes:
        done: Videos whose features were extracted.
        skipped: Videos whose features already existed.
        bad: Videos that could not be used, with the reason.
        snippets: Number of snippets in ``done``.
        frames: Number of frames in ``done``, including frames that are not sampled.
        short: Videos in ``done`` that are shorter than one snippet.
        seconds: Wall time in seconds.
    """

    done: list[str] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)
    bad: dict[str, str] = field(default_factory=dict)
    snippets: int = 0
    frames: int = 0
    short: list[str] = field(default_factory=list)
    seconds: float = 0.0

    def add(self, name: str, snippets: int, frames: int, snippet_len: int) -> None:
        """Add a video whose features were extracted."""
        self.done.append(name)
        self.snippets += snippets
        self.frames += frames
        if frames < snippet_len:
            self.short.append(name)

    def leave_out(self, name: str, reason: str) -> None:
        """Add a video that cannot be used."""
        self.bad[name] = reason
        MMLogger.get_current_instance().warning(f'left out: {reason}')

    def merge(self, other: 'ExtractionReport') -> None:
        """Add the videos of another report; its time is left out."""
        for names in ('done', 'skipped', 'short'):
            getattr(self, names).extend(getattr(other, names))
        for name, reason in other.bad.items():
            self.leave_out(name, reason)
        self.snippets += other.snippets
        self.frames += other.frames


@dataclass
class _Open:
    """A video with snippets that are not yet extracted."""

    writer: FeatureWriter
    opened: Opened
    ended: Ended | None = None
    batch: list[Snippet] = field(default_factory=list)
    told: float = 0.0  # share of the video that was reported as progress


class FeatureExtraction:
    """Extracts snippet features of videos: one ``NAME__k.npy`` of shape (T, D) per video and crop.

    Videos are decoded once for all crops, in threads, while the model runs. A batch has snippets of one video, so the
    features of a video do not depend on the others. The files of a video appear when all of them are complete, so a
    killed run can continue.

    Args:
        config (Config): With ``model``, an extractor such as
            :class:`~vadlab.models.extractors.SnippetFeatureExtractor`, and ``features``, see docs/features.md.
        out (Path): Folder of the features.
        device (str): Device of the model.
        batch_size (int): Frames per forward pass of an image backbone, crops counted.
        workers (int): Decoding threads.
        seed (int): Seed of random weights, if the config has no pre-trained ones.

    Raises:
        ConfigError: An unknown or invalid setting.
    """

    def __init__(
        self, config: Config, out: Path, device: str = 'cpu', batch_size: int = 64, workers: int = 2, seed: int = 0
    ) -> None:
        settings = dict(config.get('features') or {})
        unknown = sorted(set(settings) - set(_SETTINGS))
        if config.get('train_dataloader') is not None or config.get('test_dataloader') is not None:
            raise ConfigError(
                'This config trains or tests a method. Features are extracted by a config of their own, such as '
                'configs/features_clip_vit_b16.py.'
            )
        if unknown:
            raise ConfigError(f'features has no setting {unknown[0]!r}. Known: {", ".join(_SETTINGS)}')
        if batch_size < 1 or workers < 1:
            raise ConfigError(f'batch_size={batch_size} and workers={workers} must be at least 1.')
        self.settings = {**_SETTINGS, **settings}
        if self.settings['precision'] not in PRECISIONS:
            raise ConfigError(
                f'features.precision={self.settings["precision"]!r} is not one of {", ".join(PRECISIONS)}.'
            )
        if self.settings['dtype'] not in ('float16', 'float32'):
            raise ConfigError(f'features.dtype={self.settings["dtype"]!r} is neither float16 nor float32.')
        self.out = out
        self.device = torch.device(device)
        self.batch_size = batch_size
        plan = {k: self.settings[k] for k in ('snippet_len', 'stride', 'frames', 'tail')}
        self.plan = SnippetPlan(**plan)
        self.crops = CropViews(self.settings['crop_size'], self.settings['crops'], self.settings['crop_order'])
        resize = self.settings['resize']
        self.source = SnippetSource(
            self.plan,
            resize if isinstance(resize, int) else tuple(resize),
            self.crops.size,
            self.settings['interpolation'],
            self.settings['resizer'],
            self.settings['blank'],
            workers,
        )
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.model = MODELS.build(config.model)
        self.model.init_weights()
        self.model.to(self.device).eval().requires_grad_(False)
        self.seed = seed
        #: Marks the temporary files of this run and of its workers.
        self.run_id = secrets.token_hex(4)
        self._config = config
        self._model_config = config.model.to_dict()

    def recipe(self) -> dict[str, Any]:
        """All settings that the features depend on."""
        model = {k: v for k, v in self._model_config.items() if k != 'pretrained'}
        vision = dict(model.get('vision') or {})
        for setting in ('chunk_size', 'with_cp', 'pretrained'):
            vision.pop(setting, None)
        return {
            'model': {**model, 'vision': vision},
            'weights_sha256': self.model.weights_sha256(),
            'mean': self.model.mean.flatten().tolist(),
            'std': self.model.std.flatten().tolist(),
            **self.settings,
            'stride': self.plan.stride,
            'frame_offsets': self.plan.offsets.tolist(),
            'crop_names': self.crops.names,
        }

    def facts(self, device: str | None = None) -> dict[str, Any]:
        """Additional information, stored with the recipe; ``device`` is that of the models, if they are elsewhere."""
        pretrained = self._model_config.get('pretrained') or (self._model_config.get('vision') or {}).get('pretrained')
        found = {'pretrained': pretrained, 'device': torch.device(device or self.device).type, 'versions': versions()}
        if pretrained is not None and Path(pretrained).is_file():
            with open(pretrained, 'rb') as file:
                found['weights_file_sha256'] = hashlib.file_digest(file, 'sha256').hexdigest()
        return found

    def prepare(self, overwrite: bool = False, device: str | None = None) -> None:
        """Write the recipe to the folder, or compare it with the existing one.

        Args:
            overwrite (bool): Remove the features of the folder.
            device (str | None): Device of the models, if they are not in this process.

        Raises:
            DataError: The folder contains features of another recipe.
        """
        if overwrite and self.out.is_dir():
            remove_features(self.out)
        for difference in check_recipe(self.out, self.recipe(), self.facts(device)):
            MMLogger.get_current_instance().info(f'{self.out}: same recipe as before, except for {difference}')

    def run(
        self,
        videos: list[VideoItem],
        progress: Callable[[VideoItem, float], None] | None = None,
        engine: Engine | None = None,
        device: str | None = None,
    ) -> ExtractionReport:
        """Extract the missing features of these videos.

        Args:
            videos (list[VideoItem]): Usually one shard of :func:`~vadlab.apis.features.find_videos`.
            progress (Callable | None): Called with a video and the share of it that was finished since the last call;
                1 at once for a video that was finished before or is bad.
            engine (Engine | None): What extracts; None: this process. Each worker has a model of its own.
            device (str | None): Device of the workers' models; None: a GPU of their machine, if it has one.

        Returns:
            ExtractionReport: The result. Bad videos are listed in it and in the log, and raise no error.
        """
        report = self.extract_missing(videos, progress, engine, device)
        self._write_frames()
        return report

    def extract_missing(
        self,
        videos: list[VideoItem],
        progress: Callable[[VideoItem, float], None] | None = None,
        engine: Engine | None = None,
        device: str | None = None,
    ) -> ExtractionReport:
        """As :meth:`run`, without ``frames.json``, for which the notes of all videos are read."""
        start = time.perf_counter()
        report = ExtractionReport()
        tell = progress or (lambda video, share: None)
        todo = self._missing(videos, report, tell)
        if engine is None or engine.is_here:
            self._extract(todo, report, tell)
        else:
            self._extract_elsewhere(todo, report, tell, engine, device)
        report.seconds = time.perf_counter() - start
        return report

    def extract(self, video: VideoItem) -> ExtractionReport:
        """Extract the features of a video; nothing is logged, and frames.json is not written."""
        report = ExtractionReport()
        note = read_marker(self.out, video.name) or {}
        if note.get('as_shown') and self._is_done(video):  # by a worker that was lost before it could say so
            report.add(video.name, note['snippets'], note['total_frames'], self.plan.snippet_len)
        else:
            self._extract([video], report, lambda video, share: None)
        return report

    def _missing(
        self, videos: list[VideoItem], report: ExtractionReport, tell: Callable[[VideoItem, float], None]
    ) -> list[VideoItem]:
        """The videos whose features are still to be extracted; the others are reported as skipped."""
        todo, turned = [], []
        for video in videos:
            there = self._is_done(video)
            if there and self._was_not_rotated(video):
                turned.append(video.name)
                todo.append(video)
            elif there:
                report.skipped.append(video.name)
                tell(video, 1.0)
            else:
                todo.append(video)
        if turned:
            MMLogger.get_current_instance().warning(
                f'{self.out}: {len(turned)} videos are shown turned or with pixels that are not square (first: '
                f'{turned[0]}), and their features are of the pictures as stored: they are made again'
            )
        return todo

    def _is_done(self, video: VideoItem) -> bool:
        count, dim = self.crops.count, self.model.feature_dim
        return is_done(self.out, video.name, video.size, count, dim, self.settings['dtype'])

    def _extract(
        self, videos: list[VideoItem], report: ExtractionReport, tell: Callable[[VideoItem, float], None]
    ) -> None:
        open_videos: dict[str, _Open] = {}
        try:
            with contextlib.closing(self.source(videos)) as stream:
                for video, batch in self._batches(stream, open_videos, report, tell):
                    self._encode_and_write(video, batch, tell)
                    self._finish_if_complete(video, open_videos, report, tell)
        finally:
            for unfinished in open_videos.values():
                unfinished.writer.discard()

    def _extract_elsewhere(
        self,
        videos: list[VideoItem],
        report: ExtractionReport,
        tell: Callable[[VideoItem, float], None],
        engine: Engine,
        device: str | None,
    ) -> None:
        weights, workers = self.model.weights_sha256(), self.source.workers
        settings = (self.batch_size, workers, self.seed, weights, self.run_id)
        start = partial(start_extraction, self._config, self.out, device, *settings)
        gpus = float((device or '').startswith('cuda'))
        for number, part in over_files(start, videos, engine, threads=workers, gpus=gpus):
            if isinstance(part, Lost):
                report.leave_out(videos[number].name, f'{videos[number].path}: {part.reason}')
            else:
                report.merge(part)
            tell(videos[number], 1.0)
        remove_parts(self.out, [video.name for video in videos], self.crops.count, self.run_id)

    def _was_not_rotated(self, video: VideoItem) -> bool:
        """Whether features of a rotated video are from an older version, which did not rotate frames."""
        if self.settings['blank'] or (read_marker(self.out, video.name) or {}).get('as_shown'):
            return False
        try:
            index = index_video(video.path, remember=False, count=False)
        except (DataError, OSError):
            return False
        keeps_aspect = isinstance(self.settings['resize'], int)
        return bool(index.orientation) or (keeps_aspect and index.pixel_aspect != 1)

    def _batches(
        self,
        stream: Iterable[Opened | Snippet | Ended | Failed],
        open_videos: dict[str, _Open],
        report: ExtractionReport,
        tell: Callable[[VideoItem, float], None],
    ) -> Iterator[tuple[_Open, list[Snippet]]]:
        """Group the snippets of each video to batches, and register videos that start or fail."""
        per_snippet = self.crops.count * len(self.plan.offsets)
        wanted = max(self.batch_size // per_snippet, 1)
        for item in stream:
            name = item.video.name
            if isinstance(item, Opened):
                dim, crops, dtype = self.model.feature_dim, self.crops.count, self.settings['dtype']
                writer = FeatureWriter(self.out, name, dim, crops, dtype, self.run_id)
                open_videos[name] = _Open(writer, item)
            elif isinstance(item, Failed):
                failed = open_videos.pop(name, None)
                if failed is not None:
                    failed.writer.discard()
                report.leave_out(name, item.reason)
                tell(item.video, 1.0 - (failed.told if failed is not None else 0.0))
            else:
                video = open_videos[name]
                if isinstance(item, Ended):
                    video.ended = item
                else:
                    video.batch.append(item)
                if video.ended is not None or len(video.batch) == wanted:
                    batch, video.batch = video.batch, []
                    yield video, batch

    def _encode_and_write(self, video: _Open, batch: list[Snippet], tell: Callable[[VideoItem, float], None]) -> None:
        if not batch:
            return
        for feats_cd in self.encode(np.stack([snippet.frames for snippet in batch])):
            video.writer.add(feats_cd)
            share = min(1 / video.opened.snippets, 1.0 - video.told)
            video.told += share
            tell(video.opened.video, share)

    @torch.inference_mode()
    def encode(self, frames: np.ndarray) -> np.ndarray:
        """Encode snippets.

        Args:
            frames (np.ndarray): RGB, uint8, shape (s, f, h, w, 3), scaled and not yet cropped.

        Returns:
            np.ndarray: float32, shape (s, c, d).
        """
        if self.settings['blank'] and len(frames) > 1:  # all snippets are black
            return np.repeat(self.encode(frames[:1]), len(frames), axis=0)
        views = self.crops(torch.from_numpy(frames).to(self.device, non_blocking=True))
        with self._autocast():
            feats = self.model(views.flatten(0, 1), self.batch_size)
        return feats.unflatten(0, views.shape[:2]).float().cpu().numpy()

    def _autocast(self) -> AbstractContextManager:
        dtype = PRECISIONS[self.settings['precision']]
        return contextlib.nullcontext() if dtype is None else torch.autocast(self.device.type, dtype)

    def _finish_if_complete(
        self,
        video: _Open,
        open_videos: dict[str, _Open],
        report: ExtractionReport,
        tell: Callable[[VideoItem, float], None],
    ) -> None:
        opened, writer, ended = video.opened, video.writer, video.ended
        if ended is None:
            return
        name = opened.video.name
        tell(opened.video, 1.0 - video.told)
        if writer.overflowed:
            open_videos.pop(name).writer.discard()
            why = f'{writer.overflowed} numbers are too large for float16. Set features.dtype=float32'
            report.leave_out(name, f'{opened.video.path}: {why}')
            return
        writer.finish()
        del open_videos[name]  # not before: after an error, the files of all that are open are removed
        note = {
            'video_bytes': opened.video.size,
            'total_frames': ended.total_frames,
            'fps': opened.fps,
            'snippets': ended.snippets,
            'crops': self.crops.count,
            'as_shown': True,
        }
        write_json(marker_path(self.out, name), note)
        report.add(name, ended.snippets, ended.total_frames, self.plan.snippet_len)

    def _write_frames(self) -> None:
        """Write the frame counts of all finished videos by file name, in the format of SnippetFeatures.

        Other processes may finish videos of theirs, and write the file, in the meantime.
        """
        while True:
            found = finished_names(self.out)
            notes = all_markers(self.out)
            self._write_frames_of(notes)
            if finished_names(self.out) == found:
                return

    def _write_frames_of(self, notes: dict[str, dict[str, Any]]) -> None:
        stems = [name.rsplit('/', 1)[-1] for name in notes]
        # Two folders may contain videos with the same file name; then the name includes the folder.
        keys = stems if len(set(stems)) == len(stems) else list(notes)
        frames = {key: note['total_frames'] for key, note in zip(keys, notes.values(), strict=True)}
        write_json(self.out / 'frames.json', frames)


def start_extraction(
    config: Config, out: Path, device: str | None, batch_size: int, workers: int, seed: int, weights: str, run_id: str
) -> Callable[[VideoItem], ExtractionReport]:
    """Build the model in a worker; return the function that extracts the features of a video.

    Raises:
        DataError: The weights are not those of ``weights``, a hash.
    """
    set_up_worker()
    extraction = FeatureExtraction(config, out, device or default_device(), batch_size, workers, seed)
    if extraction.model.weights_sha256() != weights:
        raise DataError(
            f'{socket.gethostname()} has other weights than the machine on which the command was started: '
            f'{config.model.get("pretrained")}'
        )
    extraction.run_id = run_id
    return extraction.extract


def default_device() -> str:
    """The GPU of this process, by torchrun's local rank."""
    if not torch.cuda.is_available():
        return 'cpu'
    return f'cuda:{int(os.environ.get("LOCAL_RANK", 0)) % torch.cuda.device_count()}'
