"""Weakly supervised data set: frozen snippet features of videos, with video-level labels."""

import functools
import os
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from mmengine.dist import is_main_process
from mmengine.logging import MMLogger

from ..registry import DATASETS
from ..utils.errors import ConfigError, DataError
from ..utils.gc_pause import garbage_collection_paused
from .annotated_dataset import AnnotatedDataset
from .formats.audio_features import find_audio
from .formats.class_names import UCF_CRIME_CLASSES, check_class_names
from .formats.feature_files import FeatureShape
from .formats.feature_index import FeatureVideo, gather_videos, index_features
from .formats.feature_labels import LABEL_SOURCES, VideoLabel, find_label
from .formats.feature_lists import CROP_SEPARATORS, ListEntry, read_feature_list
from .formats.feature_recipe import RECIPE_FILE, read_recipe
from .formats.frame_counts import possible_snippets, read_frame_counts
from .formats.frame_masks import annotate_masks, read_frame_masks
from .formats.path_index import PathIndex
from .formats.shape_index import look_at_files
from .formats.temporal_annotations import INTERVAL_MODES, TemporalAnnotation, read_temporal_annotations
from .problem_list import ProblemList
from .temporal_truth import TemporalTruth, describe_without_class, match_truth, without_class
from .video import index_video

_THREADS = 8  # threads that read headers; on a network file system each read waits
_ADVICE = 'Check data_root, feature_dir and the lists, or run: python tools/verify.py CONFIG'


@DATASETS.register_module()
class SnippetFeatures(AnnotatedDataset):
    """Videos as ``.npy`` features of 16-frame snippets, with one label per video.

    Reads the public feature sets without conversion: VadCLIP's csv, the lists of RTFM, UR-DMU and PEL4VAD (see
    :mod:`~vadlab.datasets.formats.feature_lists`), any list of files or of videos, or all files of a folder. Files are
    found by name below ``feature_dir``; a file holds one crop of a video, shape (T, D), or all crops, shape (T, C, D).
    Only the headers of files are read here, and of many files only those that are new or changed, see
    :mod:`~vadlab.datasets.formats.shape_index`; ``LoadFeatures`` memory-maps the features. All problems are counted by
    kind in one error.

    N, the number of frames of a video, comes from the video itself (below ``video_dir``), ``frames_file`` or its frame
    mask; else N = T x ``snippet_len`` is assumed. Feature sets count snippets as floor(N/16), ceil(N/16) or
    floor((N-1)/16); any other T is an error. A ``frames_file`` in which every count is a multiple of ``snippet_len``
    was rounded down, so T may be one more.

    With ``audio_dir``, the features of each video's sound are joined to those of its pictures (``LoadFeatures``): one
    file per video, ``NAME__vggish.npy`` of shape (T, A) as for XD-Violence, is used for all crops. If picture and sound
    have different numbers of snippets, at most one apart, the longer of them loses its last one.

    A sample before its transforms is a dict with ``video_id``, ``feature_paths`` (one path per crop), ``crop_columns``
    (per crop the column in a file of all crops, or None), ``crop_inds`` (their numbers), ``num_snippets`` (T),
    ``snippet_len``, ``total_frames`` (N), ``length_known`` (whether N is the video's own), ``class_name``, ``label``,
    ``class_labels`` (indices of all classes), ``num_classes``, ``intervals`` (int64, half-open, shape (K, 2)),
    ``class_intervals`` (class index, or -1 if unknown; start, end) and ``sample_idx``; with ``audio_dir`` also
    ``audio_path`` (None if the video has no sound) and ``audio_dim``. Annotations are checked by
    :func:`~vadlab.datasets.temporal_truth.match_truth`.

    Args:
        ann_file: A list (csv or text), or a folder: absolute, or below ``data_root``, or below the working directory.
        data_root: Folder with the lists.
        feature_dir: Folder with the features, below ``data_root`` or absolute.
        pipeline: Transforms.
        test_mode: Whether frame-level ground truth is needed: anomalous videos must then have intervals.
        temporal_ann_file: List of anomalous intervals in UCF-Crime's or XD-Violence's format, or ShanghaiTech's folder
            of frame masks.
        interval_mode: Meaning of its numbers: ``half_open``, ``inclusive`` or ``matlab``.
        frames_file: JSON of frame counts by video name.
        video_dir: Folder with the videos: their frames are counted, and ``frames_file`` is not read. Pictures of
            tested videos then show frames.
        classes: Class names; Normal comes first.
        crops: ``all``: all crops of a video are one sample; ``separate``: one sample per crop; a number: only that
            crop.
        snippet_len: Frames per snippet.
        feature_dim: D that the model expects of the pictures; None accepts any D that is the same in all files.
        audio_dir: Folder with the features of sound, below ``data_root`` or absolute; None for pictures alone.
        audio_dim: Channels A of these features, 128 for VGGish; needed with ``audio_dir``.
        audio_missing: Videos without a file of sound: ``error``, or ``mask``: their features of sound are zeros, and a
            warning counts them.
        label_from: Source of labels, see :func:`~vadlab.datasets.formats.feature_labels.find_label`.
        crop_separator: Between name and crop: ``auto``, ``__``, ``_`` or None, see
            :func:`~vadlab.datasets.formats.feature_lists.crop_separator_of`.
        length_tolerance: Number of snippets by which T may differ from the known counts.
        indices: Use only these samples, or, for an integer, the first ones.
        serialize_data: Store the list as bytes that workers share.
        lazy_init: Read nothing until ``full_init``.

    Raises:
        ConfigError: An option has an invalid value.
        MissingFileError: A folder, a list or features are missing.
        DataError: Lists, labels or features cannot be used.
    """

    METAINFO = dict(classes=UCF_CRIME_CLASSES)

    #: Checks of ``tools/verify.py`` in addition to those of every data set.
    verification = ('features',)

    def __init__(
        self,
        ann_file: str,
        data_root: str = '',
        feature_dir: str = '',
        pipeline: list[dict | Any] = [],  # noqa: B006 (as in MMEngine; never changed)
        test_mode: bool = False,
        temporal_ann_file: str | None = None,
        interval_mode: str = 'half_open',
        frames_file: str | None = None,
        video_dir: str | None = None,
        classes: Sequence[str] = UCF_CRIME_CLASSES,
        crops: str | int = 'all',
        snippet_len: int = 16,
        feature_dim: int | None = None,
        audio_dir: str | None = None,
        audio_dim: int = 0,
        audio_missing: str = 'error',
        label_from: str = 'auto',
        crop_separator: str | None = 'auto',
        length_tolerance: int = 0,
        indices: int | list[int] | None = None,
        serialize_data: bool = True,
        lazy_init: bool = False,
    ) -> None:
        for option, value, known in (
            ('interval_mode', interval_mode, INTERVAL_MODES),
            ('label_from', label_from, LABEL_SOURCES),
            ('crop_separator', crop_separator, CROP_SEPARATORS),
            ('audio_missing', audio_missing, ('error', 'mask')),
        ):
            if value not in known:
                raise ConfigError(f'SnippetFeatures: {option} is {value!r}; choose one of {", ".join(map(str, known))}')
        if crops not in ('all', 'separate') and (not isinstance(crops, int) or isinstance(crops, bool) or crops < 0):
            raise ConfigError(f"SnippetFeatures: crops is {crops!r}; choose 'all', 'separate' or a crop's number")
        if not isinstance(snippet_len, int) or snippet_len < 1:
            raise ConfigError(f'SnippetFeatures: snippet_len must be a whole number >= 1, not {snippet_len!r}')
        if bool(audio_dir) != (isinstance(audio_dim, int) and audio_dim > 0):
            raise ConfigError(
                f'SnippetFeatures: audio_dir is {audio_dir!r} and audio_dim {audio_dim!r}; features of sound need '
                'both, the folder and their channels (128 for VGGish), and without sound they are None and 0'
            )
        #: Warnings for the log and ``tools/verify.py``; filled when the list is read.
        self.notes: list[str] = []
        self._truth_is_folder = False
        self.feature_dir = feature_dir
        self.temporal_ann_file = temporal_ann_file
        self.interval_mode = interval_mode
        self.frames_file = frames_file
        self.video_dir = video_dir
        self.crops = crops
        self.snippet_len = snippet_len
        self.feature_dim = feature_dim
        self.audio_dir = audio_dir
        self.audio_dim = audio_dim
        self.audio_missing = audio_missing
        self._silent: list[str] = []
        self.label_from = label_from
        self.crop_separator = crop_separator
        self.length_tolerance = length_tolerance
        super().__init__(
            ann_file=ann_file,
            data_root=data_root,
            pipeline=pipeline,
            metainfo=dict(classes=check_class_names(classes, 'SnippetFeatures')),
            test_mode=test_mode,
            indices=indices,
            serialize_data=serialize_data,
            lazy_init=lazy_init,
        )
        self._metainfo['interval_mode'] = interval_mode

    @functools.cached_property
    def feature_recipe(self) -> dict[str, Any] | None:
        """Recipe of the features; None if there is no readable ``recipe.json`` in ``feature_dir``."""
        folder = Path(self._feature_folder())
        if not (folder / RECIPE_FILE).is_file():
            return None
        try:
            return read_recipe(folder)['recipe']
        except DataError as error:
            MMLogger.get_current_instance().warning(f'The recipe of the features is not known: {error}')
            return None

    @property
    def classes(self) -> tuple[str, ...]:
        return tuple(self._metainfo['classes'])  # `metainfo` is a deep copy at each use

    def _feature_folder(self) -> str:
        return self._locate(self.feature_dir, 'feature_dir') if self.feature_dir else self.data_root or '.'

    # ---- reading ----------------------------------------------------------------------------------------------------

    def load_data_list(self) -> list[dict]:
        """Read the list, find and check the files, and add label, length and ground truth to each video."""
        with garbage_collection_paused():
            return self._load_data_list()

    def _load_data_list(self) -> list[dict]:
        problems = ProblemList('SnippetFeatures')
        source = self._locate(self.ann_file, 'ann_file')
        entries, layout, index = self._entries(source)
        videos = gather_videos(entries, index, self.crop_separator, problems)
        labels = self._labels(videos, problems)
        of_pictures = self._shapes(videos, index, problems)
        shapes, audio = self._join_audio(videos, of_pictures, problems)
        annotations, counts = self._annotations()
        paths = self._video_paths(videos)
        counts |= self._frame_counts(videos, paths, problems)
        num_frames = {name: shape.num_snippets * self.snippet_len for name, shape in shapes.items()} | counts
        truth: dict[str, TemporalTruth] = {}
        if self.temporal_ann_file:
            listed = {video.video_id: labels[video.video_id] for video in videos if video.video_id in labels}
            truth = match_truth(annotations, listed, self.classes, num_frames, self.temporal_ann_file, problems)
        if unknown := without_class(truth):  # metrics that count classes raise it as an error
            self._metainfo['without_class'] = describe_without_class(unknown, len(truth), self.classes)

        data_list = []
        for video in videos:
            if video.video_id not in labels or video.video_id not in shapes:
                continue  # its problem is already in the list
            sample = self._sample(video, labels[video.video_id], shapes[video.video_id], truth, counts)
            if video.video_id in paths:
                sample['video_path'] = paths[video.video_id]
            if self.audio_dir:
                sample |= dict(audio_path=audio.get(video.video_id), audio_dim=self.audio_dim)
            data_list += self._choose_crops(sample, problems)
        self._check_alike(data_list, shapes, problems)
        self._check_lengths(of_pictures, counts, problems)
        problems.raise_if_any(source, _ADVICE)
        self._report(data_list, f'{source} ({layout})', annotations)
        return data_list

    def _entries(self, source: str) -> tuple[list[ListEntry], str, PathIndex]:
        if os.path.isdir(source):
            index = index_features(source, 'ann_file')
            return [ListEntry(path.replace(os.sep, '/'), None) for path in index.paths], 'folder', index
        entries, layout = read_feature_list(source)
        return (
            entries,
            layout,
            index_features(self._feature_folder(), 'feature_dir' if self.feature_dir else 'data_root'),
        )

    def _labels(self, videos: list[FeatureVideo], problems: ProblemList) -> dict[str, VideoLabel]:
        labels = {}
        known = ', '.join(self.classes)
        for video in videos:
            try:
                label = find_label(video.video_id, video.name, video.label, self.classes, self.label_from)
            except ValueError as error:
                problems.note(f'videos have an unknown class (known: {known})', f'{video.name}: {error}')
                continue
            if label is None:
                problems.note(f'videos have no label (label_from={self.label_from})', video.name)
            else:
                labels[video.video_id] = label
        return labels

    def _shapes(self, videos: list[FeatureVideo], index: PathIndex, problems: ProblemList) -> dict[str, FeatureShape]:
        """Shape of each video's features, if its crops agree."""
        paths = [path for video in videos for path in video.files.values()]
        looks = look_at_files(index.root, paths, index.paths, is_main_process())
        found = dict(zip(paths, looks, strict=True))
        shapes = {}
        for video in videos:
            of_crops = {crop: found[path][0] for crop, path in video.files.items()}
            good = {crop: shape for crop, shape in of_crops.items() if shape is not None}
            for crop in of_crops.keys() - good.keys():
                path = video.files[crop]
                problems.note('feature files cannot be used', f'{path} {found[path][1]}')
            if len(set(good.values())) > 1:
                text = ', '.join(f'crop {crop} {shape.num_snippets}' for crop, shape in good.items())
                problems.note('videos have crops of different lengths or sizes', f'{video.video_id}, snippets: {text}')
            elif len(good) == len(of_crops):
                shapes[video.video_id] = next(iter(good.values()))
        return shapes

    def _join_audio(
        self, videos: list[FeatureVideo], shapes: dict[str, FeatureShape], problems: ProblemList
    ) -> tuple[dict[str, FeatureShape], dict[str, str]]:
        """Shapes with the snippets that pictures and sound have in common, and the file of each video's sound."""
        if not self.audio_dir:
            return shapes, {}
        self._silent = []
        index = index_features(self._locate(self.audio_dir, 'audio_dir'), 'audio_dir')
        files = {}
        for video_id, found in find_audio([video.video_id for video in videos], index).items():
            if len(found) > 1:
                problems.note(
                    'videos have several files of sound; name their folder by audio_dir',
                    f'{video_id}: {", ".join(os.path.relpath(path, index.root) for path in found)}',
                )
            elif found:
                files[video_id] = found[0]
            elif self.audio_missing == 'mask':
                self._silent.append(video_id)
            else:
                problems.note(
                    f"of {len(videos)} videos have no features of sound below {index.root} (audio_missing='mask' sets "
                    'them to zero)',
                    f'{video_id}__vggish.npy',
                    missing=True,
                )
        found_shapes = look_at_files(index.root, list(files.values()), index.paths, is_main_process())
        looks = dict(zip(files, found_shapes, strict=True))
        joined = dict(shapes)
        for video_id, (audio, problem) in looks.items():
            if audio is None:
                problems.note('files of sound cannot be used', f'{files[video_id]} {problem}')
                continue
            if audio.num_crops is not None or audio.feature_dim != self.audio_dim:
                shape = tuple(n for n in audio if n is not None)
                problems.note(
                    f'files of sound are not of shape (snippets, audio_dim={self.audio_dim})',
                    f'{files[video_id]} {shape}',
                )
            if video_id not in shapes:
                continue
            pictures = shapes[video_id]
            if abs(audio.num_snippets - pictures.num_snippets) > 1:
                problems.note(
                    'videos have sound of another length than their pictures',
                    f'{video_id}: {audio.num_snippets} and {pictures.num_snippets} snippets',
                )
            joined[video_id] = pictures._replace(num_snippets=min(audio.num_snippets, pictures.num_snippets))
        return joined, files

    def _annotations(self) -> tuple[dict[str, TemporalAnnotation], dict[str, int]]:
        """Anomalous intervals by video, and frame counts if the annotation has them."""
        if not self.temporal_ann_file:
            return {}, {}
        path = self._locate(self.temporal_ann_file, 'temporal_ann_file')
        self._truth_is_folder = os.path.isdir(path)
        if not self._truth_is_folder:
            return read_temporal_annotations(path, self.interval_mode), {}
        masks = read_frame_masks(path)
        return annotate_masks(masks), {name: len(mask) for name, mask in masks.items()}

    def _video_paths(self, videos: list[FeatureVideo]) -> dict[str, str]:
        """The file of each video, if ``video_dir`` is set."""
        if not self.video_dir:
            return {}
        ids = [video.video_id for video in videos]
        paths = PathIndex.of(self._locate(self.video_dir, 'video_dir')).resolve(ids, 'SnippetFeatures')
        return dict(zip(ids, paths, strict=True))

    def _frame_counts(self, videos: list[FeatureVideo], paths: dict[str, str], problems: ProblemList) -> dict[str, int]:
        if paths:
            with ThreadPoolExecutor(_THREADS) as pool:
                lengths = pool.map(lambda path: index_video(path).total_frames, paths.values())
                return dict(zip(paths, lengths, strict=True))
        if not self.frames_file:
            return {}
        counts = read_frame_counts(self._locate(self.frames_file, 'frames_file'))
        for video in videos:
            if video.video_id not in counts:
                problems.note(f'videos have no frame count in {self.frames_file}', video.video_id)
        return counts

    # ---- samples ----------------------------------------------------------------------------------------------------

    def _sample(
        self,
        video: FeatureVideo,
        label: VideoLabel,
        shape: FeatureShape,
        truth: dict[str, TemporalTruth],
        counts: dict[str, int],
    ) -> dict:
        intervals = truth[video.video_id].class_intervals if truth else []
        files: list[tuple[int, str, int | None]] = [(crop, path, None) for crop, path in video.files.items()]
        if shape.num_crops is not None:
            files = [(crop, video.files[0], crop) for crop in range(shape.num_crops)]
        return dict(
            video_id=video.video_id,
            feature_paths=[path for _, path, _ in files],
            crop_columns=[column for *_, column in files],
            crop_inds=[crop for crop, *_ in files],
            num_snippets=shape.num_snippets,
            snippet_len=self.snippet_len,
            total_frames=counts.get(video.video_id, shape.num_snippets * self.snippet_len),
            length_known=video.video_id in counts,
            class_name=label.class_name,
            label=label.label,
            class_labels=list(label.class_labels),
            num_classes=len(self.classes),
            intervals=np.array([interval[1:] for interval in intervals], np.int64).reshape(-1, 2),
            class_intervals=intervals,
        )

    def _choose_crops(self, sample: dict, problems: ProblemList) -> list[dict]:
        if self.crops == 'all':
            return [sample]
        numbers = sample['crop_inds']
        if self.crops != 'separate' and self.crops not in numbers:
            problems.note(f'videos have no crop {self.crops}', f'{sample["video_id"]} has {numbers}')
            return []
        places = range(len(numbers)) if self.crops == 'separate' else [numbers.index(self.crops)]
        keys = ('feature_paths', 'crop_columns', 'crop_inds')
        return [{**sample, **{key: [sample[key][place]] for key in keys}} for place in places]

    def _check_alike(self, data_list: list[dict], shapes: dict[str, FeatureShape], problems: ProblemList) -> None:
        """Check that all videos have the same feature dimension, and all samples the same number of crops."""
        sizes = Counter(shape.feature_dim for shape in shapes.values())
        wanted = self.feature_dim or (sizes.most_common(1)[0][0] if sizes else 0)
        for video_id, shape in shapes.items():
            if shape.feature_dim != wanted:
                what = f'feature_dim={wanted}' if self.feature_dim else f'the {wanted} of most'
                problems.note(f'videos have features of another size than {what}', f'{video_id}: {shape.feature_dim}')
        numbers = Counter(len(sample['crop_inds']) for sample in data_list)
        if len(numbers) > 1:  # a mean over fewer crops would be another score
            most = numbers.most_common(1)[0][0]
            for sample in data_list:
                if len(sample['crop_inds']) != most:
                    text = f'{sample["video_id"]} has crops {sample["crop_inds"]}'
                    problems.note(f'videos have another number of crops than the {most} of most', text)

    def _check_lengths(self, shapes: dict[str, FeatureShape], counts: dict[str, int], problems: ProblemList) -> None:
        """Check numbers of snippets against numbers of frames, where these are known."""
        known = {video_id: counts[video_id] for video_id in shapes if video_id in counts}
        is_rounded = all(count % self.snippet_len == 0 for count in known.values())
        for video_id, num_frames in known.items():
            possible = possible_snippets(num_frames, self.snippet_len, is_rounded)
            num = shapes[video_id].num_snippets
            text = f'{video_id}: {num} snippets of {self.snippet_len} frames, video of {num_frames} frames'
            if num >= possible.stop + self.length_tolerance:
                problems.note('videos have features longer than the video', text)
            elif num < possible.start - self.length_tolerance:
                problems.note('videos have features shorter than the video', text)

    def _report(self, data_list: list[dict], source: str, annotations: dict[str, TemporalAnnotation]) -> None:
        logger = MMLogger.get_current_instance()
        n_normal = sum(sample['label'] == 0 for sample in data_list)
        videos = {sample['video_id'] for sample in data_list}
        crops = sorted({len(sample['crop_inds']) for sample in data_list})
        logger.info(
            f'SnippetFeatures: {source}: {len(videos)} videos in {len(data_list)} samples, {n_normal} of them normal, '
            f'{" or ".join(map(str, crops))} crops a sample, '
            f'{sum(sample["num_snippets"] for sample in data_list)} snippets'
        )
        self.notes = []
        of_videos = Counter(sample['video_id'] for sample in data_list)
        usual = Counter(of_videos.values()).most_common(1)[0][0] if of_videos else 0
        others = [name for name, count in of_videos.items() if count != usual]
        if others:
            self.notes.append(
                f'{len(others)} of {len(videos)} videos have other numbers of crops than the {usual} of most (first: '
                f'{others[0]} has {of_videos[others[0]]})'
            )
        if self._silent:
            self.notes.append(
                f'{len(self._silent)} of {len(videos)} videos have no features of sound, which are zeros (first: '
                f'{self._silent[0]})'
            )
        if self.test_mode and not self.temporal_ann_file and n_normal < len(data_list):
            self.notes.append('without temporal_ann_file no frame counts as anomalous')
        # A folder of masks covers both splits, a temporal list only the test videos.
        absent = [name for name in annotations if name not in videos]
        if absent and self.test_mode and not self._truth_is_folder:
            self.notes.append(
                f'{len(absent)} of {len(annotations)} videos of {self.temporal_ann_file} are not in the list (first: '
                f'{absent[0]}): numbers are not those of the whole test set'
            )
        for note in self.notes:
            logger.warning(f'SnippetFeatures: {source}: {note}')
