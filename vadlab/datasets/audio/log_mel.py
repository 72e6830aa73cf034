"""Log-mel spectrograms, and the recipe with all their parameters."""

import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np

from ...utils.errors import ConfigError, MissingDependencyError


@dataclass(frozen=True)
class LogMelRecipe:
    """Parameters of a log-mel spectrogram.

    Rate, window and hop are those of MBT (Nagrani et al., 2021) and AST (Gong et al., 2021): 16 kHz, 25 ms, 10 ms,
    128 bands. The window is padded to 1024 samples before the transform: with 400 samples, frequencies are 40 Hz apart,
    but the lowest of 128 bands 23 Hz, so neighbouring bands would read the same frequency.

    Attributes:
        sample_rate (int): Sound is resampled to this rate, in Hz. Frequencies above half of it are lost.
        window (int): Length of the Hann window, in samples.
        hop (int): Distance of columns, in samples.
        fft (int): Length of the Fourier transform, in samples, >= ``window``.
        bands (int): Mel bands (Slaney's scale and norm, librosa's defaults).
        low_hz (float): Lower end of the lowest band, in Hz.
        high_hz (float | None): Upper end of the highest band, in Hz; None for half of ``sample_rate``.
        floor_db (float): Lower values are set to this, in decibels; a power of 1 is 0 dB.
        silence (str): Treatment of a track whose samples are all zero. ``mask``: it counts as no sound, since a
            working microphone has noise. ``keep``: it is silence, a spectrogram of ``floor_db`` everywhere.

    Raises:
        ConfigError: An option has an invalid value.
    """

    sample_rate: int = 16000
    window: int = 400
    hop: int = 160
    fft: int = 1024
    bands: int = 128
    low_hz: float = 0.0
    high_hz: float | None = None
    floor_db: float = -100.0
    silence: str = 'mask'

    def __post_init__(self) -> None:
        for name in ('sample_rate', 'window', 'hop', 'fft', 'bands'):
            if not isinstance(getattr(self, name), int) or getattr(self, name) < 1:
                raise ConfigError(f'LogMelRecipe: {name} must be a whole number >= 1, not {getattr(self, name)!r}')
        if self.fft < self.window:
            raise ConfigError(f'LogMelRecipe: fft={self.fft} must not be less than window={self.window}')
        if not 0 <= self.low_hz < self.top_hz <= self.sample_rate / 2:
            raise ConfigError(
                f'LogMelRecipe: bands from {self.low_hz:g} to {self.top_hz:g} Hz do not lie within 0 and '
                f'{self.sample_rate / 2:g} Hz, half of sample_rate={self.sample_rate}'
            )
        if self.silence not in ('mask', 'keep'):
            raise ConfigError(f'LogMelRecipe: silence is {self.silence!r}; choose mask or keep')

    @property
    def top_hz(self) -> float:
        """Upper end of the highest band, in Hz."""
        return self.sample_rate / 2 if self.high_hz is None else self.high_hz

    @property
    def hop_s(self) -> float:
        """Distance of columns, in seconds."""
        return self.hop / self.sample_rate


def log_mel(waveform: np.ndarray, recipe: LogMelRecipe) -> np.ndarray:
    """Log-mel spectrogram of a waveform: power in decibels, computed by librosa.

    Column t is centred on sample ``t * hop``; the waveform is padded with zeros at both ends.

    Args:
        waveform (np.ndarray): float32 at the recipe's sample rate, shape (N,), N >= 1.
        recipe (LogMelRecipe): Parameters of the spectrogram.

    Returns:
        np.ndarray: float32, shape (bands, 1 + N // hop), >= ``floor_db``.

    Raises:
        ConfigError: There are so many bands that some contain no frequency.
        MissingDependencyError: librosa is not installed.
    """
    librosa = import_librosa()
    with warnings.catch_warnings():
        warnings.filterwarnings('error', message='Empty filters')
        # Sound shorter than a window is padded like any other.
        warnings.filterwarnings('ignore', message='n_fft=.* is too large')
        try:
            power = librosa.feature.melspectrogram(
                y=waveform,
                sr=recipe.sample_rate,
                n_fft=recipe.fft,
                win_length=recipe.window,
                hop_length=recipe.hop,
                n_mels=recipe.bands,
                fmin=recipe.low_hz,
                fmax=recipe.top_hz,
                center=True,
                pad_mode='constant',
                power=2.0,
            )
        except UserWarning as error:
            raise ConfigError(
                f'LogMelRecipe: {recipe.bands} bands are too many for fft={recipe.fft} at {recipe.sample_rate} Hz: '
                'some hold no frequency. Take a longer fft or fewer bands'
            ) from error
    return librosa.power_to_db(power, ref=1.0, amin=10 ** (recipe.floor_db / 10), top_db=None).astype(np.float32)


def import_librosa() -> Any:
    """The librosa package.

    Raises:
        MissingDependencyError: It is not installed.
    """
    try:
        import librosa
    except ImportError as error:
        raise MissingDependencyError(
            'Spectrograms need librosa: pip install "vadlab[audio]"  (or: pip install librosa)'
        ) from error
    return librosa
