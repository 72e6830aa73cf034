import numpy as np
import pytest
import torch
from mmengine.config import Config

from tests.datasets.wildlife_clips import write_set
from vadlab.apis.checks.av_clip_checks import check_av_clips
from vadlab.apis.checks.check_context import CheckContext, SplitUnderTest
from vadlab.apis.preparation.av_clip_preparation import AVClipPreparation
from vadlab.apis.preparation.split_files import write_split_files
from vadlab.apis.verification_report import VerificationReport
from vadlab.datasets.audio.log_mel import LogMelRecipe
from vadlab.datasets.audio_visual_clips import AudioVisualClips
from vadlab.datasets.formats.av_clip_metadata import read_metadata
from vadlab.datasets.formats.av_clip_recipe import FrameRecipe
from vadlab.datasets.formats.prepared_av_clips import frames_path, mel_path
from vadlab.utils.many_files import Engine

pytest.importorskip('librosa')


@pytest.fixture
def folder(tmp_path):
    folder = write_set(tmp_path)
    records = read_metadata(folder / 'metadata.csv')
    recipes = FrameRecipe(num_frames=4, height=24, width=32), LogMelRecipe(bands=16)
    AVClipPreparation(folder / 'processed', folder / 'videos', *recipes).run(records)
    write_split_files(records, folder / 'raw/metadata', folder / 'metadata.csv')
    return folder


def findings(folder, statistics='processed/statistics.json', **options):
    splits = []
    for name in ('train', 'test'):
        train = 'raw/metadata/train.csv'
        data = AudioVisualClips(f'raw/metadata/{name}.csv', str(folder), train_ann_file=train, **options)
        splits.append(SplitUnderTest(name, {}, data, [data.get_data_info(i) for i in range(len(data))]))
    report = VerificationReport()
    preprocessor = dict(audio_statistics=str(folder / statistics))
    config = Config(dict(model=dict(type='x', data_preprocessor=preprocessor)))
    check_av_clips(splits, CheckContext(config, None, report, Engine(), 4, None, lambda done, total: None))
    return {(f.level, f.check): f.message for f in report.findings}


def test_what_is_right_passes(folder):
    found = findings(folder)
    assert found['pass', 'train clips'] == '3 clips of 12 frames and their spectrograms can be read, all finite'
    assert found['pass', 'train sound'] == '67% of the clips have sound'
    assert not [key for key in found if key[0] == 'failure']


def test_shares_of_sound_that_differ_and_classes_of_one_clip_are_warned_of(folder):
    found = findings(folder)
    assert found['warning', 'test sound'] == '0% of the clips have sound, in training 67%'
    assert found['warning', 'train species'] == '2 of 2 classes, 1 to 2 clips each; a single clip of red deer'


def test_files_that_cannot_be_used_fail(folder):
    shape = torch.load(frames_path(folder / 'processed', 'deer1')).shape
    torch.save(torch.zeros(shape, dtype=torch.int16), frames_path(folder / 'processed', 'fox1'))
    mel = np.load(mel_path(folder / 'processed', 'fox2'))
    mel[0, 0] = np.nan
    np.save(mel_path(folder / 'processed', 'fox2'), mel)
    size = frames_path(folder / 'processed', 'fox1').stat().st_size
    manifest = folder / 'processed/manifest.jsonl'
    lines = manifest.read_text().splitlines()
    old = frames_path(folder / 'processed', 'deer1').stat().st_size
    lines = [
        line.replace(f'"frames_bytes": {old}', f'"frames_bytes": {size}') if '"fox1"' in line else line
        for line in lines
    ]
    manifest.write_text('\n'.join(lines) + '\n')
    message = findings(folder)['failure', 'train clips']
    assert message.startswith('2 of 3 clips: ')
    assert 'fox1.pt: holds torch.int16' in message
    assert 'fox2.npy: NaN or infinite numbers' in message


def test_blank_and_constant_clips_are_warned_of(folder):
    with open(frames_path(folder / 'processed', 'fox3'), 'wb') as file:
        torch.save(torch.zeros(4, 3, 24, 32, dtype=torch.uint8), file)
    assert findings(folder)['warning', 'test clips'] == '1 clips are of one colour throughout: fox3'


def test_statistics_that_are_not_there_fail(folder):
    assert 'gone.json is not there' in findings(folder, 'gone.json')['failure', 'statistics']


def test_videos_are_decoded(folder):
    found = findings(folder, source='videos', video_dir='videos')
    assert found['pass', 'train clips'] == '3 clips: their videos decode'
    video = folder / 'videos/four.mp4'
    video.write_bytes(video.read_bytes()[:300])
    found = findings(folder, source='videos', video_dir='videos')
    assert found['failure', 'test clips'].startswith('fox3: ')
