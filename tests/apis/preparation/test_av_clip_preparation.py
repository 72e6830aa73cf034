import errno
import json
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.datasets.turned_videos import TURNS, turn_mp4
from tests.datasets.wildlife_clips import METADATA, tone, write_clip, write_set, write_wav
from vadlab.apis.preparation import av_clip_preparation as module
from vadlab.apis.preparation.av_clip_preparation import AVClipPreparation, mel_statistics
from vadlab.datasets.audio.audio_reader import CHANNELS_CANCEL, read_audio
from vadlab.datasets.audio.log_mel import LogMelRecipe, log_mel
from vadlab.datasets.formats.av_clip_metadata import AVClipRecord, read_metadata
from vadlab.datasets.formats.av_clip_recipe import FrameRecipe
from vadlab.datasets.formats.prepared_av_clips import frames_path, mel_path, read_manifest, reading_note
from vadlab.datasets.video import read_frames
from vadlab.utils.errors import ConfigError, DataError, MachineError, MissingFileError

from .crashing import crash_on_fox1

pytest.importorskip('librosa')

ROOT = Path(__file__).parents[3]
SMALL = FrameRecipe(num_frames=4, height=24, width=32)


@pytest.fixture
def folder(tmp_path):
    return write_set(tmp_path)


def preparation(folder, frames=SMALL, sound=None, workers=1):
    return AVClipPreparation(folder / 'processed', folder / 'videos', frames, sound or LogMelRecipe(bands=16), workers)


def run(folder, **options):
    return preparation(folder, **options).run(read_metadata(folder / 'metadata.csv'))


def files(folder):
    """Prepared files and their bytes."""
    out = folder / 'processed'
    return {p.relative_to(out).as_posix(): p.read_bytes() for kind in ('*.pt', '*.npy') for p in out.rglob(kind)}


def test_frames_equal_the_readers_and_spectrograms_librosas(folder):
    report = run(folder)
    assert report.done == ['deer1', 'fox1', 'fox2', 'deer2', 'fox3']
    assert report.frames == 20 + 12 + 10 + 15 + 7
    video = str(folder / 'videos/three.mp4')
    frames = torch.load(frames_path(folder / 'processed', 'fox2'), weights_only=True)
    expected = read_frames(video, np.array([6, 8, 11, 13]), (24, 32), interpolation='bilinear')
    assert frames.dtype == torch.uint8
    np.testing.assert_array_equal(frames.numpy(), expected.transpose(0, 3, 1, 2))
    mel = np.load(mel_path(folder / 'processed', 'fox2'))
    np.testing.assert_array_equal(mel, log_mel(read_audio(video, 16000, 0.5, 1.5).waveform, LogMelRecipe(bands=16)))
    assert (mel.dtype, mel.shape) == (np.float32, (16, 101))
    assert not mel_path(folder / 'processed', 'fox1').exists()


def test_the_manifest_tells_what_the_files_are(folder):
    run(folder)
    clips = read_manifest(folder / 'processed')
    assert {name: clip.sound for name, clip in clips.items()} == {
        'deer1': 'track', 'fox1': 'none', 'fox2': 'track', 'deer2': 'track', 'fox3': 'none',
    }  # fmt: skip
    clip = clips['fox2']
    assert (clip.frames_shape, clip.frame_inds, clip.num_frames) == ([4, 3, 24, 32], [6, 8, 11, 13], 10)
    np.testing.assert_allclose(clip.times, [0.1, 0.3, 0.6, 0.8])
    assert clip.frames_bytes == frames_path(folder / 'processed', 'fox2').stat().st_size
    assert (clip.mel_shape, clip.file_rate) == ([16, 101], 16000)
    recipe = json.loads((folder / 'processed/recipe.json').read_text())
    assert recipe['recipe']['sound']['bands'] == 16
    assert 'librosa' in recipe['facts']['versions']


def test_statistics_are_those_of_all_training_spectrograms_together(folder):
    run(folder)
    numbers = np.concatenate([np.load(mel_path(folder / 'processed', name)).ravel() for name in ('deer1', 'fox2')])
    found = json.loads((folder / 'processed/statistics.json').read_text())['sound']
    assert found['clips'] == 2
    assert found['mean'] == pytest.approx(float(numbers.mean(dtype=np.float64)))
    assert found['std'] == pytest.approx(float(numbers.std(dtype=np.float64)))
    assert mel_statistics([]) == {'clips': 0, 'mean': None, 'std': None}


def test_a_second_run_does_nothing_and_a_lost_or_cut_file_is_made_again(folder):
    run(folder)
    before = files(folder)
    assert len(run(folder).skipped) == 5
    frames_path(folder / 'processed', 'fox1').unlink()
    cut = mel_path(folder / 'processed', 'deer2')
    cut.write_bytes(cut.read_bytes()[:-100])
    assert sorted(run(folder).done) == ['deer2', 'fox1']
    assert files(folder) == before


def test_a_changed_video_or_part_is_prepared_again(folder):
    run(folder)
    write_clip(folder / 'videos/four.mp4', 9)
    (folder / 'metadata.csv').write_text(METADATA.replace('0.5,1.5', '0.5,1.2'))
    assert sorted(run(folder).done) == ['fox2', 'fox3']
    assert read_manifest(folder / 'processed')['fox2'].mel_shape == [16, 71]


def test_another_recipe_is_refused_with_what_differs(folder):
    run(folder)
    with pytest.raises(DataError, match=r'holds clips of another recipe \(frames.height: 24 -> 48.*--overwrite'):
        run(folder, frames=FrameRecipe(num_frames=4, height=48, width=32))
    with pytest.raises(DataError, match=r'sound.bands: 16 -> 32'):
        run(folder, sound=LogMelRecipe(bands=32))
    records = read_metadata(folder / 'metadata.csv')
    report = preparation(folder, sound=LogMelRecipe(bands=32)).run(records, overwrite=True)
    assert len(report.done) == 5
    assert read_manifest(folder / 'processed')['deer1'].mel_shape[0] == 32


def test_overwriting_leaves_other_files_alone(folder):
    run(folder)
    (folder / 'processed/notes.txt').write_text('mine')
    preparation(folder).run(read_metadata(folder / 'metadata.csv'), overwrite=True)
    assert (folder / 'processed/notes.txt').read_text() == 'mine'


def test_bad_videos_are_set_aside_with_the_reason_and_tried_again(folder):
    good = (folder / 'videos/a/one.mp4').read_bytes()
    (folder / 'videos/a/one.mp4').write_bytes(good[: len(good) // 2])
    (folder / 'videos/a/two.mp4').write_bytes(b'')
    (folder / 'metadata.csv').write_text(METADATA.replace('running,1.5,', 'running,7,'))
    report = run(folder)
    assert sorted(report.done) == ['fox2', 'fox3']
    assert sorted(report.bad) == ['deer1', 'deer2', 'fox1']
    assert 'zero bytes' in report.bad['fox1']
    assert 'the clip begins at 7 s, but the video ends at 3.00 s' in report.bad['deer2']
    listed = json.loads((folder / 'processed/bad_clips.json').read_text())
    assert {entry['clip_id'] for entry in listed} == set(report.bad)
    (folder / 'videos/a/one.mp4').write_bytes(good)
    assert run(folder).done == ['deer1']


def test_a_silent_track_is_no_sound_unless_silence_is_kept(folder):
    write_clip(folder / 'videos/four.mp4', 7, np.zeros(11200, np.float32), codec='aac')
    report = run(folder)
    clip = next(clip for clip in report.clips if clip.clip_id == 'fox3')
    assert (clip.sound, clip.has_mel, clip.file_rate) == ('silent', False, 16000)
    kept = preparation(folder, sound=LogMelRecipe(bands=16, silence='keep'))
    kept.run(read_metadata(folder / 'metadata.csv'), overwrite=True)
    np.testing.assert_allclose(np.load(mel_path(folder / 'processed', 'fox3')), -100.0, rtol=1e-5)


def test_sound_of_8_khz_is_resampled_and_has_nothing_above_4_khz(folder):
    rng = np.random.default_rng(0)
    noise = rng.normal(0, 0.2, 8000).astype(np.float32)
    write_clip(folder / 'videos/four.mov', 10, noise, rate=8000, codec='pcm_s16le')
    (folder / 'metadata.csv').write_text(METADATA.replace('four.mp4', 'four.mov'))
    report = run(folder, sound=LogMelRecipe())
    clip = next(clip for clip in report.clips if clip.clip_id == 'fox3')
    assert (clip.file_rate, clip.mel_shape[1]) == (8000, pytest.approx(101, abs=1))
    mel = np.load(mel_path(folder / 'processed', 'fox3'))
    assert mel[:85].mean() - mel[105:].mean() > 40  # decibels


def test_sound_in_a_file_of_its_own(folder):
    write_wav(folder / 'videos/four.wav', tone(0.7) * 32767)
    text = 'clip_id,video,split,species,audio\nfox3,four.mp4,train,fox,four.wav\n'
    (folder / 'metadata.csv').write_text(text)
    report = run(folder)
    assert report.clips[0].sound == 'track'
    expected = log_mel(read_audio(str(folder / 'videos/four.wav'), 16000).waveform, LogMelRecipe(bands=16))
    np.testing.assert_array_equal(np.load(mel_path(folder / 'processed', 'fox3')), expected)
    (folder / 'videos/four.wav').unlink()
    with pytest.raises(MissingFileError, match=r'1 files of sound do not exist \(four.wav\)'):
        run(folder)


def test_missing_and_ambiguous_videos_are_one_message(folder):
    write_clip(folder / 'videos/b/one.mp4', 3)
    (folder / 'metadata.csv').write_text(METADATA.replace('a/one.mp4', 'one.mp4').replace('four.mp4', 'fuor.mp4'))
    match = r'1 names are those of several videos.*one.mp4.*1 videos do not exist.*fuor.mp4'
    with pytest.raises(MissingFileError, match=match):
        run(folder)
    with pytest.raises(MissingFileError, match='There is no folder of videos'):
        AVClipPreparation(folder / 'out', folder / 'nowhere')
    with pytest.raises(ConfigError, match='workers=0'):
        preparation(folder, workers=0)


def test_two_runs_at_once_are_refused(folder):
    first = preparation(folder)
    with first._locked(), pytest.raises(DataError, match='Another process is preparing clips'):
        run(folder)


def test_a_line_cut_off_by_a_kill_is_not_read(folder):
    run(folder)
    manifest = folder / 'processed/manifest.jsonl'
    whole = manifest.read_bytes()
    manifest.write_bytes(whole[:-20])
    assert len(read_manifest(folder / 'processed')) == 4
    (folder / 'processed/video_frames/.fox1.pt.99.part').write_bytes(b'half')
    assert len(run(folder).done) == 1
    assert not list((folder / 'processed').rglob('.*.part'))
    manifest.write_bytes(b'{"clip_id": 1\n' + whole)
    with pytest.raises(DataError, match=r'manifest.jsonl, line 1 .*--overwrite'):
        run(folder)


def test_workers_give_the_same_as_one_process(folder):
    run(folder)
    alone = files(folder)
    preparation(folder, workers=2).run(read_metadata(folder / 'metadata.csv'), overwrite=True)
    assert files(folder) == alone


@pytest.mark.parametrize(
    ('save', 'error'),
    [
        ('torch.save', OSError(errno.ENOSPC, 'No space left on device')),
        ('torch.save', RuntimeError('PytorchStreamWriter failed writing file data/0: file write failed')),
        ('numpy.save', OSError('32768 requested and 7136 written')),
    ],
)
def test_a_full_disk_is_no_fault_of_the_clip(folder, monkeypatch, save, error):
    """What torch and NumPy raise on a full disk, noted by hand; the run ends, and goes on when there is room."""

    def full(*args):
        raise error

    with monkeypatch.context() as patch:
        patch.setattr(save, full)
        with pytest.raises(MachineError, match=r'\w+\.\w+ cannot be written: No space left on device\. Make room'):
            run(folder)
    assert not list((folder / 'processed').rglob('.*.part'))
    assert len(run(folder).done) + len(read_manifest(folder / 'processed')) >= 5
    assert not any(clip.bad for clip in read_manifest(folder / 'processed').values())


def test_a_decoder_that_crashes_costs_one_clip(folder, monkeypatch):
    monkeypatch.setattr(module, 'prepare_av_clip', crash_on_fox1)  # in processes, too: it is sent by name
    report = run(folder, workers=2)
    assert sorted(report.done) == ['deer1', 'deer2', 'fox2', 'fox3']
    assert 'the process that worked on it was killed (SIGKILL)' in report.bad['fox1']
    assert not list((folder / 'processed').rglob('.*.part'))


@pytest.mark.slow
def test_killed_in_the_middle_it_goes_on(tmp_path):
    """kill -9 while it runs: whole files only, and in the end the same as without."""
    lines = ['clip_id,video,split,species']
    for i in range(12):
        write_clip(tmp_path / f'videos/{i}.mp4', 80, tone(8.0, hz=200 + 50 * i))
        lines.append(f'c{i},{i}.mp4,train,fox')
    (tmp_path / 'metadata.csv').write_text('\n'.join(lines) + '\n')
    command = [sys.executable, str(ROOT / 'tools/prepare_wildlife.py'), str(tmp_path / 'metadata.csv')]
    command += [str(tmp_path / 'videos'), '--out', str(tmp_path / 'processed'), '--workers', '1', '--size', '128']
    manifest = tmp_path / 'processed/manifest.jsonl'

    def lines_done():
        return manifest.read_bytes().count(b'\n') if manifest.exists() else 0

    process = subprocess.Popen(command, cwd=ROOT)
    deadline = time.monotonic() + 120
    while lines_done() < 3 and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.01)
    process.kill()
    process.wait()
    there = lines_done()
    assert 3 <= there < 12
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert f'{there} already done' in done.stdout
    interrupted = files(tmp_path)
    subprocess.run([*command, '--overwrite'], cwd=ROOT, capture_output=True, check=True)
    assert len(interrupted) == 24
    assert files(tmp_path) == interrupted


def test_a_record_without_anything_optional_is_enough(folder):
    report = preparation(folder).run([AVClipRecord('x/y', 'four.mp4', 'train')])
    assert report.done == ['x/y']
    assert frames_path(folder / 'processed', 'x/y').is_file()


def test_frames_are_turned_and_sound_that_cancels_is_heard_and_noted(folder):
    turn_mp4(folder / 'videos/a/two.mp4', TURNS['rot90'][0])
    left = tone(2.0)
    write_clip(folder / 'videos/a/one.mp4', 20, np.stack([left, -left], axis=1))
    run(folder)
    frames = torch.load(frames_path(folder / 'processed', 'fox1'), weights_only=True).permute(0, 2, 3, 1).numpy()
    write_clip(folder / 'two.mp4', 12)
    inds = np.array([1, 4, 7, 10])
    stored = read_frames(str(folder / 'two.mp4'), inds, (32, 24), interpolation='bilinear')
    np.testing.assert_array_equal(frames, [TURNS['rot90'][1](frame) for frame in stored])
    clips = read_manifest(folder / 'processed')
    assert {name: clip.sound_notes for name, clip in clips.items() if clip.sound_notes} == {'deer1': [CHANNELS_CANCEL]}
    assert np.load(mel_path(folder / 'processed', 'deer1')).max() > 0


def test_clips_of_before_pictures_were_turned_are_not_taken_for_new_ones(folder):
    run(folder)
    path = folder / 'processed/recipe.json'
    recipe = json.loads(path.read_text())
    del recipe['recipe']['read_as']
    path.write_text(json.dumps(recipe))
    with pytest.raises(
        DataError, match=r'holds clips of another recipe .*pictures as a player turns them.*--overwrite'
    ):
        run(folder)
    assert 'prepared by another version of VADLab' in reading_note(folder / 'processed')
