"""Scores of videos by exported models. This module needs neither torch nor MMEngine."""

from collections.abc import Iterator, Sequence
from contextlib import closing
from typing import Any

import numpy as np

from vadlab.apis.features.crops import CropViews
from vadlab.apis.features.snippet_plan import SnippetPlan
from vadlab.apis.features.snippet_source import Ended, Failed, Snippet, SnippetSource
from vadlab.apis.features.video_list import VideoItem
from vadlab.apis.inferencers.frame_sampling import FrameSampling
from vadlab.apis.inferencers.scored_video import ScoredVideo
from vadlab.apis.inferencers.streamed_scorer import StreamedScorer
from vadlab.apis.inferencers.video_inputs import VideoSource
from vadlab.datasets.video import index_video
from vadlab.evaluation.functional.ground_truth import match_lengths
from vadlab.utils.errors import DataError

from .exported_folder import ExportedFolder

_CHUNKS_AT_ONCE = 32  # of a long video, by methods that score chunks


def normalised(frames: np.ndarray, recipe: dict[str, Any]) -> np.ndarray:
    """Frames as the vision graph takes them.

    Args:
        frames (np.ndarray): RGB, uint8, shape (n, 3, H, W).
        recipe (dict): With ``mean`` and ``std``, on the scale 0..255.

    Returns:
        np.ndarray: float32, same shape.
    """
    mean, std = (np.array(recipe[name], np.float32)[:, None, None] for name in ('mean', 'std'))
    return (frames.astype(np.float32) - mean) / std


class ExportedFrameScorer(StreamedScorer):
    """Scores videos with an exported model that embeds frame by frame.

    Args:
        exported (ExportedFolder): The model.
        sampling (FrameSampling): The frames that the model sees.
        workers (int): Decoding threads.
        batch_size (int): Frames per run of the network.
        fps (float): Frame rate of arrays and folders of frames.
    """

    def __init__(
        self,
        exported: ExportedFolder,
        sampling: FrameSampling,
        workers: int = 2,
        batch_size: int = 32,
        fps: float = 25.0,
    ) -> None:
        self.exported = exported
        self.recipe = exported.manifest.recipe
        super().__init__(pipeline_of(self.recipe), sampling, workers, batch_size, fps)
        self.prompts = exported.arrays('prompts')

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the classes or prompts."""
        return self.exported.manifest.classes

    def embed_frames(self, frames: np.ndarray) -> np.ndarray:
        """Embeddings of frames; see :class:`StreamedScorer`."""
        pixels = normalised(frames.transpose(0, 3, 1, 2), self.recipe)
        seen = self.exported.graph('vision')(frames=pixels)
        return self.exported.graph('frame')(**seen, **self.prompts)['summary']

    def score_embeds(self, embeds: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Logits and class probabilities; see :class:`StreamedScorer`."""
        found = self.exported.graph('video')(summary=embeds, **self.prompts)
        return found['logits'], found['class_scores']


class SnippetScores:
    """Scores of snippet features by an exported method.

    Args:
        exported (ExportedFolder): The model.
    """

    def __init__(self, exported: ExportedFolder) -> None:
        self.exported = exported
        self.recipe = exported.manifest.recipe

    def __call__(self, feats_ctd: np.ndarray) -> dict[str, np.ndarray]:
        """Predictions of the snippets of a video, averaged over crops.

        Args:
            feats_ctd (np.ndarray): Snippet features, float32, shape (C, T, D).

        Returns:
            dict[str, np.ndarray]: ``scores`` and ``logits``, shape (T,); optional ``class_scores``, shape (T, K).

        Raises:
            DataError: The features have another number of channels, or the video is too long.
        """
        crops, length, dim = feats_ctd.shape
        wanted, size, most = self.recipe['feature_dim'], self.recipe['chunk'], self.recipe['most_snippets']
        if dim != wanted:
            raise DataError(f'{self.exported.manifest.model}: features of {dim} channels; it takes {wanted}.')
        graph = self.exported.graph('scores')
        if size is None:
            if length > most:
                raise DataError(
                    f'{length} snippets: an exported {self.exported.manifest.model} scores at most {most} at once. Cut '
                    'the video into parts, or use torch.'
                )
            found = graph(features=feats_ctd[None], lengths=np.array([length]))
            return {name: value[0] for name, value in found.items()}
        chunks = -(-length // size)
        padded = np.zeros((crops, chunks * size, dim), np.float32)
        padded[:, :length] = feats_ctd
        parts_nctd = padded.reshape(crops, chunks, size, dim).swapaxes(0, 1)
        lengths = np.minimum(length - np.arange(chunks) * size, size)
        parts: list[dict[str, np.ndarray]] = []
        for first in range(0, chunks, _CHUNKS_AT_ONCE):
            some = slice(first, first + _CHUNKS_AT_ONCE)
            parts.append(graph(features=parts_nctd[some], lengths=lengths[some]))
        return {
            name: np.concatenate([part[name] for part in parts]).reshape(chunks * size, *parts[0][name].shape[2:])[
                :length
            ]
            for name in parts[0]
        }


class ExportedSnippetScorer:
    """Scores raw videos with an exported method on snippet features, and the exported extractor of its features.

    Args:
        exported (ExportedFolder): The model; it has an extractor.
        workers (int): Decoding threads.
        batch_size (int): Frames per run of the extractor.
        fps (float): Frame rate of folders of frames.
    """

    def __init__(self, exported: ExportedFolder, workers: int = 2, batch_size: int = 32, fps: float = 25.0) -> None:
        self.exported = exported
        self.scores = SnippetScores(exported)
        self.features = features = exported.manifest.recipe['features']
        self.plan = SnippetPlan(**{name: features[name] for name in ('snippet_len', 'stride', 'frames', 'tail')})
        self.crops = CropViews(features['crop_size'], features['crops'], features['crop_order'])
        resize = features['resize']
        self.source = SnippetSource(
            self.plan,
            resize if isinstance(resize, int) else (resize[0], resize[1]),
            self.crops.size,
            features['interpolation'],
            features['resizer'],
            features['blank'],
            workers,
        )
        self.batch_size = batch_size
        self.fps = fps

    def __call__(self, sources: Sequence[VideoSource]) -> Iterator[ScoredVideo]:
        """Score videos in their order."""
        for source in sources:
            try:
                yield self._score(source)
            except (DataError, OSError) as error:
                yield ScoredVideo(source, error=str(error))

    def extract(self, path: str) -> tuple[np.ndarray, int]:
        """Features of a video, float32, shape (C, T, D), and its number of frames.

        Raises:
            DataError: It cannot be decoded.
            OSError: The file cannot be read.
        """
        per_snippet = self.crops.count * len(self.plan.offsets)
        wanted = max(self.batch_size // per_snippet, 1)
        rows: list[np.ndarray] = []
        batch: list[np.ndarray] = []
        total = 0
        with closing(self.source([VideoItem(path, path, 0)])) as stream:
            for item in stream:
                if isinstance(item, Failed):
                    raise DataError(item.reason)
                if isinstance(item, Ended):
                    total = item.total_frames
                elif isinstance(item, Snippet):
                    batch.append(item.frames)
                    if len(batch) == wanted:
                        rows.append(self._encode(np.stack(batch)))
                        batch = []
        if batch:
            rows.append(self._encode(np.stack(batch)))
        feats_scd = np.concatenate(rows)
        with np.errstate(over='ignore'):
            stored = feats_scd.astype(self.features['dtype'])  # as the files of features that a method is trained on
        if not np.isfinite(stored).all():
            raise DataError(f'{path}: some features are too large for {self.features["dtype"]}')
        return stored.astype(np.float32).swapaxes(0, 1), total

    def _encode(self, frames: np.ndarray) -> np.ndarray:
        """Features of snippets, uint8, shape (s, f, h, w, 3), as float32, shape (s, c, d)."""
        views = self.crops.of_arrays(frames)  # (s, c, f, 3, h, w)
        images = views.reshape(-1, *views.shape[3:])
        graph = self.exported.graph('extractor')
        feats = [
            graph(frames=normalised(images[first : first + self.batch_size], self.features))['features']
            for first in range(0, len(images), self.batch_size)
        ]
        return np.concatenate(feats).reshape(*views.shape[:3], -1).mean(2)

    def _score(self, source: VideoSource) -> ScoredVideo:
        if source.frames is not None:
            raise DataError(f'{self.exported.manifest.model} extracts features of files; it does not take arrays.')
        feats_ctd, total = self.extract(source.path)
        found = self.scores(feats_ctd)
        repeated = {name: np.repeat(value, self.plan.snippet_len, 0) for name, value in found.items()}
        scores, _ = match_lengths(source.name, repeated['scores'], total, 'pad_last')
        index = index_video(source.path, remember=False, count=False)
        count = feats_ctd.shape[1]
        inds = np.unique(np.minimum(np.arange(count) * self.plan.stride + self.plan.stride // 2, total - 1))
        fps, times = index.clock(total, self.fps)
        classes = self.exported.manifest.classes
        class_scores = None
        if 'class_scores' in repeated and repeated['class_scores'].shape[1] == len(classes):
            class_scores = match_lengths(source.name, repeated['class_scores'], total, 'pad_last')[0][inds]
        return ScoredVideo(
            source,
            fps,
            (index.height, index.width),
            scores,
            times,
            inds,
            classes if class_scores is not None else (),
            class_scores,
        )


def pipeline_of(recipe: dict[str, Any]) -> dict[str, Any]:
    """The part of a config that the rules of :mod:`~vadlab.apis.inferencers.frame_sampling` read."""
    return {'test_dataloader': {'dataset': {'pipeline': recipe['pipeline']}}}
