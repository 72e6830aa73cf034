"""UCF-Crime with captions and box tracks, as used to train FG-CLIP."""

import copy
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
from mmengine.logging import MMLogger

from ..registry import DATASETS
from ..utils.errors import ConfigError, DataError, MissingFileError, VADLabError
from .annotated_dataset import AnnotatedDataset
from .damaged_video_counter import DamagedVideoCounter
from .formats.class_names import UCF_CRIME_CLASSES, check_class_names, class_from_path
from .formats.feature_labels import VideoLabel, parse_label
from .formats.keyframes import merge_intervals, shown_spans
from .formats.path_index import PathIndex
from .formats.region_annotations import RecordParser, load_records
from .formats.temporal_annotations import TemporalAnnotation, read_temporal_annotations
from .problem_list import ProblemList
from .temporal_truth import match_truth, outside
from .video import DamagedVideoError, index_video
from .video.video_index import open_video
from .video_names import video_id_of

_THREADS = 8  # threads that open videos; on a network file system each open waits

#: A video that was there at start may vanish during the run.
_UNUSABLE = (DamagedVideoError, MissingFileError)


@DATASETS.register_module()
class UCFCrimeRegions(AnnotatedDataset):
    """Videos with one caption each and, for some, regions: a caption and a keyframed box track.

    An annotation file is a JSON list of records ``{f_path, global_caption, bbox_info}``, or a dict of such records by
    video name. ``f_path`` need not match the disk: videos are found by file name below ``data_root``. Problems that can
    be fixed in an annotation are counted in one log line; all others are listed in one error.

    A video's class comes from its path, or else from ``temporal_ann_file``. Without both, the video is Normal if the
    record has no regions, and anomalous of unknown class (label -1) otherwise. Anomalous frames come from
    ``temporal_ann_file``; without it, for anomalous videos, they are the frames in which a region is shown.

    A sample before its transforms is a dict with ``video_id``, ``video_path``, ``class_name``, ``label``, ``caption``,
    ``regions``, ``intervals`` (int64, half-open, shape (K, 2)), ``sample_idx`` and, if the intervals come from
    ``temporal_ann_file``, its name as ``intervals_from``.

    Args:
        ann_file: Annotations, absolute, or below ``data_root``, or below the working directory. Empty: the videos of
            ``temporal_ann_file``, without captions, only for scoring frames.
        data_root: Folder with all videos, possibly in subfolders.
        pipeline: Transforms.
        test_mode: Whether samples are never replaced.
        temporal_ann_file: UCF-Crime's list of anomalous intervals, found as ``ann_file`` is. It must name every
            anomalous video, see :func:`~vadlab.datasets.temporal_truth.match_truth`.
        interval_mode: Meaning of its numbers: ``half_open``, ``inclusive`` or ``matlab``.
        caption_type: Text that describes a region: ``caption``, ``short`` or ``long``.
        max_bad_videos: Number of videos that may be missing or damaged before the run stops. Missing videos are listed
            and skipped at start. In training, the next good video replaces a damaged one; in test mode all videos are
            tried at start, and damaged ones are listed and skipped.
        classes: Class names; Normal comes first.
        metainfo: Additional entries that metrics and pictures may read.
        indices: Use only these samples, or, for an integer, the first ones.
        serialize_data: Store annotations as bytes that workers share.
        lazy_init: Read no annotations until ``full_init``.

    Raises:
        ConfigError: An option has an invalid value.
        MissingFileError: A folder, an annotation file or videos are missing.
        DataError: Annotations cannot be used, or more than ``max_bad_videos`` videos are missing or damaged.
    """

    METAINFO = dict(classes=UCF_CRIME_CLASSES)

    #: Checks of ``tools/verify.py`` in addition to those of every data set.
    verification = ('boxes', 'captions', 'videos')

    def __init__(
        self,
        ann_file: str = '',
        data_root: str = '',
        pipeline: list[dict | Any] = [],  # noqa: B006 (as in MMEngine; never changed)
        test_mode: bool = False,
        temporal_ann_file: str | None = None,
        interval_mode: str = 'half_open',
        caption_type: str = 'caption',
        max_bad_videos: int = 0,
        classes: Sequence[str] = UCF_CRIME_CLASSES,
        metainfo: dict | None = None,
        indices: int | list[int] | None = None,
        serialize_data: bool = True,
        lazy_init: bool = False,
    ) -> None:
        if not ann_file and not temporal_ann_file:
            raise ConfigError('UCFCrimeRegions: give ann_file, or temporal_ann_file for videos without captions')
        if not isinstance(max_bad_videos, int) or max_bad_videos < 0:
            raise ConfigError(f'UCFCrimeRegions: max_bad_videos must be a whole number >= 0, not {max_bad_videos!r}')
        self._parser = RecordParser(caption_type)
        self.temporal_ann_file = temporal_ann_file or ''
        self.interval_mode = interval_mode
        self.max_bad_videos = max_bad_videos
        self._budget = DamagedVideoCounter()
        self._notes_of_truth: list[str] = []
        #: Annotated videos that are not on disk; they are skipped.
        self.missing_videos: list[str] = []
        super().__init__(
            ann_file=ann_file or '',
            data_root=data_root,
            pipeline=pipeline,
            metainfo={'classes': check_class_names(classes, 'UCFCrimeRegions'), **(metainfo or {})},
            test_mode=test_mode,
            indices=indices,
            serialize_data=serialize_data,
            lazy_init=lazy_init,
        )

    @property
    def classes(self) -> tuple[str, ...]:
        return tuple(self.metainfo['classes'])

    @property
    def notes(self) -> list[str]:
        """Warnings for ``tools/verify.py``."""
        fixed = self._parser.summary()
        notes = [f'fixed: {fixed}'] if fixed else []
        if self.missing_videos:
            notes.append(self._missing_text())
        return notes + self._notes_of_truth

    def _missing_text(self) -> str:
        return (
            f'{len(self.missing_videos)} videos are missing and left out, of at most {self.max_bad_videos} bad ones: '
            f'{", ".join(self.missing_videos)}'
        )

    def load_data_list(self) -> list[dict]:
        """Read and check all annotations, and add labels and intervals."""
        self._notes_of_truth = []
        logger = MMLogger.get_current_instance()
        index = PathIndex.of(self.data_root or '.')
        temporal: dict[str, TemporalAnnotation] = {}
        if self.temporal_ann_file:
            temporal_path = self._locate(self.temporal_ann_file, 'temporal_ann_file', os.path.isfile)
            temporal = read_temporal_annotations(temporal_path, self.interval_mode)
        if self.ann_file:
            source = self._locate(self.ann_file, 'ann_file', os.path.isfile)
            raw, layout = load_records(source)
            self._parser = copy.deepcopy(self._parser)
            records = self._parser.parse(raw, source)
        else:
            source, layout = temporal_path, 'temporal list'
            records = [dict(f_path=name, caption='', regions=[], n_annotated_regions=0) for name in temporal]

        missing = [record['f_path'] for record in records if not index.find(record['f_path'])]
        if 0 < len(missing) <= min(self.max_bad_videos, len(records) - 1):
            self.missing_videos = [video_id_of(name) for name in missing]
            logger.warning(f'UCFCrimeRegions: {self._missing_text()}')
            records = [record for record in records if record['f_path'] not in missing]
        asker = 'UCFCrimeRegions' + (f' (max_bad_videos={self.max_bad_videos})' if self.max_bad_videos else '')
        paths = index.resolve([record['f_path'] for record in records], asker)
        data_list = [self._sample(record, path, index.root) for record, path in zip(records, paths, strict=True)]
        self._check_unique(data_list, source)
        if self.temporal_ann_file:
            self._take_intervals(data_list, temporal, temporal_path)

        n_regions = sum(len(sample['regions']) for sample in data_list)
        n_normal = sum(sample['label'] == 0 for sample in data_list)
        logger.info(
            f'UCFCrimeRegions: {source} ({layout} layout): {len(data_list)} videos, {n_normal} of them normal, '
            f'{n_regions} regions, {sum(len(r["keyframes"]) for s in data_list for r in s["regions"])} keyframes'
        )
        if fixed := self._parser.summary():
            logger.warning(f'UCFCrimeRegions: {source}: {fixed}')
        self._notes_of_truth += _look_at_truth(data_list)
        for note in self._notes_of_truth:
            logger.warning(f'UCFCrimeRegions: {source}: {note}')
        self._report_unknown_classes(data_list)
        self._report_captions(data_list)
        for transform in self.pipeline.transforms:
            if hasattr(transform, 'report'):
                for line in transform.report(data_list):
                    logger.info(f'UCFCrimeRegions: {line}')
        return data_list

    def _sample(self, record: dict, path: str, root: str) -> dict:
        video_id = os.path.splitext(os.path.basename(path))[0]
        inside = os.path.relpath(path, root)
        class_name = class_from_path(inside, self.classes) or class_from_path(record['f_path'], self.classes)
        if class_name is not None:
            label = self.classes.index(class_name)
        else:
            label = -1 if record['n_annotated_regions'] else 0
        intervals = np.zeros((0, 2), np.int64)
        if label != 0:
            spans = [shown_spans(region) for region in record['regions']]
            intervals = merge_intervals(np.concatenate(spans)) if spans else intervals
        return dict(
            video_id=video_id,
            video_path=path,
            class_name=class_name,
            label=label,
            caption=record['caption'],
            regions=record['regions'],
            intervals=intervals,
        )

    @staticmethod
    def _check_unique(data_list: list[dict], source: str) -> None:
        seen: dict[str, int] = {}
        for sample in data_list:
            seen[sample['video_id']] = seen.get(sample['video_id'], 0) + 1
        double = [name for name, count in seen.items() if count > 1]
        if double:
            raise DataError(
                f'{source}: {len(double)} videos have more than one record ({", ".join(double[:5])}'
                f'{", ..." if len(double) > 5 else ""}). Put all regions of a video into one record'
            )

    def _take_intervals(self, data_list: list[dict], temporal: dict[str, TemporalAnnotation], path: str) -> None:
        """Take intervals, and classes that are not in paths, from the temporal annotation."""
        problems = ProblemList('UCFCrimeRegions')
        labels = {
            s['video_id']: VideoLabel(s['class_name'], s['label'], (s['label'],) if s['label'] >= 0 else ())
            if s['class_name'] or s['label']
            else None
            for s in data_list
        }
        absent = [name for name in temporal if name not in labels]
        if absent and self.test_mode:
            self._notes_of_truth.append(
                f'{len(absent)} of {len(temporal)} videos of {self.temporal_ann_file} have no record '
                f'(first: {absent[0]}): numbers are not those of the whole test set'
            )
        paths = {sample['video_id']: sample['video_path'] for sample in data_list}
        num_frames = _lengths_of_suspects(paths, temporal)
        truth = match_truth(temporal, labels, self.classes, num_frames, self.temporal_ann_file, problems)
        problems.raise_if_any(
            path, "Correct it, or leave temporal_ann_file out to take the regions' frames and the paths' classes"
        )
        for sample in data_list:
            found = truth[sample['video_id']]
            if sample['class_name'] is None and sample['video_id'] in temporal:
                listed = parse_label(temporal[sample['video_id']].class_name, self.classes)
                sample['class_name'], sample['label'] = self.classes[listed.label], listed.label
            intervals = np.array([interval[1:] for interval in found.class_intervals], np.int64).reshape(-1, 2)
            sample.update(intervals=intervals, intervals_from=self.temporal_ann_file)

    @staticmethod
    def _report_unknown_classes(data_list: list[dict]) -> None:
        unknown = [sample for sample in data_list if sample['class_name'] is None]
        if unknown:
            n_normal = sum(sample['label'] == 0 for sample in unknown)
            MMLogger.get_current_instance().warning(
                f'UCFCrimeRegions: the paths of {len(unknown)} videos do not name a class (first: '
                f'{unknown[0]["video_id"]}): {len(unknown) - n_normal} with regions count as anomalous of unknown '
                f'class, {n_normal} without as Normal'
            )

    def _report_captions(self, data_list: list[dict]) -> None:
        captions = [s['caption'] for s in data_list if s['caption']]
        captions += [region['caption'] for s in data_list for region in s['regions']]
        if not captions:
            return
        n_other = sum(not caption.isascii() for caption in captions)
        line = f'{n_other} of {len(captions)} captions ({n_other / len(captions):.1%}) have non-ASCII text'
        field = self._parser.caption_field
        if fallbacks := self._parser.counts[f'regions without {field}']:
            line += f'; {fallbacks} regions have no {field}, their caption is used'
        MMLogger.get_current_instance().info(f'UCFCrimeRegions: {line}')

    def filter_data(self) -> list[dict]:
        """In test mode, run each sample once, and skip damaged videos up to the limit."""
        if not self.test_mode or not self.max_bad_videos:
            return self.data_list
        kept = []
        for sample in self.data_list:
            try:
                self.pipeline(copy.deepcopy(sample))
                kept.append(sample)
            except _UNUSABLE as error:
                self._count_damaged(sample['video_id'], error)
        left_out = self._budget.names()
        if left_out:
            MMLogger.get_current_instance().warning(
                f'UCFCrimeRegions: {len(left_out)} damaged videos are left out of the test: {", ".join(left_out)}'
            )
        return kept

    def _count_damaged(self, video_id: str, error: VADLabError) -> None:
        is_new = self._budget.add(video_id)
        names, n_missing = self._budget.names(), len(self.missing_videos)
        if len(names) + n_missing > self.max_bad_videos:
            beside = f' and {n_missing} missing' if n_missing else ''
            raise DataError(
                f'UCFCrimeRegions: {len(names)} damaged{beside} videos, max_bad_videos is {self.max_bad_videos} '
                f'({", ".join(names + self.missing_videos)}; last: {error}). Fix them, remove them from '
                'the annotations, or raise max_bad_videos'
            ) from error
        if is_new:
            MMLogger.get_current_instance().warning(
                f'UCFCrimeRegions: {video_id} is damaged and is skipped, {len(names) + n_missing} of at most '
                f'{self.max_bad_videos} ({error})'
            )

    def __getitem__(self, idx: int) -> dict:
        """One sample through the pipeline.

        Raises:
            DataError: The video is damaged, and either the limit is reached or this is test mode.
        """
        if not self._fully_initialized:
            self.full_init()
        n_samples = len(self)
        for step in range(n_samples):
            sample = self.get_data_info((idx + step) % n_samples)
            try:
                return self.pipeline(sample)
            except _UNUSABLE as error:
                self._count_damaged(sample['video_id'], error)
                if self.test_mode:
                    raise
        raise DataError(f'UCFCrimeRegions: not one of {n_samples} videos can be decoded')


def _lengths_of_suspects(paths: dict[str, str], temporal: dict[str, TemporalAnnotation]) -> dict[str, int]:
    """Frame counts of those videos whose intervals are outside the video by the count in the file's header.

    Reading a header takes milliseconds, so such mistakes are found before training; only these videos are then counted
    exactly. Videos without a count in the header are checked when they are read.
    """

    def look(name: str) -> int | None:
        try:
            with open_video(paths[name]) as (_, stream):
                frames = stream.frames
            if not frames or not outside(temporal[name].intervals.tolist(), frames):
                return None
            index = index_video(paths[name], remember=False, count=False)
            return index.total_frames if index.is_counted else None
        except (DamagedVideoError, MissingFileError):
            return None  # it counts as damaged when it is read

    names = [name for name in paths if name in temporal and len(temporal[name].intervals)]
    with ThreadPoolExecutor(_THREADS) as pool:
        return {name: count for name, count in zip(names, pool.map(look, names), strict=True) if count is not None}


def _look_at_truth(data_list: list[dict]) -> list[str]:
    """Warnings about videos whose classes and anomalous frames contradict each other."""
    notes = []
    anomalous = [sample for sample in data_list if sample['label'] != 0]
    silent = [sample['video_id'] for sample in anomalous if not len(sample['intervals'])]
    if silent:
        notes.append(
            f'{len(silent)} of {len(anomalous)} anomalous videos have no anomalous frame (first: {silent[0]}): they '
            'have neither a region that is shown nor a temporal annotation, so all of their frames count as normal. '
            'Annotate regions, or give temporal_ann_file'
        )
    normal = [sample for sample in data_list if sample['label'] == 0]
    boxed = [sample['video_id'] for sample in normal if sample['regions']]
    if boxed:
        notes.append(
            f'{len(boxed)} of {len(normal)} normal videos have regions (first: {boxed[0]}): regions are learnt, but no '
            'frame counts as anomalous'
        )
    return notes
