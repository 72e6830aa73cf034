"""Sound of a camera trap: calls and background noise."""

from collections.abc import Callable

import numpy as np


def _time(seconds: float, rate: int) -> np.ndarray:
    return np.arange(round(seconds * rate)) / rate


def whistle(seconds: float, rate: int, pitch: float) -> np.ndarray:
    """A pure tone whose pitch falls by a third."""
    t = _time(seconds, rate)
    phase = 2 * np.pi * 2600 * pitch * (t - t**2 * 0.33 / (2 * seconds))
    return np.sin(phase) + 0.1 * np.sin(2 * phase)


def trill(seconds: float, rate: int, pitch: float) -> np.ndarray:
    """A tone of about the same pitch as a whistle, which wavers 38 times per second."""
    t = _time(seconds, rate)
    waver = np.sin(2 * np.pi * 38 * t)
    phase = 2 * np.pi * 2250 * pitch * t - 450 * pitch / 38 * np.cos(2 * np.pi * 38 * t)
    return (0.6 + 0.4 * waver) * np.sin(phase) + 0.1 * np.sin(2 * phase)


def hoot(seconds: float, rate: int, pitch: float) -> np.ndarray:
    """A low tone with overtones."""
    t = _time(seconds, rate)
    phase = 2 * np.pi * 420 * pitch * t + 0.6 * np.sin(np.pi * t / seconds)
    return np.sin(phase) + 0.5 * np.sin(2 * phase) + 0.25 * np.sin(3 * phase)


NOTES: dict[str, Callable[[float, int, float], np.ndarray]] = {'whistle': whistle, 'trill': trill, 'hoot': hoot}


def series(call: str, seconds: float, rate: int, per_second: float, rng: np.random.Generator) -> np.ndarray:
    """A series of an animal's calls.

    Args:
        call (str): Key of :data:`NOTES`.
        seconds (float): Length of the sound.
        rate (int): Samples per second.
        per_second (float): Notes per second.
        rng (Generator): Source of the random voice and times.

    Returns:
        np.ndarray: float64, shape (samples,), peaks near 1.
    """
    sound = np.zeros(round(seconds * rate))
    pitch = rng.uniform(0.9, 1.12)
    period = 1 / per_second
    length = min(0.55 * period, 0.34) * rng.uniform(0.9, 1.1)
    start = rng.uniform(0, min(period, 0.4))
    while start < seconds - 0.05:
        note = NOTES[call](length, rate, pitch * rng.uniform(0.98, 1.02))
        note *= np.sin(np.pi * (np.arange(len(note)) + 0.5) / len(note)) ** 0.5 * rng.uniform(0.75, 1)
        at = round(start * rate)
        sound[at : at + len(note)] += note[: len(sound) - at]
        start += period * rng.uniform(0.93, 1.07)
    return sound


def surroundings(seconds: float, rate: int, wind: float, rng: np.random.Generator) -> np.ndarray:
    """Background noise: gusts of wind, the microphone's hiss, insects in half of all places, a high bird in a third.

    Args:
        seconds (float): Length of the sound.
        rate (int): Samples per second.
        wind (float): Strength of the wind, 0..1.
        rng (Generator): Source of all random choices.

    Returns:
        np.ndarray: float64, shape (samples,), root mean square between 0.03 and 0.3.
    """
    t = _time(seconds, rate)
    gusts = 0.6 + 0.4 * np.sin(2 * np.pi * rng.uniform(0.2, 0.7) * t + rng.uniform(0, 6))
    sound = (0.04 + 0.22 * wind) * gusts * _band(len(t), rate, 0, 350, rng)
    sound += rng.uniform(0.01, 0.05) * rng.standard_normal(len(t))
    if rng.random() < 0.5:
        centre = rng.uniform(4500, 6500)
        beat = np.sin(2 * np.pi * rng.uniform(15, 45) * t) > rng.uniform(-0.5, 0.5)
        sound += rng.uniform(0.03, 0.15) * beat * _band(len(t), rate, centre - 250, centre + 250, rng)
    if rng.random() < 0.35:
        for start in rng.uniform(0, seconds - 0.2, int(rng.integers(1, 6))):
            chirp = _time(rng.uniform(0.05, 0.14), rate)
            at = round(start * rate)
            tone = np.sin(2 * np.pi * (rng.uniform(4000, 6000) * chirp + rng.uniform(-6000, 6000) * chirp**2))
            sound[at : at + len(chirp)] += rng.uniform(0.05, 0.3) * tone * np.sin(np.pi * chirp / chirp[-1])
    return sound


def _band(samples: int, rate: int, low: float, high: float, rng: np.random.Generator) -> np.ndarray:
    """Noise between two frequencies, with root mean square 1."""
    spectrum = np.fft.rfft(rng.standard_normal(samples))
    frequency = np.fft.rfftfreq(samples, 1 / rate)
    spectrum[(frequency < low) | (frequency > high)] = 0
    noise = np.fft.irfft(spectrum, samples)
    return noise / max(float(np.sqrt(np.mean(noise**2))), 1e-9)
