import contextlib
import fcntl
import multiprocessing
import os
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import asdict, dataclass, field
from importlib import metadata
from itertools import islice
from multiprocessing.context import BaseContext
from pathlib import Path

import numpy as np
import torch
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
from vadlab.utils.errors import ConfigError, DataError, MissingFileError
from vadlab.utils.json_file import write_json
from vadlab.utils.runtime import versions

from .prepare_av_clip import AVClipJob, prepare_av_clip

_BAD_FILE = 'bad_clips.json'


@dataclass
class PreparationReport:
    """What a run of :class:`AVClipPreparation` did.

    Attributes:
        done: Clips that were prepared.
        skipped: Clips that were there already.
        bad: Clips that cannot be used, with the reason.
        clips: All clips of the metadata that can be used, whether done now or before.
        frames: Frames of ``done`` in their videos, whether kept or not.
        seconds: Wall time.
    """

    done: list[str] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)
    bad: dict[str, str] = field(default_factory=dict)
    clips: list[PreparedAVClip] = field(default_factory=list)
    frames: int = 0
    seconds: float = 0.0


class AVClipPreparation:
    """Makes ``video_frames/ID.pt`` and ``mel_spectrograms/ID.npy`` of clips.

    A file is in place when it is whole, and a clip's line is appended to ``manifest.jsonl`` when its files are, so a
    run that was killed is taken up where it was. Each line holds the sizes of the files, by which whoever reads them
    finds out that one was cut later.

    Args:
        out (Path): Folder of prepared clips.
        videos (Path): Folder of the videos.
        frames (FrameRecipe | None): What is made of the pictures.
        sound (LogMelRecipe | None): What is made of the sound.
        workers (int): Processes that decode; 1 decodes in this one.

    Raises:
        ConfigError: ``workers`` is less than 1.
        MissingDependencyError: librosa is not installed.
        MissingFileError: There is no folder of videos.
    """

    def __init__(
        self,
        out: Path,
        videos: Path,
        frames: FrameRecipe | None = None,
        sound: LogMelRecipe | None = None,
        workers: int = 1,
    ) -> None:
        if workers < 1:
            raise ConfigError(f'workers={workers} must be at least 1')
        if not videos.is_dir():
            raise MissingFileError(f'There is no folder of videos {videos}')
        import_librosa()
        self.out = out
        self.videos = videos
        self.frames = frames or FrameRecipe()
        self.sound = sound or LogMelRecipe()
        self.workers = workers

    def recipe(self) -> dict:
        """What the numbers depend on."""
        return {'read_as': READ_AS, 'frames': asdict(self.frames), 'sound': asdict(self.sound)}

    def run(
        self,
        records: Sequence[AVClipRecord],
        overwrite: bool = False,
        progress: Callable[[int, int], None] | None = None,
    ) -> PreparationReport:
        """Prepare the clips that are not there yet, and the statistics of the training clips.

        Args:
            records (Sequence[AVClipRecord]): Of :func:`~vadlab.datasets.formats.av_clip_metadata.read_metadata`.
            overwrite (bool): Remove what was prepared in this folder before.
            progress (Callable | None): Called with (clips done, clips in all).

        Returns:
            PreparationReport: Bad clips are in it and in ``bad_clips.json``, and raise nothing.

        Raises:
            DataError: The folder holds clips of another recipe, or another process is at work in it.
            MissingFileError: Videos that do not exist, all of them in one message.
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
        """What is to be made of each record.

        Raises:
            MissingFileError: Files that do not exist, all of them in one message.
            DataError: Names that several files carry.
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
        """One process at a time; the system drops the lock of one that was killed."""
        self.out.mkdir(parents=True, exist_ok=True)
        with open(self.out / '.lock', 'w') as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                raise DataError(f'Another process is preparing clips in {self.out}. Wait until it is done') from error
            yield

    def _remove_all(self) -> None:
        """Remove what was prepared here, and nothing else."""
        with contextlib.suppress(MissingFileError, DataError):
            for clip_id in read_manifest(self.out):
                frames_path(self.out, clip_id).unlink(missing_ok=True)
                mel_path(self.out, clip_id).unlink(missing_ok=True)
        for name in (RECIPE_FILE, MANIFEST_FILE, STATISTICS_FILE, _BAD_FILE):
            (self.out / name).unlink(missing_ok=True)

    def _tidy_up(self) -> dict[str, PreparedAVClip]:
        """Remove what a kill left behind; what is known of the clips whose files are whole."""
        for folder in (self.out / FRAMES_DIR, self.out / MELS_DIR):
            for part in folder.rglob('.*.part'):
                part.unlink()
        if not (self.out / MANIFEST_FILE).exists():
            return {}
        clips = read_manifest(self.out)
        known = {i: clip for i, clip in clips.items() if not clip.bad and not has_files(self.out, clip)}
        self._write_manifest(known)
        return known

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
        """The clips of these jobs, in the order in which they get done."""
        if self.workers == 1 or len(jobs) < 2:
            yield from map(prepare_av_clip, jobs)
            return
        suspects: list[AVClipJob] = []
        left = iter(jobs)
        while (yield from self._in_pool(left, self.workers, 2 * self.workers, suspects)):
            # A file on which the decoder itself crashes takes its process along. One at a time they show which it is.
            alone = iter(suspects.copy())
            suspects.clear()
            while (yield from self._in_pool(alone, 1, 1, suspects)):
                job = suspects.pop()
                yield PreparedAVClip(**job.facts(), bad=f'{job.video_path}: the process that decoded it crashed')

    @staticmethod
    def _in_pool(
        jobs: Iterator[AVClipJob], workers: int, most: int, suspects: list[AVClipJob]
    ) -> Generator[PreparedAVClip, None, bool]:
        """Clips out of a pool of processes, ``most`` of them under way at a time.

        Returns:
            bool: Whether a process died, and with it the pool. Then ``suspects`` gets the jobs that were under way.
        """
        pool = ProcessPoolExecutor(workers, mp_context=_processes(), initializer=_one_thread)
        pending: dict[Future, AVClipJob] = {}
        try:
            while True:
                for job in islice(jobs, most - len(pending)):
                    suspects.append(job)  # lost otherwise where the pool dies right here
                    pending[pool.submit(prepare_av_clip, job)] = suspects.pop()
                if not pending:
                    return False
                for future in wait(pending, return_when=FIRST_COMPLETED).done:
                    yield future.result()
                    del pending[future]
        except BrokenProcessPool:
            suspects.extend(pending.values())
            return True
        finally:
            pool.shutdown(wait=True, cancel_futures=True)

    def _finish(
        self, records: Sequence[AVClipRecord], known: dict[str, PreparedAVClip], report: PreparationReport
    ) -> None:
        self._write_manifest(known)
        usable = [(record, known[record.clip_id]) for record in records if not known[record.clip_id].bad]
        report.clips = [clip for _, clip in usable]
        trained = [clip for record, clip in usable if record.split == 'train' and clip.has_mel]
        write_json(self.out / STATISTICS_FILE, {'sound': mel_statistics(trained)})
        if report.bad:
            write_json(self.out / _BAD_FILE, [{'clip_id': i, 'reason': reason} for i, reason in report.bad.items()])
        else:
            (self.out / _BAD_FILE).unlink(missing_ok=True)


def mel_statistics(clips: Sequence[PreparedAVClip]) -> dict[str, float | int | None]:
    """Mean and standard deviation over all numbers of the clips' spectrograms, in decibels; None without sound."""
    count = sum(int(np.prod(clip.mel_shape)) for clip in clips)
    if not count:
        return {'clips': 0, 'mean': None, 'std': None}
    mean = sum(clip.mel_sum for clip in clips) / count
    variance = sum(clip.mel_square_sum for clip in clips) / count - mean**2
    return {'clips': len(clips), 'mean': mean, 'std': float(np.sqrt(max(variance, 0.0)))}


def _is_done(clip: PreparedAVClip | None, job: AVClipJob) -> bool:
    return clip is not None and all(getattr(clip, name) == value for name, value in job.facts().items())


def _processes() -> BaseContext:
    """How processes start: forked from one that has imported everything, and has no threads."""
    context = multiprocessing.get_context('forkserver')
    context.set_forkserver_preload(['__main__', prepare_av_clip.__module__, 'librosa'])
    return context


def _one_thread() -> None:
    """Processes work side by side; threads of each would stand in each other's way."""
    torch.set_num_threads(1)
