import shutil
import subprocess
import wave

import numpy as np
import pytest

from vadlab.datasets.audio import read_audio, resample
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


def test_what_is_no_sound_is_an_error(tmp_path):
    (tmp_path / 'a.mp4').write_text('once upon a time')
    with pytest.raises(DamagedVideoError, match=r'a\.mp4: the sound cannot be decoded'):
        read_audio(str(tmp_path / 'a.mp4'), 16000)
    with pytest.raises(MissingFileError, match='There is no'):
        read_audio(str(tmp_path / 'b.mp4'), 16000)
