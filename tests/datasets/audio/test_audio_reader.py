import shutil
import struct
import subprocess
import wave

import av
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vadlab.datasets.audio.audio_reader import CHANNELS_CANCEL, FURTHER_TRACKS, TRACK_IS_SILENT, read_audio, resample
from vadlab.datasets.video import DamagedVideoError
from vadlab.utils.errors import MissingFileError

from ..wildlife_clips import tone, write_clip, write_wav

needs_ffmpeg = pytest.mark.skipif(shutil.which('ffmpeg') is None, reason='the ffmpeg program is not installed')


def by_ffmpeg(path, *options):
    """All samples of a file's sound, as the ffmpeg program decodes them."""
    command = ['ffmpeg', '-v', 'error', '-i', str(path), '-map', '0:a', *options, '-f', 'f32le', '-']
    return np.frombuffer(subprocess.run(command, capture_output=True, check=True).stdout, np.float32)


@pytest.fixture
def noise():
    return np.random.default_rng(0).integers(-20000, 20000, 4000).astype(np.int16)


def test_samples_of_a_wav_equal_the_wave_module(tmp_path, noise):
    path = write_wav(tmp_path / 'a.wav', noise, 22050)
    sound = read_audio(str(path), None)
    with wave.open(str(path)) as file:
        expected = np.frombuffer(file.readframes(file.getnframes()), np.int16) / 32768
    assert sound.sample_rate == sound.file_rate == 22050
    np.testing.assert_array_equal(sound.waveform, expected.astype(np.float32))


def test_two_channels_become_their_mean(tmp_path, noise):
    path = write_wav(tmp_path / 'a.wav', np.stack([noise, -noise // 2], axis=1))
    expected = (noise / 32768 + (-noise // 2) / 32768) / 2
    np.testing.assert_array_equal(read_audio(str(path), None).waveform, expected.astype(np.float32))


@pytest.mark.parametrize('kind', ['pcm_u8', 'pcm_s32le', 'pcm_f32le', 'pcm_f64le'])
@needs_ffmpeg
def test_every_format_of_samples_equals_ffmpeg(tmp_path, noise, kind):
    source = write_wav(tmp_path / 'a.wav', np.stack([noise, noise[::-1]], axis=1))
    path = tmp_path / f'{kind}.wav'
    subprocess.run(['ffmpeg', '-v', 'error', '-i', str(source), '-c:a', kind, str(path)], check=True)
    expected = by_ffmpeg(path).reshape(-1, 2).mean(axis=1)
    np.testing.assert_allclose(read_audio(str(path), None).waveform, expected, atol=1e-7)


@needs_ffmpeg
def test_the_track_of_a_video_equals_ffmpeg(tmp_path):
    path = write_clip(tmp_path / 'a.mp4', sound=tone(2.0, 44100), rate=44100)
    sound = read_audio(str(path), None)
    assert sound.file_rate == 44100
    np.testing.assert_allclose(sound.waveform, by_ffmpeg(path), atol=1e-6)


@needs_ffmpeg
def test_another_sample_rate_equals_ffmpeg(tmp_path):
    path = write_clip(tmp_path / 'a.mov', sound=tone(1.5, 48000), rate=48000, codec='pcm_s16le')
    expected = by_ffmpeg(path, '-ar', '16000')
    found = read_audio(str(path), 16000).waveform
    assert abs(len(found) - len(expected)) <= 1
    count = min(len(found), len(expected))
    np.testing.assert_allclose(found[:count], expected[:count], atol=1e-4)


def test_resampled_tone_is_the_same_tone():
    found = resample(tone(1.0, 8000), 8000, 16000)
    assert len(found) == pytest.approx(16000, abs=16)
    middle = slice(2000, 12000)
    np.testing.assert_allclose(found[middle], tone(1.0, 16000)[: len(found)][middle], atol=2e-3)


@pytest.mark.parametrize(('start', 'end'), [(0.0, 0.5), (0.7, 1.3), (1.4, None)])
def test_a_part_equals_that_part_of_the_whole(tmp_path, start, end):
    rate = 16000
    samples = np.random.default_rng(1).uniform(-0.5, 0.5, 2 * rate).astype(np.float32)
    path = write_clip(tmp_path / 'a.mov', sound=samples, codec='pcm_s16le')
    whole = read_audio(str(path), None).waveform
    part = read_audio(str(path), None, start, end).waveform
    np.testing.assert_array_equal(part, whole[round(start * rate) : None if end is None else round(end * rate)])


def test_a_part_far_inside_is_found_by_seeking(tmp_path):
    path = write_clip(tmp_path / 'a.mp4', 120, tone(12.0) * np.linspace(0, 1, 12 * 16000, dtype=np.float32))
    whole = read_audio(str(path), None).waveform
    part = read_audio(str(path), None, 9.0, 10.0).waveform
    np.testing.assert_allclose(part, whole[9 * 16000 : 10 * 16000], atol=1e-5)


def test_sound_that_begins_later_keeps_its_time(tmp_path):
    path = write_clip(tmp_path / 'a.mkv', sound=tone(1.0), codec='pcm_s16le', sound_from=0.5)
    waveform = read_audio(str(path), None).waveform
    assert len(waveform) == 24000
    assert not waveform[:8000].any()
    np.testing.assert_allclose(waveform[8000:], tone(1.0), atol=1e-4)
    part = read_audio(str(path), None, 0.4, 0.6).waveform
    np.testing.assert_array_equal(part, waveform[6400:9600])


def test_no_track_is_none_and_so_is_a_part_after_its_end(tmp_path):
    assert read_audio(str(write_clip(tmp_path / 'a.mp4')), 16000) is None
    path = write_clip(tmp_path / 'b.mp4', 40, tone(1.0))
    assert read_audio(str(path), 16000, 3.0, 4.0) is None


@pytest.mark.parametrize(('level', 'silent'), [(0.0, True), (1e-5, True), (3e-3, False)])
def test_silence_is_what_16_bits_cannot_tell_from_zero(tmp_path, level, silent):
    path = write_clip(tmp_path / 'a.mov', sound=tone(0.5, level=level), codec='pcm_s16le')
    assert read_audio(str(path), None).is_silent is silent


@pytest.mark.parametrize(
    ('rate', 'sample', 'message'),
    [
        (16_000, np.nan, 'NaN or infinite'),
        (16_000, -np.inf, 'NaN or infinite'),
        (2**31 - 1, 0.5, 'sample rate of 2147'),
    ],
)
def test_samples_and_rates_that_no_sound_has(tmp_path, rate, sample, message):
    samples = np.full(100, sample, '<f4').tobytes()
    header = struct.pack('<4sI8sIHHIIHH4sI', b'RIFF', 436, b'WAVEfmt ', 16, 3, 1, rate, 4, 4, 32, b'data', 400)
    (tmp_path / 'a.wav').write_bytes(header + samples)
    with pytest.raises(DamagedVideoError, match=message):
        read_audio(str(tmp_path / 'a.wav'), 16_000)


def test_what_is_no_sound_is_an_error(tmp_path):
    (tmp_path / 'a.mp4').write_text('once upon a time')
    with pytest.raises(DamagedVideoError, match=r'a\.mp4: the sound cannot be decoded'):
        read_audio(str(tmp_path / 'a.mp4'), 16000)
    with pytest.raises(MissingFileError, match='There is no'):
        read_audio(str(tmp_path / 'b.mp4'), 16000)


@pytest.mark.parametrize(('name', 'codec', 'tolerance'), [('a.mp4', 'aac', 0.05), ('a.mov', 'pcm_s16le', 1e-4)])
def test_channels_that_cancel_are_heard(tmp_path, name, codec, tolerance):
    """One microphone wired the wrong way round: the mean would be silence."""
    left = tone(1.0, hz=1000)
    path = write_clip(tmp_path / name, sound=np.stack([-0.9 * left, left], axis=1), codec=codec)
    sound = read_audio(str(path), None)
    assert sound.notes == (CHANNELS_CANCEL,)
    middle = slice(2000, 14000)
    assert len(sound.waveform) >= 16000
    found = sound.waveform[middle]
    lag = np.argmax(np.correlate(sound.waveform, left[:1000], 'valid')[:1200]) if codec == 'aac' else 0
    np.testing.assert_allclose(found, left[2000 - lag : 14000 - lag], atol=tolerance)


@given(st.floats(-1, 1), st.floats(0.05, 1), st.integers(2, 6))
@settings(deadline=None, max_examples=25)
def test_the_mean_is_kept_unless_it_loses_what_was_there(tmp_path_factory, correlation, level, channels):
    """The first channel and one that correlates with it, any others silent."""
    random = np.random.default_rng(0)
    first, other = random.normal(size=(2, 2000))
    second = level * (correlation * first + np.sqrt(1 - correlation**2) * other)
    mixed = np.zeros((2000, channels))
    mixed[:, :2] = np.stack([first, second], axis=1)
    samples = np.round(mixed / np.abs(mixed).max() * 30000).astype(np.int16)
    path = write_wav(tmp_path_factory.mktemp('mix') / 'a.wav', samples)
    sound = read_audio(str(path), None)
    mean = samples.mean(axis=1) / 32768
    kept = np.square(mean).mean() / (np.square(samples / 32768).mean(axis=0).sum() / channels**2)
    if kept < 0.1:
        assert sound.notes == (CHANNELS_CANCEL,)
        loudest = np.square(samples / 32768).sum(axis=0).argmax()
        np.testing.assert_array_equal(sound.waveform, (samples[:, loudest] / 32768).astype(np.float32))
    else:
        assert sound.notes == ()
        np.testing.assert_allclose(sound.waveform, mean, atol=1e-7)


def test_one_dead_channel_of_two_is_no_reason_to_leave_the_mean(tmp_path, noise):
    path = write_wav(tmp_path / 'a.wav', np.stack([noise, 0 * noise], axis=1))
    sound = read_audio(str(path), None)
    assert sound.notes == ()
    np.testing.assert_array_equal(sound.waveform, (noise / 32768 / 2).astype(np.float32))


def test_a_part_of_channels_that_cancel_equals_that_part_of_the_whole(tmp_path):
    left = np.random.default_rng(1).uniform(-0.5, 0.5, 48000).astype(np.float32)
    path = write_clip(tmp_path / 'a.mov', 30, np.stack([left, -left], axis=1), codec='pcm_s16le')
    whole, part = read_audio(str(path), 8000), read_audio(str(path), None, 1.5, 2.0)
    assert whole.notes == part.notes == (CHANNELS_CANCEL,)
    assert (whole.sample_rate, whole.file_rate) == (8000, 16000)
    np.testing.assert_allclose(part.waveform, left[24000:32000], atol=1e-4)


def write_tracks(path, *tracks):
    """Sound alone, several tracks, 16 kHz."""
    with av.open(str(path), 'w') as out:
        streams = [out.add_stream('pcm_s16le', rate=16000, layout='mono') for _ in tracks]
        for stream, samples in zip(streams, tracks, strict=True):
            frame = av.AudioFrame.from_ndarray(np.round(samples * 32767).astype(np.int16)[None], 's16', 'mono')
            frame.sample_rate, frame.pts = 16000, 0
            out.mux(stream.encode(frame))
            out.mux(stream.encode(None))
    return str(path)


@pytest.mark.parametrize(
    ('levels', 'heard', 'notes'),
    [
        ((0, 0.5), 1, (TRACK_IS_SILENT,)),
        ((0, 0, 0.5), 2, (TRACK_IS_SILENT,)),
        ((0.25, 0.5), 0, (FURTHER_TRACKS,)),
        ((0, 0), 0, (FURTHER_TRACKS,)),
        ((0.5,), 0, ()),
    ],
)
def test_the_first_track_with_sound_is_taken(tmp_path, levels, heard, notes):
    tracks = [level * tone(0.5, hz=300 * (i + 1), level=1) for i, level in enumerate(levels)]
    sound = read_audio(write_tracks(tmp_path / 'a.mkv', *tracks), None)
    assert sound.notes == notes
    assert sound.is_silent is not any(levels)
    np.testing.assert_allclose(sound.waveform, tracks[heard], atol=1e-4)


def test_a_jump_of_years_is_damage_and_takes_no_memory(tmp_path):
    path = write_tracks(tmp_path / 'a.mkv', tone(0.5))
    sound = read_audio(path, None)
    assert len(sound.waveform) == 8000
    with av.open(str(tmp_path / 'b.mkv'), 'w') as out:
        stream = out.add_stream('pcm_s16le', rate=16000, layout='mono')
        for pts in (0, 16000 * 3600 * 24 * 365):
            frame = av.AudioFrame.from_ndarray(np.ones((1, 1600), np.int16), 's16', 'mono')
            frame.sample_rate, frame.pts = 16000, pts
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    with pytest.raises(DamagedVideoError, match=r'b\.mkv: the time stamps of its sound jump'):
        read_audio(str(tmp_path / 'b.mkv'), None)
