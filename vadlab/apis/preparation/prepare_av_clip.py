"""Prepare the files of one clip, in a worker process."""

import errno
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import torch

from vadlab.datasets.audio.audio_reader import read_audio
from vadlab.datasets.audio.log_mel import LogMelRecipe, log_mel
from vadlab.datasets.formats.av_clip_recipe import FrameRecipe, plan_av_clip
from vadlab.datasets.formats.prepared_av_clips import PreparedAVClip, frames_path, mel_path
from vadlab.datasets.video import index_video, read_frames
from vadlab.utils.atomic import atomic_path
from vadlab.utils.errors import DataError, MachineError, MissingDependencyError, VADLabError


@dataclass(frozen=True)
class AVClipJob:
    """A clip to prepare.

    Attributes:
        clip_id (str): Id in the metadata.
        video (str): Path below the folder of videos.
        video_path (str): Path of the file.
        video_bytes (int): Size of the file.
        start (float | None): Start in seconds.
        end (float | None): End in seconds.
        audio (str): Separate sound file below the folder of videos, if there is one.
        audio_path (str): File with the sound, usually the video.
        audio_bytes (int): Size of the separate sound file.
        out (str): Folder of prepared clips.
        frames (FrameRecipe): Settings of the frames.
        sound (LogMelRecipe): Settings of the spectrogram.
    """

    clip_id: str
    video: str
    video_path: str
    video_bytes: int
    start: float | None
    end: float | None
    audio: str
    audio_path: str
    audio_bytes: int
    out: str
    frames: FrameRecipe
    sound: LogMelRecipe

    def facts(self) -> dict[str, Any]:
        """Manifest fields that usable and unusable clips share."""
        names = ('clip_id', 'video', 'video_bytes', 'start', 'end', 'audio', 'audio_bytes')
        return {name: getattr(self, name) for name in names}


def prepare_av_clip(job: AVClipJob) -> PreparedAVClip:
    """Write the files of a clip; both are complete when this returns.

    Returns:
        PreparedAVClip: The entry of the manifest; ``bad`` is set if the video cannot be used.

    Raises:
        MissingDependencyError: librosa is not installed.
        MachineError: A file cannot be written.
    """
    try:
        return PreparedAVClip(**job.facts(), **_pictures(job), **_sound(job))
    except (MissingDependencyError, MachineError):
        raise
    except (VADLabError, OSError) as error:
        return PreparedAVClip(**job.facts(), bad=str(error))


def _pictures(job: AVClipJob) -> dict:
    index = index_video(job.video_path)
    plan = plan_av_clip(index, job.frames, job.start, job.end)
    size = (job.frames.height, job.frames.width)
    frames = read_frames(index, plan.frame_inds, size, interpolation=job.frames.interpolation)
    tensor = torch.from_numpy(frames).permute(0, 3, 1, 2).contiguous()
    note = ''
    if job.end is not None and job.end > index.duration_s + 0.5:
        note = f'ends at {job.end:g} s, but the video at {index.duration_s:.2f} s'
    return dict(
        frames_shape=list(tensor.shape),
        frames_bytes=_write(frames_path(job.out, job.clip_id), lambda file: torch.save(tensor, file)),
        frame_inds=plan.frame_inds.tolist(),
        times=[round(time, 6) for time in plan.times.tolist()],
        num_frames=plan.num_frames,
        duration=plan.duration,
        fps=plan.fps,
        note=note,
    )


def _sound(job: AVClipJob) -> dict[str, Any]:
    sound = read_audio(job.audio_path, job.sound.sample_rate, job.start or 0.0, job.end)
    if sound is None:
        return dict(sound='none')
    kind = 'silent' if sound.is_silent else 'track'
    facts = dict(sound=kind, file_rate=sound.file_rate, sound_notes=list(sound.notes))
    if kind == 'silent' and job.sound.silence == 'mask':
        return facts
    if not np.isfinite(sound.waveform).all():
        raise DataError(f'{job.audio_path}: the sound has samples that are NaN or infinite')
    mel = log_mel(sound.waveform, job.sound)
    return dict(
        facts,
        mel_shape=list(mel.shape),
        mel_bytes=_write(mel_path(job.out, job.clip_id), lambda file: np.save(file, mel)),
        mel_sum=float(mel.sum(dtype=np.float64)),
        mel_square_sum=float(np.square(mel, dtype=np.float64).sum()),
    )


def _write(path: Path, save: Callable[[BinaryIO], None]) -> int:
    """Write a file atomically; return its size in bytes.

    Raises:
        MachineError: The disk is full, or cannot be written to. No clip is at fault.
    """
    try:
        with atomic_path(path) as part, open(part, 'wb') as file:
            save(file)
            return file.tell()
    except (OSError, RuntimeError) as error:  # torch.save raises the latter, and np.save one without a number
        number = getattr(error, 'errno', None)
        if number not in (None, errno.ENOSPC, errno.EDQUOT, errno.EROFS):
            raise
        why = os.strerror(number or errno.ENOSPC)
        raise MachineError(f'{path} cannot be written: {why}. Make room, and give the same command again') from error
