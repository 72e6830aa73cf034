"""The sound of a video."""

import os
from dataclasses import dataclass, replace
from typing import Any

import av
import numpy as np
from av.error import FFmpegError

from vadlab.utils.av_input import open_input, video_stream

from ...utils.errors import MissingFileError
from ...utils.required_files import no_file_advice
from ..video.errors import DamagedVideoError
from ..video.video_index import set_up_decoder

_LOCAL_FILES_ONLY = {'protocol_whitelist': 'file'}
_PREROLL_S = 0.5  # the first packets of a lossy codec after a seek depend on earlier ones
_GAP_S = 0.05  # from this jump of time stamps on, sound is missing; smaller jumps are rounding
#: The least step of 16-bit sound. A microphone's own noise is some ten times louder.
SILENCE = 2.0**-15
_MOST_MISSING_S = 3600.0  # above this sum of gaps, time stamps are wrong
_LEAST_RATE = 100  # Hz
_MOST_RATE = 1_000_000  # Hz; a damaged header's rate would ask for gigabytes
# The mean of C independent channels of equal power has 1 / C of that power. With 10 dB less, they cancel.
_CANCELLED = 0.1
CHANNELS_CANCEL = 'the channels cancel in their mean; the loudest one is taken'
TRACK_IS_SILENT = 'the first track is silent; the first one with sound is taken'
FURTHER_TRACKS = 'further tracks are not read'


@dataclass(frozen=True, eq=False)
class Sound:
    """The sound of a clip.

    Attributes:
        waveform (np.ndarray): Mean of the channels, or the loudest channel if channels cancel; float32, -1..1 (beyond
            if the file clips), shape (N,).
        sample_rate (int): Sample rate of ``waveform``, in Hz.
        file_rate (int): Sample rate of the file, in Hz; there is no sound above half of it.
        notes (tuple[str, ...]): What was chosen or skipped: :data:`CHANNELS_CANCEL`, :data:`TRACK_IS_SILENT`,
            :data:`FURTHER_TRACKS`.
    """

    waveform: np.ndarray
    sample_rate: int
    file_rate: int
    notes: tuple[str, ...] = ()

    @property
    def is_silent(self) -> bool:
        """Whether no sample differs from zero by more than one step of 16-bit sound."""
        return not len(self.waveform) or float(np.abs(self.waveform).max()) <= SILENCE


def read_audio(path: str, sample_rate: int | None, start: float = 0.0, end: float | None = None) -> Sound | None:
    """Decode the sound of a video, or a part of it, as one channel.

    Samples are placed by their time stamps: sound that begins after the picture is preceded by zeros, and gaps are
    filled with zeros, so that sound and pictures stay synchronous.

    The result is the mean of all channels. If channels of opposite phase cancel (the mean has less than a tenth of the
    power that it would have for independent channels), it is the loudest channel. Of several tracks, FFmpeg's best one
    is read, or, if that is silent, the first other one that is not.

    Args:
        path (str): A video, or a file with only sound.
        sample_rate (int | None): Sample rate of the result, in Hz, by FFmpeg's resampler; None keeps the file's.
        start (float): In seconds from the first picture, or from the first sample if there is no picture.
        end (float | None): In seconds from the same point; None reads to the end.

    Returns:
        Sound | None: None if the file has no track, or no sample in this part.

    Raises:
        MissingFileError: There is no such file.
        DamagedVideoError: FFmpeg cannot decode it, or its time stamps, sample rate or samples are impossible.
    """
    if not os.path.isfile(path):
        raise MissingFileError(f'There is no video {path}{no_file_advice(path)}')
    try:
        sound, tracks = _best_track(path, start, end)
    except FFmpegError as error:
        raise DamagedVideoError(f'{path}: the sound cannot be decoded ({error.strerror or error})') from error
    if sound is None:
        return None
    if tracks > 1 and TRACK_IS_SILENT not in sound.notes:
        sound = replace(sound, notes=(*sound.notes, FURTHER_TRACKS))
    wanted = sample_rate or sound.file_rate
    if wanted == sound.file_rate:
        return sound
    return replace(sound, waveform=resample(sound.waveform, sound.file_rate, wanted), sample_rate=wanted)


def resample(waveform: np.ndarray, rate: int, wanted: int) -> np.ndarray:
    """Resample a waveform by FFmpeg's resampler (swresample).

    Args:
        waveform (np.ndarray): float32, shape (N,).
        rate (int): Its sample rate, in Hz.
        wanted (int): The new one, in Hz.

    Returns:
        np.ndarray: float32, shape (ceil(N * wanted / rate),), plus or minus one sample.
    """
    frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(waveform[None], np.float32), 'fltp', 'mono')
    frame.sample_rate = rate
    resampler = av.AudioResampler(format='fltp', layout='mono', rate=wanted)
    parts = [part.to_ndarray()[0] for piece in (frame, None) for part in resampler.resample(piece)]
    return np.concatenate(parts) if parts else np.zeros(0, np.float32)


def _best_track(path: str, start: float, end: float | None) -> tuple[Sound | None, int]:
    """The first track that is not silent, else the first one; and the number of tracks."""
    first, tracks, track = None, 1, 0
    while track < tracks:
        sound, tracks = _track(path, track, start, end)
        if sound is not None and not sound.is_silent:
            return (sound if not track else replace(sound, notes=(*sound.notes, TRACK_IS_SILENT))), tracks
        first = first or sound
        track += 1
    return first, tracks


def _track(
    path: str, track: int, start: float, end: float | None, channel: int | None = None
) -> tuple[Sound | None, int]:
    """One track at the file's rate, the best one first, and the number of tracks."""
    with open_input(path, options=dict(_LOCAL_FILES_ONLY)) as container:
        best = container.streams.best('audio')
        if best is None:
            return None, 0
        others = [s for s in container.streams.audio if s.index != best.index and s.codec_context is not None]
        streams = [best, *others]
        stream = streams[track]
        set_up_decoder(path, stream)
        waveform, rate, power = _decode(path, container, stream, start, end, channel)
    if not len(waveform):
        return None, len(streams)
    power_of_mean, *powers = power
    if channel is None and power_of_mean < _CANCELLED * sum(powers) / max(len(powers), 1) ** 2:
        sound, _ = _track(path, track, start, end, int(np.argmax(powers)))
        return (None if sound is None else replace(sound, notes=(CHANNELS_CANCEL,))), len(streams)
    return Sound(waveform, rate, rate), len(streams)


def _decode(
    path: str, container: Any, stream: Any, start: float, end: float | None, channel: int | None
) -> tuple[np.ndarray, int, np.ndarray]:
    """Decode a part of a track.

    Returns:
        Samples at the file's rate, float32, shape (N,); that rate in Hz (0 if there is no sample); and the power of the
        mean and of each channel, shape (1 + C,).
    """
    video = video_stream(container)
    leader = video if video is not None and video.start_time is not None else stream
    origin = start + float((leader.start_time or 0) * leader.time_base)
    if start > 2 * _PREROLL_S:
        container.seek(round((origin - _PREROLL_S) / stream.time_base), stream=stream)
    pieces: list[tuple[int, np.ndarray]] = []
    powers: list[np.ndarray] = []
    rate = position = 0  # of the next sample, from the start of the part
    for frame in container.decode(stream):
        if not rate:
            rate = frame.sample_rate
            if not _LEAST_RATE <= rate <= _MOST_RATE:
                raise DamagedVideoError(f'{path}: its sound has a sample rate of {rate} Hz')
        stamped = position if frame.pts is None else round((float(frame.pts * frame.time_base) - origin) * rate)
        if not pieces or stamped - position > _GAP_S * rate:
            position = stamped
        channels = _channels(frame)
        mean = channels.mean(axis=0, dtype=np.float64)
        powers.append(np.array([np.square(samples, dtype=np.float64).sum() for samples in (mean, *channels)]))
        # A track may change its layout and lose the chosen channel; the mean replaces it.
        samples = mean if channel is None or channel >= len(channels) else channels[channel]
        pieces.append((position, samples.astype(np.float32)))
        position += len(samples)
        if end is not None and position >= (end - start) * rate:
            break
    length = max(position, 0) if end is None else min(max(position, 0), round((end - start) * rate))
    if length > sum(len(samples) for _, samples in pieces) + _MOST_MISSING_S * rate:
        raise DamagedVideoError(f'{path}: the time stamps of its sound jump by {length / rate:.0f} s')
    waveform = np.zeros(length, np.float32)
    for at, samples in pieces:
        first = max(at, 0)
        heard = samples[first - at : max(length - at, 0)]
        waveform[first : first + len(heard)] = heard
    if not np.isfinite(waveform).all():
        raise DamagedVideoError(f'{path}: its sound has samples that are NaN or infinite')
    alike = powers if len({len(power) for power in powers}) == 1 else []
    return waveform, rate, np.sum(alike, axis=0) if alike else np.zeros(1)


def _channels(frame: Any) -> np.ndarray:
    """A frame's channels, -1..1, shape (C, N)."""
    kind = frame.format.name.removesuffix('p')
    samples = frame.to_ndarray()
    channels = samples if frame.format.is_planar else samples.reshape(-1, frame.layout.nb_channels).T
    if kind == 'u8':
        return channels.astype(np.float32) / 128 - 1
    if kind in ('s16', 's32', 's64'):
        return channels / np.float64(2 ** (int(kind[1:]) - 1))
    return channels
