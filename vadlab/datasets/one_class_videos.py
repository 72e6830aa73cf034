"""Clips for one-class anomaly detection: training clips are normal, test clips have frame truth."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from mmengine.logging import MMLogger

from ..registry import DATASETS
from ..utils.errors import ConfigError, DataError
from .annotated_dataset import AnnotatedDataset
from .formats.one_class_labels import LABELS, ClipTruth, read_clip_truth
from .formats.one_class_layouts import LAYOUTS, SPLITS, ClipFolder, detect_layout, find_clips, split_folder
from .formats.pixel_masks import read_ped2_masks
from .video import index_video


@DATASETS.register_module()
class OneClassVideos(AnnotatedDataset):
    """UCSD Ped1 and Ped2, CUHK Avenue, ShanghaiTech, UBnormal, or a folder of your own videos or folders of frames.

    All common folder layouts are read, see :mod:`~vadlab.datasets.formats.one_class_layouts`. Several files may contain
    the frame truth of the same clips, and published conventions differ: Avenue has 3,712 anomalous frames by the
    authors' pixel masks, and 3,867 by the labels that came with MNAD's code. The first source of ``labels`` that exists
    is used; the log names it and the others.

    A sample is a video, or with ``clip_len`` a short clip of it. Before its transforms it is a dict with ``video_id``,
    ``video_path``, ``class_name``, ``label``, ``caption``, ``regions`` (none), ``intervals`` (int64, half-open, shape
    (K, 2)), ``has_truth`` (bool), ``truth_frames`` (frames that the truth has, or None), ``pixel_truth``
    (:class:`~vadlab.datasets.formats.pixel_truth.PixelTruth` or None) and, with ``clip_len``, ``frame_inds`` (int64,
    shape (clip_len,)).

    Args:
        data_root: The data set's folder.
        split: ``train`` or ``test``.
        pipeline: Transforms.
        layout: One of ``ucsd``, ``frames``, ``avenue``, ``shanghaitech``, ``ubnormal``, ``folder``, or ``auto``.
        labels: Source of the truth: ``frame_masks``, ``masks``, ``tracks``, ``intervals``, ``joined``; ``auto`` for the
            first of them that exists; ``none`` to score clips without truth; ``optional`` like ``auto``, but a plain
            folder needs neither truth nor a folder ``test``: without ``test``, the training clips are scored.
        videos: Use only these clips, by name; None for all.
        clip_len: Frames per sample; None for whole videos.
        clip_stride: Distance between the starts of two samples of a video, in frames.
        frame_interval: Distance of the frames within a sample.
        test_mode: As in MMEngine, like all following arguments.
        metainfo: See above.
        indices: Use only these samples, or, for an integer, the first ones.
        serialize_data: Store the list as bytes that workers share.
        lazy_init: Read nothing until ``full_init``.

    Raises:
        ConfigError: An option has an invalid value.
        MissingFileError: A folder, clips or truth are missing.
        DataError: A training clip has anomalous frames, a test clip has no truth, or files cannot be used.
    """

    METAINFO = dict(classes=('Normal', 'Anomaly'))

    #: Checks of ``tools/verify.py`` in addition to those of every data set.
    verification = ('videos',)
    #: Training and test clips may have the same names, as UCSD's in MNAD's tree: ``SplitLeakageHook`` compares paths.
    names_repeat = True

    def __init__(
        self,
        data_root: str,
        split: str = 'train',
        pipeline: list[dict | Any] = [],  # noqa: B006 (as in MMEngine; never changed)
        layout: str = 'auto',
        labels: str = 'auto',
        videos: Sequence[str] | None = None,
        clip_len: int | None = None,
        clip_stride: int = 1,
        frame_interval: int = 1,
        test_mode: bool = False,
        metainfo: dict | None = None,
        indices: int | list[int] | None = None,
        serialize_data: bool = True,
        lazy_init: bool = False,
    ) -> None:
        for name, value, known in (
            ('split', split, SPLITS),
            ('layout', layout, ('auto', *LAYOUTS)),
            ('labels', labels, ('auto', 'optional', 'none', *LABELS)),
        ):
            if value not in known:
                raise ConfigError(f'OneClassVideos: there is no {name}={value!r}. Known: {", ".join(known)}')
        for name, number in dict(
            clip_len=clip_len or 1, clip_stride=clip_stride, frame_interval=frame_interval
        ).items():
            if not isinstance(number, int) or number < 1:
                raise ConfigError(f'OneClassVideos: {name} must be a whole number >= 1, not {number!r}')
        self.split = split
        self.layout = layout
        self.labels = labels
        self.videos = videos
        self.clip_len, self.clip_stride, self.frame_interval = clip_len, clip_stride, frame_interval
        #: Where the frame truth is from, and other sources; empty without truth.
        self.truth_text = ''
        self._notes: list[str] = []
        super().__init__(
            ann_file='',
            data_root=data_root,
            pipeline=pipeline,
            metainfo=metainfo,
            test_mode=test_mode,
            indices=indices,
            serialize_data=serialize_data,
            lazy_init=lazy_init,
        )

    @property
    def notes(self) -> list[str]:
        """Warnings for ``tools/verify.py``."""
        return self._notes

    def load_data_list(self) -> list[dict]:
        """Find the clips and their truth."""
        folder = find_clips(self.data_root, self._split_to_read(), self.layout)
        truth = self._truth(folder)
        clips = [clip for clip in folder.clips if self.videos is None or clip.name in self.videos]
        if self.videos is not None and len(clips) < len(self.videos):
            lacking = sorted(set(self.videos) - {clip.name for clip in clips})
            raise ConfigError(
                f'OneClassVideos: {len(lacking)} of {len(self.videos)} videos= are no {self.split} clips of '
                f'{folder.root} (first: {lacking[0]}). It has {", ".join(clip.name for clip in folder.clips[:5])}, ...'
            )
        nothing = np.zeros((0, 2), np.int64)
        samples: list[dict] = []
        for clip in clips:
            intervals = truth.intervals.get(clip.name, nothing)
            sample: dict[str, Any] = dict(
                video_id=clip.name,
                video_path=clip.path,
                class_name='Anomaly' if len(intervals) else 'Normal',
                label=int(len(intervals) > 0),
                caption='',
                regions=[],
                intervals=intervals,
                has_truth=self.split == 'train' or bool(truth.source),
                truth_frames=truth.num_frames.get(clip.name),
                pixel_truth=truth.pixels.get(clip.name),
            )
            samples += [sample] if self.clip_len is None else self._cut(sample, clip.num_frames)
        if not samples:
            raise DataError(
                f'OneClassVideos: no {self.split} clip of {folder.root} has {self._span} frames (clip_len='
                f'{self.clip_len}, frame_interval={self.frame_interval})'
            )
        return samples

    def _split_to_read(self) -> str:
        """The split; ``train`` for an optional test split that is not there."""
        root = Path(self.data_root)
        if self.split == 'train' or self.labels != 'optional' or self.layout not in ('auto', 'folder'):
            return self.split
        if not root.is_dir() or detect_layout(root) != 'folder' or split_folder(root, 'test', 'folder') is not None:
            return self.split
        MMLogger.get_current_instance().info(
            f'OneClassVideos: {root} has no folder test. The training clips are scored instead'
        )
        return 'train'

    @property
    def _span(self) -> int:
        return ((self.clip_len or 1) - 1) * self.frame_interval + 1

    def _cut(self, sample: dict, num_frames: int | None) -> list[dict]:
        """The short clips of a video; one that is shorter has none."""
        count = num_frames or index_video(sample['video_path']).total_frames
        if count < self._span:
            self._notes.append(f'{sample["video_id"]} is left out: {count} frames, a sample has {self._span}')
        offsets = np.arange(self.clip_len or 1) * self.frame_interval
        starts = range(0, count - self._span + 1, self.clip_stride)
        return [{**sample, 'frame_inds': start + offsets} for start in starts]

    def _truth(self, folder: ClipFolder) -> ClipTruth:
        if self.split == 'train':
            return self._training_truth(folder)
        truth = read_clip_truth(folder, 'auto' if self.labels == 'optional' else self.labels)
        if not truth.source and self.labels not in ('none', 'optional'):
            raise DataError(
                f'OneClassVideos: there is no truth for the {len(folder.clips)} test clips of {folder.root}. Add '
                "truth/NAME.npy (0 or 1 for each frame), or score without truth: labels='none'"
            )
        if truth.source:
            frames = sum(int(np.diff(found).sum()) for found in truth.intervals.values())
            self.truth_text = f'frame truth: {truth.source} ({truth.files}), {frames:,} anomalous frames'
            if truth.others:
                self.truth_text += '; not used: ' + ', '.join(f'{name} ({file})' for name, file in truth.others.items())
            MMLogger.get_current_instance().info(f'OneClassVideos: {self.truth_text}')
        return truth

    def _training_truth(self, folder: ClipFolder) -> ClipTruth:
        """Check that truth of training clips is normal: ``NAME_gt`` beside them, or files of a plain folder."""
        own = split_folder(folder.root, 'train', folder.layout) if folder.layout != 'ubnormal' else None
        if own is not None and own != split_folder(folder.root, 'test', folder.layout) and any(own.glob('*_gt/*')):
            wrong = [name for name, mask in read_ped2_masks(own).items() if mask.any()]
            if wrong:
                raise DataError(
                    f'OneClassVideos: {len(wrong)} training clips have anomalous frames in the masks of {own} (first: '
                    f'{wrong[0]}). Training clips must be normal: move these, with their masks, to the test clips'
                )
        masks = Path(folder.root) / 'truth'
        if folder.layout == 'folder' and masks.is_dir() and any(masks.glob('*.npy')):
            from .formats.frame_masks import read_frame_masks

            wanted = {clip.name for clip in folder.clips}
            tests = set()
            if (folder.root / 'test').is_dir() or (folder.root / 'testing').is_dir():
                tests = {clip.name for clip in find_clips(folder.root, 'test', 'folder').clips}
            marked = [name for name, mask in read_frame_masks(masks, wanted - tests).items() if mask.any()]
            if marked:
                raise DataError(
                    f'OneClassVideos: {len(marked)} training clips have anomalous frames in {masks} (first: '
                    f'{marked[0]}). Training clips must be normal: move these to {folder.root / "test"}'
                )
        return ClipTruth()
