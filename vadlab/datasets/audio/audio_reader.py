"""The sound of a video."""

import os
from dataclasses import dataclass
from typing import Any

import av
import numpy as np
from av.error import FFmpegError

from ...utils.errors import MissingFileError
from ..video.errors import DamagedVideoError

_LOCAL_FILES_ONLY = {'protocol_whitelist': 'file'}
_PREROLL_S = 0.5  # a lossy codec's first packets after a seek depend on those before
_GAP_S = 0.05  # a jump of time stamps from which on sound is missing, not merely rounded
#: The least step of 16-bit sound. A microphone's own noise is some ten times louder.
SILENCE = 2.0**-15


@dataclass(frozen=True, eq=False)
class Sound:
    """The sound of a clip.

    Attributes:
        waveform (np.ndarray): Mean of the channels, float32, -1..1 (louder where the file is), shape (N,).
        sample_rate (int): Of ``waveform``, in Hz.
        file_rate (int): Of the file, in Hz; above half of it there is nothing to hear.
    """

    waveform: np.ndarray
    sample_rate: int
    file_rate: int

    @property
    def is_silent(self) -> bool:
        """Whether no sample differs from zero by more than the least step of 16-bit sound."""
        return not len(self.waveform) or float(np.abs(self.waveform).max()) <= SILENCE


def read_audio(path: str, sample_rate: int | None, start: float = 0.0, end: float | None = None) -> Sound | None:
    """Decode the sound of a video, or a part of it, as one channel.

    Samples are placed by their time stamps: sound that begins after the picture is preceded by zeros, and gaps are
    zeros, so that sound and pictures stay together.

    Args:
        path (str): A video, or a file of sound alone.
        sample_rate (int | None): In Hz, to resample to with FFmpeg's resampler; None keeps the file's.
        start (float): In seconds from the first picture (the first sample, where there is no picture).
        end (float | None): In seconds likewise; None takes all there is.

    Returns:
        Sound | None: None where the file has no track, or a track without one sample in this part.

    Raises:
        MissingFileError: There is no such file.
        DamagedVideoError: FFmpeg cannot decode it.
    """
    if not os.path.isfile(path):
        raise MissingFileError(f'There is no video {path}')
    try:
        # A slip in the text of a tag is no reason to refuse the sound.
        with av.open(path, options=dict(_LOCAL_FILES_ONLY), metadata_errors='replace') as container:
            stream = container.streams.best('audio')
            if stream is None:
                return None
            stream.codec_context.thread_count = 1
            native, rate = _decode(container, stream, start, end)
    except FFmpegError as error:
        raise DamagedVideoError(f'{path}: the sound cannot be decoded ({error.strerror or error})') from error
    if not len(native):
        return None
    wanted = sample_rate or rate
    return Sound(native if wanted == rate else resample(native, rate, wanted), wanted, rate)


def resample(waveform: np.ndarray, rate: int, wanted: int) -> np.ndarray:
    """Another sample rate, by FFmpeg's resampler (swresample).

    Args:
        waveform (np.ndarray): float32, shape (N,).
        rate (int): Its sample rate, in Hz.
        wanted (int): The new one, in Hz.

    Returns:
        np.ndarray: float32, shape (ceil(N * wanted / rate),), give or take a sample.
    """
    frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(waveform[None], np.float32), 'fltp', 'mono')
    frame.sample_rate = rate
    resampler = av.AudioResampler(format='fltp', layout='mono', rate=wanted)
    parts = [part.to_ndarray()[0] for piece in (frame, None) for part in resampler.resample(piece)]
    return np.concatenate(parts) if parts else np.zeros(0, np.float32)


def _decode(container: Any, stream: Any, start: float, end: float | None) -> tuple[np.ndarray, int]:
    """Samples of the part at the file's rate, float32, shape (N,), and that rate in Hz (0 where there is none)."""
    video = container.streams.best('video')
    leader = video if video is not None and video.start_time is not None else stream
    origin = start + float((leader.start_time or 0) * leader.time_base)
    if start > 2 * _PREROLL_S:
        container.seek(round((origin - _PREROLL_S) / stream.time_base), stream=stream)
    pieces: list[tuple[int, np.ndarray]] = []
    rate = position = 0  # of the next sample, from the start of the part
    for frame in container.decode(stream):
        if not rate:
            rate = frame.sample_rate
        stamped = position if frame.pts is None else round((float(frame.pts * frame.time_base) - origin) * rate)
        if not pieces or stamped - position > _GAP_S * rate:
            position = stamped
        samples = _mono(frame)
        pieces.append((position, samples))
        position += len(samples)
        if end is not None and position >= (end - start) * rate:
            break
    length = max(position, 0) if end is None else min(max(position, 0), round((end - start) * rate))
    waveform = np.zeros(length, np.float32)
    for at, samples in pieces:
        first = max(at, 0)
        heard = samples[first - at : max(length - at, 0)]
        waveform[first : first + len(heard)] = heard
    return waveform, rate


def _mono(frame: Any) -> np.ndarray:
    """The mean of a frame's channels, float32, shape (N,)."""
    kind = frame.format.name.removesuffix('p')
    samples = frame.to_ndarray()
    channels = samples if frame.format.is_planar else samples.reshape(-1, frame.layout.nb_channels).T
    if kind == 'u8':
        channels = channels.astype(np.float32) / 128 - 1
    elif kind in ('s16', 's32', 's64'):
        channels = channels / np.float64(2 ** (int(kind[1:]) - 1))
    return channels.mean(axis=0, dtype=np.float64).astype(np.float32)
