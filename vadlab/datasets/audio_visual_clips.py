"""Data set of clips with pictures and, mostly, sound, with labels per head."""

import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import Annotated, Any

from mmengine.logging import MMLogger

from ..registry import DATASETS
from ..utils.errors import ConfigError, DataError
from .annotated_dataset import AnnotatedDataset
from .audio.log_mel import LogMelRecipe
from .formats.av_clip_metadata import AVClipRecord, classes_of, describe_unseen, read_metadata, unseen_labels
from .formats.av_clip_recipe import FrameRecipe
from .formats.path_index import PathIndex
from .formats.prepared_av_clips import (
    frames_path,
    has_files,
    mel_path,
    read_manifest,
    read_prepared_recipe,
    reading_note,
)
from .problem_list import ProblemList

SOURCES = ('processed', 'videos')
_ADVICE = 'Prepare them: python tools/prepare_wildlife.py METADATA VIDEOS --out'


@DATASETS.register_module()
class AudioVisualClips(AnnotatedDataset):
    """Clips of a metadata CSV, read from prepared files or decoded from videos.

    A head is a column of the metadata, such as ``species`` or ``behaviour``. Its classes are the sorted labels of the
    training split, for every split. A label that is not in the training split has no index: it is an error, or its
    clips are skipped and counted (``unseen_labels='drop'``).

    A clip may have no sound: it then has no spectrogram, and ``has_audio`` masks its sound in the model.

    A sample before its transforms is a dict with ``clip_id``, ``video_id`` (path below the folder of videos, by which
    videos shared by splits are found), ``video_path``, ``start``, ``end``, ``has_audio`` (None until the video is
    opened), ``labels`` (indices per head), ``num_classes``, ``multi_label``; for prepared clips also ``frames_path``,
    ``frames_shape``, ``mel_path``, ``mel_shape``, ``frame_inds``, ``times``, ``fps``, ``num_frames``, ``duration``,
    ``audio_hop``, and for others ``audio_path``, ``frame_recipe`` and ``sound_recipe``.

    Args:
        ann_file: CSV of this split: below ``data_root``, below the working directory, or absolute.
        data_root: Folder with the files.
        pipeline: Transforms.
        train_ann_file: CSV of the training split, which defines the classes; None takes ``ann_file``.
        split: Split to use of a file with several; None takes the one in the file's name, or the whole file.
        heads: Columns of the metadata.
        multi_label: Whether clips may have any number of labels: for all heads, or the names of such heads.
        source: ``processed``: files of ``tools/prepare_wildlife.py``. ``videos``: decode each time.
        processed_dir: Folder of prepared clips, below ``data_root`` or absolute.
        video_dir: Folder of the videos, below ``data_root`` or absolute.
        image_size: Height and width, or one number for both, in pixels: the required size of prepared frames (None
            for any), or the size to which ``videos`` are scaled.
        frame_recipe: Options of :class:`~vadlab.datasets.formats.av_clip_recipe.FrameRecipe`, for ``videos``.
        sound_recipe: Options of :class:`~vadlab.datasets.audio.LogMelRecipe`, for ``videos``.
        unseen_labels: ``error`` or ``drop``.
        test_mode: As in MMEngine.
        indices: Use only these rows, or, for an integer, the first ones.
        serialize_data: Store the list as bytes that workers share.
        lazy_init: Read nothing until ``full_init``.

    Raises:
        ConfigError: An option has an invalid value.
        MissingFileError: Metadata, prepared files or videos are missing.
        DataError: Metadata or prepared files cannot be used.
    """

    METAINFO: dict = dict(classes={})

    #: Checks of ``tools/verify.py`` in addition to those of every data set.
    verification = ('clips',)

    def __init__(
        self,
        ann_file: str,
        data_root: str = '',
        pipeline: list[dict | Any] = [],  # noqa: B006 (as in MMEngine; never changed)
        train_ann_file: str | None = None,
        split: str | None = None,
        heads: Sequence[str] = ('species', 'behaviour'),
        multi_label: bool | Sequence[str] = False,
        source: str = 'processed',
        processed_dir: str = 'processed',
        video_dir: str = 'raw/videos',
        image_size: int | tuple[int, int] | None = None,
        frame_recipe: Annotated[dict, FrameRecipe] | None = None,
        sound_recipe: Annotated[dict, LogMelRecipe] | None = None,
        unseen_labels: str = 'error',
        test_mode: bool = False,
        indices: int | list[int] | None = None,
        serialize_data: bool = True,
        lazy_init: bool = False,
    ) -> None:
        if not ann_file:
            raise ConfigError('AudioVisualClips: ann_file is empty: set the metadata file')
        if source not in SOURCES:
            raise ConfigError(f'AudioVisualClips: source is {source!r}; choose one of {", ".join(SOURCES)}')
        if unseen_labels not in ('error', 'drop'):
            raise ConfigError(f'AudioVisualClips: unseen_labels is {unseen_labels!r}; choose error or drop')
        self.heads = [heads] if isinstance(heads, str) else list(heads)
        if not self.heads or len(set(self.heads)) < len(self.heads):
            raise ConfigError(f'AudioVisualClips: heads must be names of columns, each once, not {heads!r}')
        several = [multi_label] if isinstance(multi_label, str) else multi_label
        several = (self.heads if several else []) if isinstance(several, bool) else list(several)
        if unknown := sorted(set(several) - set(self.heads)):
            raise ConfigError(
                f'AudioVisualClips: multi_label names {unknown[0]!r}, which is not one of heads={self.heads}'
            )
        self.multi_label = several
        self.train_ann_file = train_ann_file or ann_file
        self.split = split
        self.source = source
        self.processed_dir = processed_dir
        self.video_dir = video_dir
        size = (image_size, image_size) if isinstance(image_size, int) else image_size
        self.image_size: tuple[int, int] | None = None if size is None else (size[0], size[1])
        self.frame_recipe = FrameRecipe(**{**_size_options(self.image_size), **(frame_recipe or {})})
        self.sound_recipe = LogMelRecipe(**(sound_recipe or {}))
        self.unseen_labels = unseen_labels
        #: Warnings for the log and ``tools/verify.py``; filled when the metadata is read.
        self.notes: list[str] = []
        super().__init__(
            ann_file=ann_file,
            data_root=data_root,
            pipeline=pipeline,
            test_mode=test_mode,
            indices=indices,
            serialize_data=serialize_data,
            lazy_init=lazy_init,
        )

    @property
    def classes(self) -> dict[str, list[str]]:
        """Classes per head, in the order of their indices."""
        if not self._fully_initialized:
            self.full_init()
        return self.metainfo['classes']

    def load_data_list(self) -> list[dict]:
        """Read and check the metadata, and find the clips' files."""
        self.notes = []
        source = self._locate(self.ann_file, 'ann_file')
        train_source = self._locate(self.train_ann_file, 'train_ann_file')
        # Read together, so that a clip in both files is found.
        files = [source] if source == train_source else [source, train_source]
        together = read_metadata(files, self.heads)
        train = [r for r in together if r.split == 'train']
        records = read_metadata(source, self.heads) if len(files) > 1 else together
        if self.split is not None:
            records = [r for r in records if r.split == self.split]
            if not records:
                raise DataError(f'AudioVisualClips: {source} has no clip of the split {self.split!r}')
        classes = {head: classes_of(train, head, train_source) for head in self.heads}
        self._metainfo['classes'] = classes
        records = self._with_known_labels(records, classes, source)
        self._check_labels(records, source)
        complete = self._from_processed if self.source == 'processed' else self._from_videos
        samples = complete(records, [self._sample(record, classes) for record in records])
        self._report(samples, source, classes)
        return samples

    def _sample(self, record: AVClipRecord, classes: dict[str, list[str]]) -> dict:
        labels = {head: [classes[head].index(label) for label in record.labels(head)] for head in self.heads}
        return dict(
            clip_id=record.clip_id,
            video_id=record.video,
            video_path=record.video,
            start=record.start,
            end=record.end,
            labels=labels,
            num_classes={head: len(names) for head, names in classes.items()},
            multi_label=self.multi_label,
            has_audio=None,
        )

    def _with_known_labels(
        self, records: list[AVClipRecord], classes: dict[str, list[str]], source: str
    ) -> list[AVClipRecord]:
        for head, names in classes.items():
            unseen = unseen_labels(records, head, names)
            if not unseen:
                continue
            what = f'{head}: {len(unseen)} labels that are not in train: {describe_unseen(unseen, names)}'
            if self.unseen_labels == 'error':
                raise DataError(
                    f'AudioVisualClips: {source}: {what}. Fix their spelling, move clips to train, or leave such '
                    "clips out: unseen_labels='drop'"
                )
            # A clip of a multi-label head keeps its known labels.
            before = len(records)
            records = [r for r in records if head in self.multi_label or not set(r.labels(head)) & set(unseen)]
            records = [_without(r, head, set(unseen)) for r in records]
            self.notes.append(f'{what}; {before - len(records)} clips are left out')
        if not records:
            raise DataError(f'AudioVisualClips: {source}: no clip is left')
        return records

    def _check_labels(self, records: list[AVClipRecord], source: str) -> None:
        problems = ProblemList('AudioVisualClips')
        for head in self.heads:
            if head in self.multi_label:
                continue
            for record in records:
                count = len(record.labels(head))
                if count == 0:
                    problems.note(f'clips have no {head}', record.clip_id)
                elif count > 1:
                    problems.note(f'clips have several labels of {head}', f'{record.clip_id}: {record.columns[head]}')
        problems.raise_if_any(source, 'Give one label each, or name the head in multi_label')

    def _from_processed(self, records: list[AVClipRecord], samples: list[dict]) -> list[dict]:
        folder = self._locate(self.processed_dir, 'processed_dir')
        frames, sound = read_prepared_recipe(folder)
        if self.image_size is not None and self.image_size != (frames.height, frames.width):
            raise DataError(
                f'AudioVisualClips: {folder} holds frames of {frames.height}x{frames.width} pixels, but image_size is '
                f'{self.image_size[0]}x{self.image_size[1]}. Set image_size={frames.height}, or prepare with --size'
            )
        self.frame_recipe, self.sound_recipe = frames, sound
        if note := reading_note(folder):
            self.notes.append(note)
        manifest = read_manifest(folder)
        problems, bad, complete = ProblemList('AudioVisualClips'), {}, []
        for record, sample in zip(records, samples, strict=True):
            clip = manifest.get(record.clip_id)
            if clip is None:
                problems.note('clips are not prepared', record.clip_id, missing=True)
            elif clip.bad:
                bad[record.clip_id] = clip.bad
            elif not clip.is_of(record):
                problems.note('clips were prepared from another video or part than in the metadata', record.clip_id)
            elif wrong := has_files(folder, clip):
                problems.note('files are not as they were made', wrong)
            else:
                complete.append(
                    dict(
                        sample,
                        frames_path=str(frames_path(folder, clip.clip_id)),
                        frames_shape=clip.frames_shape,
                        frame_inds=clip.frame_inds,
                        times=clip.times,
                        fps=clip.fps,
                        num_frames=clip.num_frames,
                        duration=clip.duration,
                        has_audio=clip.has_mel,
                        mel_path=str(mel_path(folder, clip.clip_id)) if clip.has_mel else None,
                        mel_shape=clip.mel_shape,
                        audio_hop=sound.hop_s,
                    )
                )
        problems.raise_if_any(folder, f'{_ADVICE} {self.processed_dir}')
        if bad:
            name, reason = next(iter(bad.items()))
            self.notes.append(f'{len(bad)} clips could not be prepared and are left out (first: {name}: {reason})')
        if not complete:
            raise DataError(f'AudioVisualClips: {folder}: not one clip of {self.ann_file} could be prepared')
        return complete

    def _from_videos(self, records: list[AVClipRecord], samples: list[dict]) -> list[dict]:
        folder = self._locate(self.video_dir, 'video_dir')
        index, problems = PathIndex.of(folder), ProblemList('AudioVisualClips')
        for record, sample in zip(records, samples, strict=True):
            found = index.find(record.video)
            if len(found) != 1:
                what = 'video names are those of several files' if found else 'videos do not exist'
                problems.note(what, record.video, missing=not found)
            audio = os.path.join(folder, record.audio) if record.audio else None
            if audio is not None and not os.path.isfile(audio):
                problems.note('files of sound do not exist', record.audio, missing=True)
            sample.update(
                video_path=found[0] if found else '',
                audio_path=audio,
                frame_recipe=self.frame_recipe,
                sound_recipe=self.sound_recipe,
            )
        problems.raise_if_any(folder, 'Check video_dir and the columns video and audio')
        return samples

    def _report(self, samples: list[dict], source: str, classes: dict[str, list[str]]) -> None:
        logger = MMLogger.get_current_instance()
        known = [sample['has_audio'] for sample in samples if sample['has_audio'] is not None]
        sound = f'{sum(known)} of them with sound' if known else 'straight from videos'
        counts = ', '.join(f'{len(names)} classes of {head}' for head, names in classes.items())
        logger.info(f'AudioVisualClips: {source}: {len(samples)} clips, {sound}; {counts}')
        for head, names in classes.items():
            seen = Counter(index for sample in samples for index in sample['labels'][head])
            absent = [name for index, name in enumerate(names) if not seen[index]]
            if absent:
                logger.info(
                    f'AudioVisualClips: {source}: no clip of {len(absent)} classes of {head}: {", ".join(absent[:5])}'
                    f'{", ..." if len(absent) > 5 else ""}'
                )
        for note in self.notes:
            logger.warning(f'AudioVisualClips: {source}: {note}')


def _size_options(size: tuple[int, int] | None) -> dict[str, int]:
    return {} if size is None else dict(height=size[0], width=size[1])


def _without(record: AVClipRecord, head: str, labels: set[str]) -> AVClipRecord:
    """A copy of the record without some labels of a head."""
    kept = ';'.join(label for label in record.labels(head) if label not in labels)
    return replace(record, columns={**record.columns, head: kept})
