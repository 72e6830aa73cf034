"""One-class detection by the attributes of objects: speed, size, kind, look, pose."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from mmengine.logging import MMLogger
from mmengine.structures import InstanceData
from torch import Tensor, nn

from vadlab.evaluation.functional.smoothing import FrameSmoothing
from vadlab.registry import MODELS
from vadlab.structures import VADDataSample
from vadlab.structures.normal_example import NormalExample
from vadlab.utils.errors import CheckpointError, ConfigError, DataError

from ..attributes.attribute import Attribute
from ..densities.density import Density
from ..densities.fitted_module import FittedModule
from .clip_objects import ClipObjects, ObjectStream
from .fitted_detector import FittedDetector, check_is_normal

COMBINE = ('objects', 'attributes')
_EXEMPLARS = 1000
_ABSENT = -1e30  # in the place of NaN, which checkpoints may not hold


@MODELS.register_module()
class AttributeDetector(FittedDetector):
    """One-class detector: scores objects by how unlikely their attributes are in normal training clips.

    Reiss and Hoshen, "Attribute-based Representations for Accurate and Interpretable Video Anomaly Detection", 2022,
    arXiv:2212.00789 (AI-VAD)::

        video -> objects -> attribute vectors -> one density per attribute -> calibrated score -+-> sum per object
                                                                              (times weight)    |
        score of a frame: sum of its highest objects -> smoothing <-----------------------------+

    Deviations from AI-VAD, all in the config: any detector or none, speeds in heights of a person, any attributes and
    densities, and a frame's score may be the sum of its two highest objects.

    There is no training by gradients. Training is one pass over the clips, in which objects are found and measured
    (:meth:`gather`), and a fit at its end (:meth:`fit`), which
    :class:`~vadlab.engine.hooks.fit_densities_hook.FitDensitiesHook` calls.

    Args:
        objects (dict): Finds objects: ``ONNXDetector``, ``MotionBlobs`` or ``ProposalObjects``.
        flow (dict): Optical flow: ``DISFlow`` or ``FarnebackFlow``.
        attributes (dict): By name: ``attribute`` and ``density`` (configs), and ``weight`` of its score (1 by default).
        person_height (dict | None): Config of :class:`~vadlab.models.attributes.PersonHeight`.
        top_objects (int): Number of highest objects whose scores are added up in a frame.
        combine (str): ``objects``: add up the attributes of each object, then take the highest objects. ``attributes``:
            take the highest objects of each attribute, then add up, as AI-VAD's code does.
        smoothing (str): Of the frame scores: ``gaussian(7)``, ``causal(7)`` for live use, or ``none``.
        max_objects (int): Use at most this many training objects, evenly spread.
        min_objects (int): Fewer objects in all training clips are an error.
        max_side (int | None): See :class:`ObjectStream`, like the following.
        cut_threshold (float): Correlation below which a frame follows a cut.
        cut_residual (float): Share of the picture that motion does not explain, from which a frame follows a cut.
        threads (int): 1 or 2.
        cache_dir (str | None): Folder for the measured objects of each clip.
        data_preprocessor (dict | None): See MMEngine.

    Raises:
        ConfigError: An option has an invalid value.
    """

    def __init__(
        self,
        objects: dict,
        flow: dict,
        attributes: dict[str, dict],
        person_height: dict | None = None,
        top_objects: int = 2,
        combine: str = 'objects',
        smoothing: str = 'gaussian(7)',
        max_objects: int = 200_000,
        min_objects: int = 50,
        max_side: int | None = 640,
        cut_threshold: float = 0.5,
        cut_residual: float = 0.04,
        threads: int = 1,
        cache_dir: str | None = None,
        data_preprocessor: dict | None = None,
    ) -> None:
        super().__init__(data_preprocessor)
        if not attributes:
            raise ConfigError('AttributeDetector: attributes is empty')
        if top_objects < 1 or max_objects < 1:
            raise ConfigError('AttributeDetector: top_objects and max_objects must be whole numbers >= 1')
        if combine not in COMBINE:
            raise ConfigError(f'AttributeDetector: there is no combine={combine!r}. Known: {", ".join(COMBINE)}')
        self.combine = combine
        self.objects = MODELS.build(objects)
        self.flow = MODELS.build(flow)
        self.person_height = MODELS.build(dict(type='PersonHeight', **(person_height or {})))
        self.attributes, self.densities = nn.ModuleDict(), nn.ModuleDict()
        self.weights: dict[str, float] = {}
        for name, config in attributes.items():
            unknown = sorted(set(config) - {'attribute', 'density', 'weight'})
            if unknown or not {'attribute', 'density'} <= set(config):
                raise ConfigError(
                    f'AttributeDetector: attributes.{name} takes attribute, density and weight, not {sorted(config)}'
                )
            self.attributes[name] = MODELS.build(config['attribute'])
            self.densities[name] = MODELS.build(config['density'])
            self.weights[name] = float(config.get('weight', 1))
            if not self.weights[name] > 0:
                raise ConfigError(f'AttributeDetector: attributes.{name}.weight must be > 0. Or remove the attribute')
            if getattr(self.attributes[name], 'classes', None) == ():
                self.attributes[name].classes = self.objects.classes
        self.top_objects = top_objects
        self.smoothing = FrameSmoothing.parse(smoothing)
        self.max_objects, self.min_objects = max_objects, min_objects
        self.stream = ObjectStream(
            self.objects,
            self.flow,
            self.attributes,  # type: ignore[arg-type]
            max_side,
            cut_threshold,
            cut_residual,
            threads,
            cache_dir,
            recipe=dict(objects=objects, flow=flow, attributes={k: v['attribute'] for k, v in attributes.items()}),
        )
        # MMEngine's optimizer needs a parameter. It has no effect.
        self.unused = nn.Parameter(torch.zeros(()))
        self.exemplars = _Exemplars(list(attributes))
        self._gathered: dict[str, ClipObjects] = {}
        self._paths: dict[str, str] = {}
        self._is_provisional = False

    @property
    def is_fitted(self) -> bool:
        """Whether densities were fitted or loaded."""
        return self.exemplars.clip_names.numel() > 0

    # ---- training ---------------------------------------------------------------------------------------------------

    def init_weights(self) -> None:
        """Load the weights of attributes that have some."""
        for attribute in self.attributes.values():
            if hasattr(attribute, 'init_weights'):
                attribute.init_weights()

    def gather(self, data_samples: Sequence[VADDataSample]) -> dict[str, Tensor]:
        """Measure the objects of training clips, and keep them for :meth:`fit`.

        Returns:
            dict[str, Tensor]: ``loss``, which is 0, and ``objects``, the mean number of objects per frame.
        """
        count = frames = 0
        for sample in data_samples:
            check_is_normal(sample)
            found = self.stream.read(sample.video_path)
            self._gathered[sample.video_id] = self._thinned(found)
            self._paths[sample.video_id] = sample.video_path
            count, frames = count + len(found), frames + found.total_frames
        return {'loss': self.unused * 0, 'objects': torch.tensor(count / max(frames, 1))}

    def _thinned(self, found: ClipObjects) -> ClipObjects:
        """At most ``max_objects`` of one clip, so that one long video cannot fill the memory."""
        step = -(-len(found) // self.max_objects)
        if step <= 1:
            return found
        kept = slice(None, None, step)
        measured = {name: values[kept] for name, values in found.measured.items()}
        boxes, scores = found.boxes_xyxy[kept], found.class_scores[kept]
        return ClipObjects(found.total_frames, found.size, found.frame_inds[kept], boxes, scores, measured, found.cuts)

    def fit(self, seed: int = 0) -> None:
        """Fit person heights, densities and the calibration to the gathered clips.

        Args:
            seed (int): Seed of all random choices.

        Raises:
            DataError: No clip was gathered, or there are too few objects.
        """
        logger = MMLogger.get_current_instance()
        names = sorted(self._gathered)
        clips = [self._gathered[name] for name in names]
        counts = [len(clip) for clip in clips]
        total = sum(counts)
        frames = sum(clip.total_frames for clip in clips)
        least = 2 if self._is_provisional else self.min_objects
        if total < least:
            settings = [name for name in ('score_thr', 'min_speed', 'min_area') if hasattr(self.objects, name)]
            raise DataError(
                f'AttributeDetector: {total} objects in {frames} frames of {len(clips)} training clips; at least '
                f'{least} are needed. Give more footage'
                + (f', or lower {" or ".join(settings)} of {type(self.objects).__name__}' if settings else '')
            )
        clip_inds = np.repeat(np.arange(len(clips)), counts)
        boxes = np.concatenate([clip.boxes_xyxy for clip in clips])
        class_scores = np.concatenate([clip.class_scores for clip in clips])
        sizes = np.repeat([clip.size for clip in clips], counts, axis=0)
        placed = np.isfinite(boxes).all(axis=1)
        self.person_height.fit(
            names, clip_inds[placed], boxes[placed], class_scores[placed], list(self.objects.classes), sizes[placed]
        )
        kept = np.arange(0, total, -(-total // self.max_objects))
        vectors: dict[str, np.ndarray] = {}
        for name in self.attributes:
            found = np.concatenate([self._vectors(n, c)[name] for n, c in zip(names, clips, strict=True)])
            vectors[name] = found
            good = kept[np.isfinite(found[kept]).all(axis=1)]
            if not len(good):
                raise DataError(f'AttributeDetector: no training object has the attribute {name}')
            self._density(name).fit(found[good], clip_inds[good], seed)
        frame_inds = np.concatenate([clip.frame_inds for clip in clips])
        paths = [self._paths.get(name, '') for name in names]
        self.exemplars.choose(names, paths, clip_inds, frame_inds, boxes, vectors, kept, seed)
        levels = [self._score_clip(name, clip) for name, clip in zip(names, clips, strict=True)]
        self.exemplars.calibrate(
            np.concatenate([self.smoothing(found['frames']) for found in levels]),
            np.concatenate([found['objects'] for found in levels]),
        )
        spread = ', '.join(
            f'{name} {np.concatenate([found["parts"][name] for found in levels]).mean():.3f}'
            for name in self.attributes
        )
        if not self._is_provisional:
            logger.info(
                f'AttributeDetector: fitted to {total:,} objects in {frames:,} frames of {len(clips)} clips '
                f'({len(kept):,} used). Mean scores: {spread}'
            )
            if len(clips) == 1 or frames < 100:
                logger.warning(
                    f'AttributeDetector: fitted to only {frames} frames (training clips: {len(clips)}): rare normal '
                    'events will get high scores. Add footage'
                )
            cuts = sum(len(clip.cuts) for clip in clips)
            if cuts:
                logger.info(f'AttributeDetector: {cuts} cuts in the training clips; motion across a cut is ignored')

    def _density(self, name: str) -> Density:
        return self.densities[name]  # type: ignore[return-value]

    def _attribute(self, name: str) -> Attribute:
        return self.attributes[name]  # type: ignore[return-value]

    def _vectors(self, clip: str, found: ClipObjects) -> dict[str, np.ndarray]:
        heights = self.person_height.heights(clip, found.boxes_xyxy)
        return {
            name: self._attribute(name).vectors(found.measured[name], found.boxes_xyxy, heights)
            for name in self.attributes
        }

    # ---- scoring ----------------------------------------------------------------------------------------------------

    def _score_clip(self, name: str, found: ClipObjects) -> dict[str, Any]:
        """Scores of a clip: ``parts`` by attribute and ``objects``, shape (M,), ``frames``, shape (N,), ``vectors``."""
        vectors = self._vectors(name, found)
        parts = {key: self.weights[key] * self._density(key).scores(vectors[key]) for key in vectors}
        objects = np.sum(list(parts.values()), axis=0) if len(found) else np.zeros(0)
        # A density's lowest training score: 0 but for those that are not calibrated.
        lowest = {
            key: self.weights[key] * float(self._density(key).low) * (self._density(key).calibration == 'none')
            for key in vectors
        }
        shape = found.frame_inds, found.total_frames, self.top_objects
        if self.combine == 'objects':
            frames = frame_scores(objects, *shape, sum(lowest.values()))
        else:
            frames = np.sum([frame_scores(parts[key], *shape, lowest[key]) for key in parts], axis=0)
        return {'parts': parts, 'objects': objects, 'frames': frames, 'vectors': vectors}

    def predict(self, data_samples: list[VADDataSample]) -> list[VADDataSample]:
        """Score clips.

        ``pred_raw_logits`` is a frame's score, ``pred_logits`` the smoothed one, and ``pred_scores`` a number in 0..1
        that is 0.5 at the 99.9th percentile of the training frames. ``pred_detections`` holds every object.

        Raises:
            ConfigError: Nothing was fitted.
        """
        if not self.is_fitted:
            self._fit_provisionally()
        for sample in data_samples:
            found = self.stream.read(sample.video_path)
            scored = self._score_clip(sample.video_id, found) if self.is_fitted else self._zeros(found)
            raw = torch.from_numpy(scored['frames']).float()
            smooth = self.smoothing(scored['frames'])
            sample.pred_raw_logits = raw
            sample.pred_logits = torch.from_numpy(smooth).float()
            probability = self.exemplars.probability(smooth) if self.is_fitted else smooth
            sample.pred_scores = torch.from_numpy(probability).float()
            sample.pred_detections = self._detections(found, scored)
            if len(found.cuts):
                sample.set_metainfo({'cuts': found.cuts})
        return data_samples

    def _fit_provisionally(self) -> None:
        """For the sanity check before training: fit to the clips of one batch, if they have objects."""
        if not self._gathered:
            raise ConfigError(
                'AttributeDetector is not fitted. Fit it to normal clips first: python tools/train.py CONFIG; then '
                'test its checkpoint, epoch_1.pth'
            )
        count = sum(len(clip) for clip in self._gathered.values())
        if count < 2:  # the other clips may have more; fit() refuses if they do not
            MMLogger.get_current_instance().warning(
                f'AttributeDetector: {count} objects in the first training clips ({", ".join(self._gathered)}): the '
                'sanity check cannot fit to them, and scores 0'
            )
            return
        self._is_provisional = True
        try:
            self.fit()
        finally:
            self._is_provisional = False

    @staticmethod
    def _zeros(found: ClipObjects) -> dict[str, Any]:
        """Scores of a clip for the sanity check, if there was nothing to fit to."""
        return {'objects': np.zeros(len(found)), 'frames': np.zeros(found.total_frames), 'parts': {}, 'vectors': {}}

    def _detections(self, found: ClipObjects, scored: dict[str, Any]) -> InstanceData:
        placed = np.flatnonzero(np.isfinite(found.boxes_xyxy).all(axis=1))  # others are in no picture
        boxes = found.boxes_xyxy[placed]
        boxes[:, 2:] -= 1  # from half-open to the last pixels included
        names = np.array([*self.objects.classes, 'object'], object)
        scores = found.class_scores[placed]
        best = scores.argmax(axis=1) if scores.shape[1] else np.full(len(placed), -1)
        reasons, examples = self._reasons(scored)
        return InstanceData(
            frame_inds=torch.from_numpy(found.frame_inds[placed]),
            boxes_xyxy=torch.from_numpy(boxes),
            scores=torch.from_numpy(scored['objects'][placed]).float(),
            labels=names[best].tolist(),
            reasons=[reasons[row] for row in placed],
            examples=[examples[row] for row in placed],
        )

    def _reasons(self, scored: dict[str, Any]) -> tuple[list[str], list[str]]:
        """For objects above the 99th percentile of training objects: the attribute that raised the score most, and the
        nearest training object as JSON.
        """
        keys = list(scored['parts'])
        reasons, examples = [''] * len(scored['objects']), [''] * len(scored['objects'])
        if not reasons or not keys:
            return reasons, examples
        parts = np.stack([scored['parts'][key] for key in keys], axis=1)
        for row in np.flatnonzero(scored['objects'] >= self.exemplars.unusual):
            key = keys[int(parts[row].argmax())]
            vector = scored['vectors'][key][row]
            text = self._attribute(key).describe(vector) if np.isfinite(vector).all() else ''
            near = self.exemplars.nearest(key, vector)
            reasons[row] = f'{key}: {text} (score {parts[row].max():.2f})'
            if near is not None:
                reasons[row] += f'; nearest normal: {near.text()}'
                examples[row] = near.to_json()
        return reasons, examples

    def check_checkpoint(self, state_dict: Mapping[str, Tensor], name: str) -> None:
        """Give fitted buffers the shapes of the file.

        Raises:
            CheckpointError: The file was saved before the fit.
        """
        names = state_dict.get('exemplars.clip_names')
        if names is not None and not names.numel():
            raise CheckpointError(f'{name} was saved before the fit. Run tools/train.py to its end')
        own, saved = (
            {key.split('.')[1] for key in keys if key.startswith('densities.')}
            for keys in (self.state_dict(), state_dict)
        )
        if saved and own != saved:
            raise CheckpointError(
                f'{name} was fitted to other attributes ({", ".join(sorted(saved))}) than the config has '
                f'({", ".join(sorted(own))}). Use the config that it was fitted with, or fit again: python '
                'tools/train.py CONFIG'
            )
        for prefix, module in self.named_modules():
            if isinstance(module, FittedModule):
                module.take_shapes(state_dict, f'{prefix}.')


def frame_scores(objects: np.ndarray, frame_inds: np.ndarray, total: int, top: int, lowest: float) -> np.ndarray:
    """Score of each frame: the sum of its highest objects' scores; a missing object has the lowest score.

    >>> frame_scores(np.array([3.0, 1.0, 2.0]), np.array([0, 0, 2]), 3, 2, 0.0).tolist()
    [4.0, 0.0, 2.0]

    Args:
        objects (np.ndarray): Scores, shape (M,).
        frame_inds (np.ndarray): Frame of each object, shape (M,).
        total (int): Number of frames.
        top (int): Number of objects that count.
        lowest (float): Score of a missing object.
    """
    order = np.lexsort((-objects, frame_inds))
    frames = frame_inds[order]
    rank = np.arange(len(frames)) - np.searchsorted(frames, frames)
    counts = rank < top
    scores = np.full(total, top * lowest, np.float64)
    np.add.at(scores, frames[counts], objects[order][counts] - lowest)
    return scores


class _Exemplars(FittedModule):
    """Some training objects, to show the nearest one, and the levels of the training frames' scores."""

    def __init__(self, attributes: list[str]) -> None:
        vectors = {f'vectors_{name}': torch.float32 for name in attributes}
        super().__init__(clip_names=torch.uint8, places=torch.float32, levels=torch.float64, **vectors)

    def choose(
        self,
        names: list[str],
        paths: list[str],
        clip_inds: np.ndarray,
        frame_inds: np.ndarray,
        boxes: np.ndarray,
        vectors: dict[str, np.ndarray],
        kept: np.ndarray,
        seed: int,
    ) -> None:
        """Keep some objects, at random."""
        chosen = np.sort(np.random.default_rng(seed).permutation(kept)[:_EXEMPLARS])
        clips = list(zip(names, paths, strict=True))
        self.clip_names = torch.tensor(list(json.dumps(clips).encode()), dtype=torch.uint8)
        places = np.concatenate([clip_inds[chosen, None], frame_inds[chosen, None], boxes[chosen]], axis=1)
        self.places = torch.from_numpy(np.nan_to_num(places, nan=_ABSENT).astype(np.float32))
        for name, found in vectors.items():
            known = np.nan_to_num(found[chosen], nan=_ABSENT).astype(np.float32)
            setattr(self, f'vectors_{name}', torch.from_numpy(known))

    def calibrate(self, frames: np.ndarray, objects: np.ndarray) -> None:
        """Keep median and 99.9th percentile of the training frames, and the 99th of the training objects."""
        median, high = np.percentile(frames, [50, 99.9])
        self.levels = torch.tensor([median, float(np.percentile(objects, 99)), high], dtype=torch.float64)

    @property
    def unusual(self) -> float:
        """Score from which objects are explained."""
        return float(self.levels[1])

    def probability(self, scores: np.ndarray) -> np.ndarray:
        """Scores as numbers in 0..1: 0.5 at the 99.9th percentile of training frames, about 0.02 at their median."""
        median, _, high = self.levels.tolist()
        return 1 / (1 + np.exp(-4 * (scores - high) / max(high - median, 1e-9)))

    def nearest(self, attribute: str, vector: np.ndarray) -> NormalExample | None:
        """The training object that is nearest in an attribute; None without one."""
        known = getattr(self, f'vectors_{attribute}').cpu().numpy()
        if not np.isfinite(vector).all() or known.shape[1:] != vector.shape:
            return None
        rows = np.flatnonzero((known > _ABSENT / 2).all(axis=1))
        if not len(rows):
            return None
        known = known[rows]
        scale = known.std(axis=0)
        scale[scale < 1e-9] = 1
        clip, frame, *box = self.places[rows[int((((known - vector) / scale) ** 2).sum(axis=1).argmin())]].tolist()
        saved = json.loads(bytes(self.clip_names.tolist()))[int(clip)]
        name, path = saved if isinstance(saved, list) else (saved, '')  # older checkpoints have no paths
        return NormalExample(name, path, int(frame), None if min(box) < 0.5 * _ABSENT else tuple(box))
