import numpy as np
import pytest

from tests.tools.tiny_methods import write_experiment
from vadlab.apis import Verification
from vadlab.utils.config import load_config
from vadlab.utils.setup_env import register_all_modules


@pytest.fixture
def verify(tmp_path):
    register_all_modules()
    config = load_config(write_experiment('mnad_ped2_small', tmp_path, None))

    def run():
        report = Verification(config, workers=1, smoke=False).run()
        return tmp_path / 'data', [(f.level, f'{f.check}: {f.message}') for f in report.findings]

    return run


def test_short_clips_of_a_video_count_as_one_video(verify):
    _, findings = verify()
    assert ('pass', 'train annotations: 14 samples, 14 normal, 0 regions') in findings
    assert ('pass', 'train videos: 2 videos decode, 36 frames') in findings
    assert ('pass', 'splits: no video is in train and in another split') in findings


def test_training_and_test_clips_of_the_same_name_are_different_videos(verify, tmp_path):
    data = tmp_path / 'data'
    for split, old in (('train', 'train_a'), ('test', 'test_a')):
        (data / split / old).rename(data / split / '01')
    np.save(data / 'truth' / '01.npy', np.load(data / 'truth' / 'test_a.npy'))
    (data / 'truth' / 'test_a.npy').unlink()
    _, findings = verify()
    assert ('pass', 'splits: no video is in train and in another split') in findings
