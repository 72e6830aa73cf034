import contextlib
import fcntl
import os
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from importlib import metadata
from pathlib import Path

import numpy as np
from mmengine.logging import MMLogger

from vadlab.apis.features.recipe import check_recipe
from vadlab.datasets.audio.log_mel import LogMelRecipe, import_librosa
from vadlab.datasets.formats.av_clip_metadata import AVClipRecord
from vadlab.datasets.formats.av_clip_recipe import FrameRecipe
from vadlab.datasets.formats.path_index import PathIndex
from vadlab.datasets.formats.prepared_av_clips import (
    FRAMES_DIR,
    MANIFEST_FILE,
    MELS_DIR,
    READ_AS,
    RECIPE_FILE,
    STATISTICS_FILE,
    PreparedAVClip,
    frames_path,
    has_files,
    mel_path,
    read_manifest,
)
from vadlab.datasets.problem_list import ProblemList
from vadlab.utils.atomic import write_text
from vadlab.utils.errors import DataError, MissingFileError
from vadlab.utils.json_file import write_json
from vadlab.utils.many_files import Engine, Lost, Ready, over_files
from vadlab.utils.runtime import versions

from .prepare_av_clip import AVClipJob, prepare_av_clip

_BAD_FILE = 'bad_clips.json'


@dataclass
class PreparationReport:
    """Result of a run of :class:`AVClipPreparation`.

    Attributes:
        done: Clips that were prepared.
        skipped: Clips that were already prepared.
        bad: Clips that cannot be used, with the reason.
        clips: All usable clips of the metadata, prepared now or before.
        frames: Number of frames in the videos of ``done``, including frames that are not kept.
        seconds: Wall time in seconds.
    """

    done: list[str] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)
    bad: dict[str, str] = field(default_factory=dict)
    clips: list[PreparedAVClip] = field(default_factory=list)
    frames: int = 0
    seconds: float = 0.0


class AVClipPreparation:
    """Writes ``video_frames/ID.pt`` and ``mel_spectrograms/ID.npy`` of clips.

    A file appears when it is complete, and a clip's line is appended to ``manifest.jsonl`` when all of its files are,
    so a killed run can continue. Each line has the sizes of the files, so that truncated files are found when they are
    read.

    Args:
        out (Path): Folder of prepared clips.
        videos (Path): Folder of the videos.
        frames (FrameRecipe | None): Settings of the frames.
        sound (LogMelRecipe | None): Settings of the spectrograms.
        workers (int): Decoding processes; 1 decodes in this process.
        engine (Engine | None): What prepares clips, instead of ``workers`` processes.

    Raises:
        ConfigError: ``workers`` is less than 1.
        MissingDependencyError: librosa is not installed.
        MissingFileError: The folder of videos does not exist.
    """

    def __init__(
        self,
        out: Path,
        videos: Path,
        frames: FrameRecipe | None = None,
        sound: LogMelRecipe | None = None,
        workers: int = 1,
        engine: Engine | None = None,
    ) -> None:
        self.engine = engine or Engine(workers=workers)
        if not videos.is_dir():
            raise MissingFileError(f'There is no folder of videos {videos}')
        import_librosa()
        self.out = out
        self.videos = videos
        self.frames = frames or FrameRecipe()
        self.sound = sound or LogMelRecipe()

    def recipe(self) -> dict:
        """All settings that the files depend on."""
        return {'read_as': READ_AS, 'frames': asdict(self.frames), 'sound': asdict(self.sound)}

    def run(
        self,
        records: Sequence[AVClipRecord],
        overwrite: bool = False,
        progress: Callable[[int, int], None] | None = None,
    ) -> PreparationReport:
        """Prepare the missing clips, and compute the statistics of the training clips.

        Args:
            records (Sequence[AVClipRecord]): From :func:`~vadlab.datasets.formats.av_clip_metadata.read_metadata`.
            overwrite (bool): Remove the files of an earlier preparation in this folder.
            progress (Callable | None): Called with (clips done, all clips).

        Returns:
            PreparationReport: The result. Bad clips are listed in it and in ``bad_clips.json``, and raise no error.

        Raises:
            DataError: The folder contains clips of another recipe, or another process is using it.
            MissingFileError: Some videos do not exist; the message lists all of them.
        """
        start = time.perf_counter()
        jobs = self._jobs(records)
        with self._locked():
            if overwrite:
                self._remove_all()
            facts = {'versions': {**versions(), 'librosa': metadata.version('librosa')}}
            for difference in check_recipe(self.out, self.recipe(), facts, 'clips'):
                MMLogger.get_current_instance().info(f'{self.out}: same recipe as before, except for {difference}')
            known = self._tidy_up()
            report = PreparationReport()
            todo = []
            for job in jobs:
                if _is_done(known.get(job.clip_id), job):
                    report.skipped.append(job.clip_id)
                else:
                    todo.append(job)
            self._work(todo, known, report, progress or (lambda done, total: None), len(records))
            self._finish(records, known, report)
        report.seconds = time.perf_counter() - start
        return report

    def _jobs(self, records: Sequence[AVClipRecord]) -> list[AVClipJob]:
        """The job of each record.

        Raises:
            MissingFileError: Some files do not exist; the message lists all of them.
            DataError: Several files have the same name.
        """
        index, problems = PathIndex(self.videos), ProblemList('Preparation')
        found: dict[str, str] = {}
        for record in records:
            if record.video not in found:
                paths = index.find(record.video)
                if len(paths) > 1:
                    problems.note('names are those of several videos; give their folders', record.video)
                elif not paths:
                    what = f'videos do not exist ({index.n_files} files looked at by name)'
                    problems.note(what, record.video, missing=True)
                found[record.video] = paths[0] if paths else ''
            if record.audio and record.audio not in found:
                path = str(self.videos / record.audio)
                if not os.path.isfile(path):
                    problems.note('files of sound do not exist', record.audio, missing=True)
                found[record.audio] = path
        problems.raise_if_any(str(self.videos), 'Check the folder of videos and the columns video and audio')
        size = {name: os.path.getsize(path) for name, path in found.items()}
        return [
            AVClipJob(
                clip_id=record.clip_id,
                video=record.video,
                video_path=found[record.video],
                video_bytes=size[record.video],
                start=record.start,
                end=record.end,
                audio=record.audio,
                audio_path=found[record.audio or record.video],
                audio_bytes=size[record.audio] if record.audio else 0,
                out=str(self.out),
                frames=self.frames,
                sound=self.sound,
            )
            for record in records
        ]

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        """Allow one process at a time; the system releases the lock of a killed process."""
        self.out.mkdir(parents=True, exist_ok=True)
        with open(self.out / '.lock', 'w') as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                raise DataError(f'Another process is preparing clips in {self.out}. Wait until it is done') from error
            yield

    def _remove_all(self) -> None:
        """Remove the prepared files, and nothing else."""
        with contextlib.suppress(MissingFileError, DataError):
            for clip_id in read_manifest(self.out):
                frames_path(self.out, clip_id).unlink(missing_ok=True)
                mel_path(self.out, clip_id).unlink(missing_ok=True)
        for name in (RECIPE_FILE, MANIFEST_FILE, STATISTICS_FILE, _BAD_FILE):
            (self.out / name).unlink(missing_ok=True)

    def _tidy_up(self) -> dict[str, PreparedAVClip]:
        """Remove temporary files of a killed run; return the manifest entries of clips with complete files."""
        self._remove_parts()
        if not (self.out / MANIFEST_FILE).exists():
            return {}
        clips = read_manifest(self.out)
        known = {i: clip for i, clip in clips.items() if not clip.bad and not has_files(self.out, clip)}
        self._write_manifest(known)
        return known

    def _remove_parts(self) -> None:
        for folder in (self.out / FRAMES_DIR, self.out / MELS_DIR):
            for part in folder.rglob('.*.part'):
                part.unlink(missing_ok=True)

    def _write_manifest(self, clips: dict[str, PreparedAVClip]) -> None:
        write_text(self.out / MANIFEST_FILE, ''.join(clip.as_line() for clip in clips.values()))

    def _work(
        self,
        jobs: list[AVClipJob],
        known: dict[str, PreparedAVClip],
        report: PreparationReport,
        progress: Callable[[int, int], None],
        total: int,
    ) -> None:
        progress(len(report.skipped), total)
        with open(self.out / MANIFEST_FILE, 'a', encoding='utf-8') as manifest:
            for clip in self._prepared(jobs):
                manifest.write(clip.as_line())
                manifest.flush()
                known[clip.clip_id] = clip
                if clip.bad:
                    report.bad[clip.clip_id] = clip.bad
                    MMLogger.get_current_instance().warning(f'left out: {clip.clip_id}: {clip.bad}')
                else:
                    report.done.append(clip.clip_id)
                    report.frames += clip.num_frames
                progress(len(report.skipped) + len(report.done) + len(report.bad), total)

    def _prepared(self, jobs: list[AVClipJob]) -> Iterator[PreparedAVClip]:
        """The clips of these jobs, in the order in which they finish."""
        for number, clip in over_files(Ready(prepare_av_clip), jobs, self.engine):
            if isinstance(clip, Lost):
                job = jobs[number]
                clip = PreparedAVClip(**job.facts(), bad=f'{job.video_path}: {clip.reason}')
            yield clip

    def _finish(
        self, records: Sequence[AVClipRecord], known: dict[str, PreparedAVClip], report: PreparationReport
    ) -> None:
        self._remove_parts()  # of processes that were killed
        in_order = {record.clip_id: known[record.clip_id] for record in records}
        self._write_manifest(in_order | {i: clip for i, clip in known.items() if i not in in_order})
        usable = [(record, known[record.clip_id]) for record in records if not known[record.clip_id].bad]
        report.clips = [clip for _, clip in usable]
        trained = [clip for record, clip in usable if record.split == 'train' and clip.has_mel]
        write_json(self.out / STATISTICS_FILE, {'sound': mel_statistics(trained)})
        if report.bad:
            bad = [{'clip_id': i, 'reason': report.bad[i]} for i in in_order if i in report.bad]
            write_json(self.out / _BAD_FILE, bad)
        else:
            (self.out / _BAD_FILE).unlink(missing_ok=True)


def mel_statistics(clips: Sequence[PreparedAVClip]) -> dict[str, float | int | None]:
    """Mean and standard deviation of all values of the clips' spectrograms, in decibels; None without sound."""
    count = sum(int(np.prod(clip.mel_shape)) for clip in clips)
    if not count:
        return {'clips': 0, 'mean': None, 'std': None}
    mean = sum(clip.mel_sum for clip in clips) / count
    variance = sum(clip.mel_square_sum for clip in clips) / count - mean**2
    return {'clips': len(clips), 'mean': mean, 'std': float(np.sqrt(max(variance, 0.0)))}


def _is_done(clip: PreparedAVClip | None, job: AVClipJob) -> bool:
    return clip is not None and all(getattr(clip, name) == value for name, value in job.facts().items())
