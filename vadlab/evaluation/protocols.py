"""Published protocols by name, and reading their ground truth."""

import logging
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from vadlab.datasets.formats.class_names import UCF_CRIME_CLASSES, XD_VIOLENCE_CLASSES
from vadlab.datasets.formats.feature_labels import VideoLabel, parse_label
from vadlab.datasets.formats.frame_masks import annotate_masks, frame_mask_files, read_frame_masks
from vadlab.datasets.formats.pixel_masks import (
    avenue_files,
    ped2_folders,
    ped2_name,
    read_avenue_masks,
    read_ped2_masks,
)
from vadlab.datasets.formats.temporal_annotations import ClassInterval, TemporalAnnotation, read_temporal_annotations
from vadlab.datasets.problem_list import ProblemList
from vadlab.datasets.temporal_truth import describe_without_class, match_truth, without_class
from vadlab.utils.errors import ConfigError, DataError, MissingFileError
from vadlab.utils.run_log import log
from vadlab.utils.suggest import nearest

_T = TypeVar('_T')


@dataclass(frozen=True)
class Protocol:
    """Evaluation protocol of a benchmark.

    Attributes:
        name (str): Name for ``--protocol``.
        dataset (str): Name of the data set in papers.
        headline (str): Key of the number that papers report first.
        classes (tuple[str, ...]): Class names, Normal first.
        annotation (str): Kind of ``--ann``: ``text``, or ``masks`` in a format of its own.
        normal_name (str): Regular expression for names of normal videos that are not annotated; empty if every video
            is annotated.
        snippet_len (int): Frames per snippet in the public feature sets.
    """

    name: str
    dataset: str
    headline: str
    classes: tuple[str, ...]
    annotation: str = 'masks'
    normal_name: str = ''
    snippet_len: int = 16

    def by_video_id(self, values: Mapping[str, _T]) -> dict[str, _T]:
        """The same values under the names in the ground truth.

        Avenue's videos are ``01``, also for 1; Ped2's are ``Test001``, also for 01 and 1.

        Raises:
            DataError: Two names become the same.
        """
        rename = {'avenue': _avenue_name, 'ped1': ped2_name, 'ped2': ped2_name}.get(self.name, str)
        renamed = {rename(name): value for name, value in values.items()}
        if len(renamed) < len(values):
            raise DataError(f'{len(values) - len(renamed)} of {len(values)} videos are named twice, such as 1 and 01')
        return renamed


def _avenue_name(name: str) -> str:
    return f'{int(name):02d}' if name.isdecimal() else name


_ONE_CLASS = ('Normal', 'Anomaly')
PROTOCOLS: dict[str, Protocol] = {
    protocol.name: protocol
    for protocol in (
        Protocol('ucf-crime', 'UCF-Crime', 'frame/auc', UCF_CRIME_CLASSES, annotation='text'),
        # The public lists contain only the 500 anomalous test videos.
        Protocol('xd-violence', 'XD-Violence', 'frame/ap', XD_VIOLENCE_CLASSES, 'text', normal_name=r'.*_label_A'),
        # The weakly supervised test split includes videos of the original training set: three digits, all normal.
        Protocol('shanghaitech', 'ShanghaiTech', 'frame/auc', _ONE_CLASS, normal_name=r'\d\d_\d{3}'),
        Protocol('avenue', 'CUHK Avenue', 'frame/auc', _ONE_CLASS),
        Protocol('ped1', 'UCSD Ped1', 'frame/auc', _ONE_CLASS),
        Protocol('ped2', 'UCSD Ped2', 'frame/auc', _ONE_CLASS),
        Protocol('ubnormal', 'UBnormal', 'frame/auc', _ONE_CLASS),
    )
}


@dataclass(frozen=True)
class VideoTruth:
    """Ground truth of one test video.

    Attributes:
        num_frames (int): N.
        label (int): Class index, 0 is Normal.
        class_intervals (list[tuple[int, int, int]]): Class index, first frame, last frame + 1. The index is -1 if the
            video has several classes and the annotation names none for the interval.
    """

    num_frames: int
    label: int
    class_intervals: list[tuple[int, int, int]] = field(default_factory=list)

    @property
    def intervals(self) -> np.ndarray:
        """Anomalous frames, half-open, int64, shape (K, 2)."""
        return np.array([interval[1:] for interval in self.class_intervals], np.int64).reshape(-1, 2)


def read_ground_truth(
    protocol: Protocol,
    annotation: str | Path,
    num_frames: Mapping[str, int] | None = None,
    interval_mode: str = 'half_open',
    classes: Sequence[str] | None = None,
    predicted: Collection[str] | None = None,
    subset: bool = False,
) -> dict[str, VideoTruth]:
    """Read the ground truth of every test video.

    Args:
        protocol (Protocol): One of :data:`PROTOCOLS`.
        annotation (str | Path): Its annotation: UCF-Crime's or XD-Violence's text file; ShanghaiTech's folder of
            ``.npy`` masks; Avenue's ``testing_label_mask``; UCSD's ``Test``; or the folder of a whole one-class data
            set (Ped1, Ped2, Avenue, ShanghaiTech, UBnormal) in any layout that
            :func:`~vadlab.datasets.formats.one_class_layouts.find_clips` reads.
        num_frames (Mapping[str, int] | None): Frames of each video. Optional for masks, which contain them, unless
            videos without masks (ShanghaiTech's normal ones) are tested.
        interval_mode (str): Meaning of the numbers in a text file, see
            :func:`~vadlab.datasets.formats.temporal_annotations.read_temporal_annotations`.
        classes (Sequence[str] | None): Class names, Normal first; None for the protocol's.
        predicted (Collection[str] | None): Videos with predictions: they are compared with the annotated ones before
            masks are read, which may take long. Frame counts of other videos without annotation are ignored.
        subset (bool): Read only the ``predicted`` videos, which may then be fewer than the annotated ones.

    Returns:
        dict[str, VideoTruth]: Ground truth by video id.

    Raises:
        ConfigError: Frame counts are required and not given.
        DataError: Videos have no annotation, no frame count or no prediction, or annotations do not match, see
            :func:`~vadlab.datasets.temporal_truth.match_truth`.
        MissingFileError: There is no annotation.
    """
    classes = tuple(classes or protocol.classes)
    if num_frames is not None:
        num_frames = protocol.by_video_id(num_frames)
    if protocol.annotation == 'text':
        if num_frames is None:
            raise ConfigError(f'{protocol.name} needs the number of frames of each video: --frames FRAMES.json')
        annotations = _read_text(protocol, annotation, interval_mode)
        if subset:
            annotations = {name: found for name, found in annotations.items() if name in (predicted or ())}
            num_frames = {name: count for name, count in num_frames.items() if name in (predicted or ())}
        num_frames = _without_training_videos(protocol, annotations, num_frames, predicted, str(annotation))
        _same_names(protocol, annotations, num_frames, str(annotation))
        _check_predicted(predicted, num_frames, subset)
        return _match(protocol, annotations, num_frames, str(annotation), classes)
    if protocol.name == 'ubnormal' or _has_clips(annotation):
        return _read_data_set(protocol, annotation, num_frames, classes, predicted, subset)
    list_videos, reader = {
        'shanghaitech': (frame_mask_files, read_frame_masks),
        'avenue': (avenue_files, read_avenue_masks),
        'ped1': (ped2_folders, read_ped2_masks),
        'ped2': (ped2_folders, read_ped2_masks),
    }[protocol.name]
    listed: dict[str, Any] = list_videos(annotation)
    if num_frames is not None:
        num_frames = _without_training_videos(protocol, listed, num_frames, predicted, str(annotation))
    _check_predicted(predicted, {**listed, **num_frames} if num_frames is not None else listed, subset)
    masks = reader(annotation, predicted)
    if subset and num_frames is not None:
        num_frames = {name: count for name, count in num_frames.items() if name in (predicted or ())}
    if num_frames is not None:
        masks = {
            name: masks[name] for name in _same_names(protocol, masks, num_frames, str(annotation)) if name in masks
        }
        wrong = [name for name, mask in masks.items() if len(mask) != num_frames[name]]
        if wrong:
            raise DataError(
                f'{wrong[0]}: {num_frames[wrong[0]]} frames by the frame counts, {len(masks[wrong[0]])} by the masks '
                f'in {annotation}' + (f' (and {len(wrong) - 1} more videos)' if len(wrong) > 1 else '')
            )
    counts = {name: len(mask) for name, mask in masks.items()} | dict(num_frames or {})
    return _match(protocol, annotate_masks(masks), counts, str(annotation), classes)


def _has_clips(annotation: str | Path) -> bool:
    """Whether a folder is that of a whole one-class data set, with training clips beside the test clips."""
    root = Path(annotation)
    return root.is_dir() and any((root / name).is_dir() for name in ('Train', 'training', 'training_videos'))


def _read_data_set(
    protocol: Protocol,
    root: str | Path,
    num_frames: Mapping[str, int] | None,
    classes: Sequence[str],
    predicted: Collection[str] | None,
    subset: bool,
) -> dict[str, VideoTruth]:
    """Ground truth from the folder of a one-class data set, in any layout."""
    # Here, since these modules load OpenCV and PyAV.
    from vadlab.datasets.formats.one_class_labels import read_clip_truth
    from vadlab.datasets.formats.one_class_layouts import find_clips
    from vadlab.datasets.video.video_index import index_video

    folder = find_clips(root, 'test')
    named = protocol.by_video_id({clip.name: clip for clip in folder.clips})
    _check_predicted(predicted, named, subset)
    if subset:
        named = {name: clip for name, clip in named.items() if name in (predicted or ())}
    truth = read_clip_truth(replace(folder, clips=tuple(named.values())))
    if not truth.source:
        raise MissingFileError(f'{root}: there is no truth of the test clips. Give the folder or file with the truth')
    counts = {}
    for name, clip in named.items():
        known = truth.num_frames.get(clip.name) or clip.num_frames or (num_frames or {}).get(name)
        counts[name] = known or index_video(clip.path).total_frames
    annotations = {
        name: TemporalAnnotation.of('', [ClassInterval('', *pair) for pair in truth.intervals[clip.name].tolist()])
        for name, clip in named.items()
    }
    return _match(protocol, annotations, counts, truth.files, classes)


def _read_text(protocol: Protocol, path: str | Path, interval_mode: str) -> dict[str, TemporalAnnotation]:
    annotations = read_temporal_annotations(path, interval_mode)
    if protocol.name == 'xd-violence' and not any('_label_' in name for name in annotations):
        raise DataError(
            f'{path} is not an annotation of XD-Violence: no video is named like NAME_label_B1-0-0 (first: '
            f'{next(iter(annotations), "none at all")}). Choose the protocol of its data set'
        )
    return annotations


def _match(
    protocol: Protocol,
    annotations: Mapping[str, TemporalAnnotation],
    num_frames: Mapping[str, int],
    path: str,
    classes: Sequence[str],
) -> dict[str, VideoTruth]:
    problems = ProblemList(protocol.name)
    labels: dict[str, VideoLabel | None] = dict.fromkeys(num_frames)
    if protocol.annotation == 'masks':  # they have no classes: a video is normal, or has the one anomaly class
        labels |= {name: parse_label(str(len(given.intervals)), classes) for name, given in annotations.items()}
    truth = match_truth(annotations, labels, classes, num_frames, path, problems)
    problems.raise_if_any(path, 'Check the annotation, the frame counts (--frames) and the class names (--classes)')
    return {
        name: VideoTruth(num_frames[name], video.label.label, video.class_intervals) for name, video in truth.items()
    }


def _without_training_videos(
    protocol: Protocol,
    annotated: Collection[str],
    num_frames: Mapping[str, int],
    predicted: Collection[str] | None,
    path: str,
) -> dict[str, int]:
    """Frame counts without those of videos that are neither annotated nor predicted, as in a list of the whole set.

    A name of normal test videos, which need no annotation, is kept: its prediction may be missing.
    """
    if predicted is None:
        return dict(num_frames)
    extra = [
        name
        for name in num_frames
        if name not in annotated
        and name not in predicted
        and not (protocol.normal_name and re.fullmatch(protocol.normal_name, name))
    ]
    left_out = set(extra)
    if extra and len(extra) < len(num_frames):
        log(
            f'{len(extra)} of {len(num_frames)} videos with a frame count have neither predictions nor an annotation '
            f'in {path}; they are not tested (first: {extra[0]})',
            logging.INFO,
        )
        return {name: count for name, count in num_frames.items() if name not in left_out}
    return dict(num_frames)


def _same_names(protocol: Protocol, annotated: Mapping, num_frames: Mapping[str, int], path: str) -> list[str]:
    """Check that annotation and frame counts have the same videos; returns them in the order of the frame counts."""
    without = [name for name in num_frames if name not in annotated]
    if protocol.normal_name:
        without = [name for name in without if not re.fullmatch(protocol.normal_name, name)]
    if without:
        raise DataError(
            f'{len(without)} of {len(num_frames)} videos with a frame count have no annotation in {path} (first: '
            f'{without[0]}). {nearest(without[0], list(annotated), limit=3)}'
        )
    uncounted = [name for name in annotated if name not in num_frames]
    if uncounted:
        raise DataError(
            f'{len(uncounted)} of {len(annotated)} videos of {path} have no frame count (first: {uncounted[0]}). '
            f'{nearest(uncounted[0], list(num_frames), limit=3)}'
        )
    return list(num_frames)


def _check_predicted(predicted: Collection[str] | None, known: Collection[str], subset: bool) -> None:
    if predicted is not None:
        check_known(predicted, known, 'predictions')
        if not subset:
            check_complete(predicted, known, 'predictions')


def check_known(names: Collection[str], known: Collection[str], what: str) -> None:
    """Check that every video is annotated.

    Raises:
        DataError: Some are not.
    """
    extra = [name for name in names if name not in known]
    if extra:
        raise DataError(
            f'{len(extra)} of {len(names)} {what} are of videos that are not in the annotation (first: {extra[0]}). '
            f'{nearest(extra[0], list(known), limit=3)}'
        )


def check_complete(names: Collection[str], known: Collection[str], what: str) -> None:
    """Check that there is no annotated video missing.

    Raises:
        DataError: Some are not.
    """
    missing = [name for name in known if name not in names]
    if missing:
        raise DataError(
            f'{len(missing)} of {len(known)} annotated videos have no {what} (first: {missing[0]}). --subset scores '
            'those that have'
        )


def check_classes(truth: Mapping[str, VideoTruth], classes: Sequence[str]) -> None:
    """Check that every interval has a class, for the comparison with class probabilities.

    Raises:
        DataError: Intervals have no class or another one.
    """
    unknown = without_class(truth)
    if unknown:
        raise DataError(describe_without_class(unknown, len(truth), classes))
