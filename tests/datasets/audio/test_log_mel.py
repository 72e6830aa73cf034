import sys

import numpy as np
import pytest

from vadlab.datasets.audio.log_mel import LogMelRecipe, log_mel
from vadlab.utils.errors import ConfigError, MissingDependencyError

from ..wildlife_clips import tone

librosa = pytest.importorskip('librosa')


@pytest.fixture
def waveform():
    return np.random.default_rng(0).normal(0, 0.1, 20000).astype(np.float32)


def test_log_mel_equals_librosa(waveform):
    recipe = LogMelRecipe()
    power = librosa.feature.melspectrogram(
        y=waveform, sr=16000, n_fft=1024, win_length=400, hop_length=160, n_mels=128, fmin=0, fmax=8000
    )
    found = log_mel(waveform, recipe)
    assert found.dtype == np.float32
    assert found.shape == (128, 1 + 20000 // 160)
    np.testing.assert_array_equal(found, librosa.power_to_db(power, top_db=None))


def test_log_mel_equals_a_few_lines_of_numpy(waveform):
    recipe = LogMelRecipe(bands=40, window=320, hop=200, fft=512, low_hz=50.0, high_hz=6000.0)
    window = np.zeros(512)
    window[96:416] = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(320) / 320)
    padded = np.pad(waveform.astype(np.float64), 256)
    frames = np.stack([padded[i : i + 512] * window for i in range(0, len(waveform) + 1, 200)])
    power = np.abs(np.fft.rfft(frames)) ** 2
    bank = librosa.filters.mel(sr=16000, n_fft=512, n_mels=40, fmin=50, fmax=6000)
    expected = 10 * np.log10(np.maximum(bank @ power.T, 1e-10))
    np.testing.assert_allclose(log_mel(waveform, recipe), expected, atol=1e-3)


def test_a_tone_lies_in_its_band():
    recipe = LogMelRecipe()
    centres = librosa.mel_frequencies(130, fmin=0, fmax=8000)[1:-1]
    loudest = log_mel(tone(1.0, hz=1000), recipe).mean(axis=1).argmax()
    assert abs(centres[loudest] - 1000) < 40


def test_silence_is_the_floor_and_a_short_sound_one_column():
    silence = log_mel(np.zeros(1600, np.float32), LogMelRecipe(floor_db=-80.0))
    np.testing.assert_allclose(silence, -80.0, rtol=1e-6)
    assert log_mel(np.ones(10, np.float32), LogMelRecipe()).shape == (128, 1)


def test_bands_that_hold_nothing_are_an_error(waveform):
    with pytest.raises(ConfigError, match='256 bands are too many for fft=400 at 16000 Hz'):
        log_mel(waveform, LogMelRecipe(fft=400, bands=256))


@pytest.mark.parametrize(
    ('options', 'match'),
    [
        (dict(hop=0), 'hop must be a whole number >= 1'),
        (dict(bands=12.5), 'bands must be a whole number'),
        (dict(fft=256), 'fft=256 must not be less than window=400'),
        (dict(sample_rate=8000, high_hz=8000), 'bands from 0 to 8000 Hz do not lie within 0 and 4000 Hz'),
        (dict(silence='ignore'), 'choose mask or keep'),
    ],
)
def test_recipes_that_cannot_be(options, match):
    with pytest.raises(ConfigError, match=match):
        LogMelRecipe(**options)


def test_missing_librosa_names_the_command(waveform, monkeypatch):
    monkeypatch.setitem(sys.modules, 'librosa', None)
    with pytest.raises(MissingDependencyError, match=r'pip install "vadlab\[audio\]"'):
        log_mel(waveform, LogMelRecipe())
