"""Videos and, for tests, their anomalous intervals: for methods that need no annotation beside."""

import os
from collections.abc import Sequence
from typing import Any

import numpy as np
from mmengine.logging import MMLogger

from ..registry import DATASETS
from ..utils.errors import ConfigError, DataError
from .annotated_dataset import AnnotatedDataset
from .formats.class_names import UCF_CRIME_CLASSES, check_class_names
from .formats.feature_labels import LABEL_SOURCES, VideoLabel, find_label
from .formats.feature_lists import ListEntry, read_feature_list, split_feature_name
from .formats.path_index import PathIndex
from .formats.temporal_annotations import TemporalAnnotation, read_temporal_annotations
from .problem_list import ProblemList
from .temporal_truth import match_truth
from .video_names import video_id_of

_PARTS = ('all', 'kept', 'held_out')


@DATASETS.register_module()
class VideoFiles(AnnotatedDataset):
    """Videos of a list or of a folder, with their classes and, in tests, their anomalous frames.

    The lists of UCF-Crime (``Anomaly_Train.txt``), of XD-Violence and those of snippet features are read; of the latter
    each video counts once. Videos are found by file name below ``data_root``.

    A sample before its transforms is a dict with ``video_id``, ``video_path``, ``class_name``, ``label`` (-1: anomalous
    of unknown class), ``class_labels``, ``intervals`` (int64, half-open, shape (K, 2)), ``has_truth``, and empty
    ``regions`` and ``caption``.

    Args:
        ann_file: List of videos, or a folder of videos; empty for the videos of ``temporal_ann_file``.
        data_root: Folder with all videos, possibly in subfolders.
        pipeline: Transforms.
        test_mode: Whether samples are never replaced.
        temporal_ann_file: List of anomalous intervals; None if frames have no truth.
        interval_mode: Meaning of its numbers: ``half_open``, ``inclusive`` or ``matlab``.
        label_from: Source of the classes, see :func:`~vadlab.datasets.formats.feature_labels.find_label`.
        classes: Class names; Normal comes first.
        without: List of anomalous intervals whose videos are left out, for a folder with training and test videos.
        every: Hold out every so many-th video of both kinds, normal and anomalous; None for none.
        part: ``all``; ``kept`` or ``held_out`` with ``every``, for two disjoint parts of one list.
        max_videos: Use at most so many of these, evenly spread over the list; None for all.
        indices: Use only these samples, or, for an integer, the first ones.
        serialize_data: Store annotations as bytes that workers share.
        lazy_init: Read no list until ``full_init``.

    Raises:
        ConfigError: An option has an invalid value.
        MissingFileError: A folder, a list or videos are missing.
        DataError: A list cannot be used.
    """

    METAINFO = dict(classes=UCF_CRIME_CLASSES)
    verification = ('videos',)

    def __init__(
        self,
        ann_file: str = '',
        data_root: str = '',
        pipeline: list[dict | Any] = [],  # noqa: B006 (as in MMEngine; never changed)
        test_mode: bool = False,
        temporal_ann_file: str | None = None,
        interval_mode: str = 'half_open',
        label_from: str = 'auto',
        classes: Sequence[str] = UCF_CRIME_CLASSES,
        without: str | None = None,
        every: int | None = None,
        part: str = 'all',
        max_videos: int | None = None,
        indices: int | list[int] | None = None,
        serialize_data: bool = True,
        lazy_init: bool = False,
    ) -> None:
        if not ann_file and not temporal_ann_file:
            raise ConfigError('VideoFiles: give ann_file (a list or a folder), or temporal_ann_file')
        if label_from not in LABEL_SOURCES:
            raise ConfigError(f'VideoFiles: label_from={label_from!r}; choose one of {", ".join(LABEL_SOURCES)}')
        if part not in _PARTS or (part != 'all') != (every is not None) or (every is not None and every < 2):
            raise ConfigError(
                f'VideoFiles: part={part!r} with every={every}; choose all, or kept or held_out with every >= 2'
            )
        self.temporal_ann_file = temporal_ann_file or ''
        self.interval_mode = interval_mode
        self.label_from = label_from
        if max_videos is not None and max_videos < 1:
            raise ConfigError('VideoFiles: max_videos must be at least 1')
        self.without, self.max_videos = without, max_videos
        self.every, self.part = every, part
        self.notes: list[str] = []
        super().__init__(
            ann_file=ann_file,
            data_root=data_root,
            pipeline=pipeline,
            metainfo={'classes': check_class_names(classes, 'VideoFiles')},
            test_mode=test_mode,
            indices=indices,
            serialize_data=serialize_data,
            lazy_init=lazy_init,
        )
        self._metainfo['interval_mode'] = interval_mode

    @property
    def classes(self) -> tuple[str, ...]:
        return tuple(self.metainfo['classes'])

    def load_data_list(self) -> list[dict]:
        """Read the lists, and find the videos."""
        problems = ProblemList('VideoFiles')
        temporal: dict[str, TemporalAnnotation] = {}
        source = ''
        if self.temporal_ann_file:
            source = self._locate(self.temporal_ann_file, 'temporal_ann_file', os.path.isfile)
            temporal = read_temporal_annotations(source, self.interval_mode)
        if self.ann_file:
            source = self._locate(self.ann_file, 'ann_file')
            entries = self._entries(source)
        else:
            entries = {name: ListEntry(name, None) for name in temporal}
        if self.without:
            left_out = read_temporal_annotations(self._locate(self.without, 'without', os.path.isfile))
            entries = {name: entry for name, entry in entries.items() if name not in left_out}
        paths = dict(zip(entries, self._paths(source, entries), strict=True))
        labels: dict[str, VideoLabel | None] = {}
        for name, entry in entries.items():
            try:
                labels[name] = find_label(name, entry.name, entry.label, self.classes, self.label_from)
                if labels[name] is None:
                    inside = os.path.relpath(paths[name], self.data_root or '.')
                    labels[name] = find_label(name, inside, None, self.classes, self.label_from)
            except ValueError as error:
                problems.note(f'videos have an unknown class (known: {", ".join(self.classes)})', f'{name}: {error}')
                labels[name] = None
        truth = match_truth(temporal, labels, self.classes, {}, self.temporal_ann_file, problems) if temporal else {}
        unlabelled = [name for name in entries if labels[name] is None and name not in temporal]
        for name in unlabelled:
            problems.note('videos have no class, neither in the list nor in their path', name)
        problems.raise_if_any(source, 'Correct the list, or set label_from and classes')
        absent = [name for name in temporal if name not in entries]
        if absent and self.test_mode:
            self.notes.append(
                f'{len(absent)} of {len(temporal)} videos of {self.temporal_ann_file} are not in the list (first: '
                f'{absent[0]}): numbers are not those of the whole test set'
            )
        data_list = []
        for name in entries:
            intervals = [one[1:] for one in truth[name].class_intervals] if name in truth else []
            label = truth[name].label if name in truth else labels[name]
            assert label is not None
            data_list.append(
                dict(
                    video_id=name,
                    video_path=paths[name],
                    class_name=label.class_name,
                    label=label.label,
                    class_labels=list(label.class_labels),
                    intervals=np.array(intervals, np.int64).reshape(-1, 2),
                    has_truth=True,
                    truth_frames=None,
                    pixel_truth=None,
                    regions=[],
                    caption='',
                )
            )
        if self.every is not None:
            # Of each kind, so that both parts have normal and anomalous videos.
            kept = []
            for is_normal in (True, False):
                kind = [sample for sample in data_list if (sample['label'] == 0) == is_normal]
                kept += [
                    s for i, s in enumerate(kind) if (i % self.every == self.every - 1) == (self.part == 'held_out')
                ]
            data_list = kept
        if self.max_videos is not None and self.max_videos < len(data_list):
            places = np.linspace(0, len(data_list) - 1, self.max_videos).round().astype(int)
            data_list = [data_list[i] for i in places]
        if not data_list:
            raise DataError(f'VideoFiles: {source}: {self._why_empty(len(entries))}')
        logger = MMLogger.get_current_instance()
        n_normal = sum(sample['label'] == 0 for sample in data_list)
        logger.info(f'VideoFiles: {source}: {len(data_list)} videos, {n_normal} of them normal')
        for note in self.notes:
            logger.warning(f'VideoFiles: {source}: {note}')
        return data_list

    def _why_empty(self, num_entries: int) -> str:
        """The message for a data set without videos."""
        if num_entries and self.part == 'held_out':
            return (
                f'no video is held out: of {num_entries} videos there are not {self.every} of one kind, normal or '
                'anomalous. Give more videos, or a smaller held_out'
            )
        if num_entries:
            return f'all of its {num_entries} videos are held out. Give more videos'
        if self.without:
            return f'no video is left without those of {self.without}'
        return 'there is no video'

    def _entries(self, source: str) -> dict[str, ListEntry]:
        """Entries by video id; those of several crops become one."""
        if os.path.isdir(source):
            index = PathIndex.of(source)
            return {video_id_of(path): ListEntry(path.replace(os.sep, '/'), None) for path in index.paths}
        entries: dict[str, ListEntry] = {}
        for entry in read_feature_list(source)[0]:
            name = entry.name
            if entry.is_file:
                name = split_feature_name(name)[0]
            entries.setdefault(video_id_of(name), ListEntry(name if entry.is_file else entry.name, entry.label))
        return entries

    def _paths(self, source: str, entries: dict[str, ListEntry]) -> list[str]:
        if self.ann_file and os.path.isdir(source):
            return [entry.name.replace('/', os.sep) for entry in entries.values()]
        return PathIndex.of(self.data_root or '.').resolve([entry.name for entry in entries.values()], 'VideoFiles')
