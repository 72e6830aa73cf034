"""Features of sound beside those of pictures, in the layout of XD-Violence."""

import numpy as np
import pytest
import torch

from tests.datasets.feature_sets import write_npy
from vadlab.datasets.snippet_features import SnippetFeatures
from vadlab.utils.errors import ConfigError, DataError, MissingFileError

FIGHT, QUIET = 'Bad.Boys.1995__#00-26-51_00-27-53_label_B1-0-0', 'Love.1999__#0-10_label_A'
PIPELINE = [dict(type='LoadFeatures'), dict(type='PackSnippetInputs')]


@pytest.fixture
def xd(tmp_path):
    """Two videos of 9 and 6 snippets in 5 crops; the sound of the first lacks the last snippet."""
    lines = []
    for name, num in ((FIGHT, 9), (QUIET, 6)):
        for crop in range(5):
            write_npy(tmp_path / f'i3d-features/RGB/{name}__{crop}.npy', num, dim=4)
            write_npy(tmp_path / f'i3d-features/Flow/{name}__{crop}.npy', num - 1, dim=4)  # of the same names
            lines.append(f'/media/authors/i3d-features/RGB/{name}__{crop}.npy')
    write_npy(tmp_path / f'vggish-features/train/{FIGHT}__vggish.npy', 8, dim=3, dtype=np.float32)
    write_npy(tmp_path / f'vggish-features/train/{QUIET}__vggish.npy', 6, dim=3, dtype=np.float32)
    (tmp_path / 'rgb.list').write_text('\n'.join(lines) + '\n')
    return tmp_path


def read(root, **options):
    settings = dict(feature_dir='i3d-features', audio_dir='vggish-features', audio_dim=3, classes=('A', 'B1'))
    return SnippetFeatures('rgb.list', str(root), pipeline=PIPELINE, **{**settings, **options})


def audio_file(root, name):
    return root / f'vggish-features/train/{name}__vggish.npy'


def test_one_file_of_sound_is_joined_to_every_crop(xd):
    dataset = read(xd)
    for i, name in enumerate((FIGHT, QUIET)):
        audio = np.load(audio_file(xd, name))
        inputs, sample = dataset[i]['inputs'], dataset[i]['data_samples']
        for crop in range(5):
            pictures = np.load(xd / f'i3d-features/RGB/{name}__{crop}.npy')[: len(audio)]
            np.testing.assert_array_equal(inputs[crop], np.concatenate([pictures, audio], axis=1))
        assert (sample.num_snippets, sample.total_frames) == (len(audio), 16 * len(audio))
        assert sample.audio_path == str(audio_file(xd, name))
    separate = read(xd, crops='separate')
    assert len(separate) == 10
    assert torch.equal(separate[3]['inputs'][0], dataset[0]['inputs'][3])


def test_sound_that_is_one_snippet_longer_is_cut(xd):
    write_npy(audio_file(xd, QUIET), 7, dim=3)
    inputs = read(xd)[1]['inputs']
    assert inputs.shape == (5, 6, 7)
    np.testing.assert_array_equal(inputs[2, :, 4:], np.load(audio_file(xd, QUIET))[:6])


def test_videos_without_sound_are_named_or_masked(xd):
    audio_file(xd, QUIET).unlink()
    with pytest.raises(MissingFileError, match=r"1 of 2 videos have no features of sound .*audio_missing='mask'.*Love"):
        read(xd)
    dataset = read(xd, audio_missing='mask')
    assert dataset.notes[0].startswith('1 of 2 videos have no features of sound, which are zeros (first: Love.1999')
    inputs, sample = dataset[1]['inputs'], dataset[1]['data_samples']
    assert (inputs[:, :, 4:] == 0).all()
    assert inputs.shape == (5, 6, 7)
    assert sample.audio_path is None
    assert dataset[0]['inputs'][:, :, 4:].any()


def test_sound_that_does_not_fit_is_an_error(xd):
    write_npy(audio_file(xd, FIGHT), 7, dim=3)
    with pytest.raises(DataError, match='1 videos have sound of another length than their pictures.*7 and 9 snippets'):
        read(xd)
    write_npy(audio_file(xd, FIGHT), 9, dim=5)
    with pytest.raises(DataError, match=r'1 files of sound are not of shape \(snippets, audio_dim=3\).*\(9, 5\)'):
        read(xd)
    write_npy(audio_file(xd, FIGHT), 9, dim=3)
    write_npy(xd / f'vggish-features/copies/{FIGHT}__vggish.npy', 9, dim=3)
    with pytest.raises(DataError, match='1 videos have several files of sound; name their folder by audio_dir'):
        read(xd)


def test_sound_that_is_not_finite_names_its_file(xd):
    audio = np.load(audio_file(xd, FIGHT))
    audio[2, 1] = np.inf
    np.save(audio_file(xd, FIGHT), audio)
    with pytest.raises(DataError, match='NaN or infinite features of sound in .*__vggish.npy'):
        read(xd)[0]
    audio_file(xd, FIGHT).write_bytes(b'no array')
    with pytest.raises(DataError, match='1 files of sound cannot be used'):
        read(xd)


def test_folder_and_channels_belong_together(xd):
    for options in (dict(audio_dim=0), dict(audio_dir=None), dict(audio_dim=2.5)):
        with pytest.raises(ConfigError, match='features of sound need both'):
            read(xd, **options)
    with pytest.raises(ConfigError, match=r"audio_missing is 'skip'; choose one of error, mask"):
        read(xd, audio_missing='skip')
    with pytest.raises(MissingFileError, match='vggish'):
        read(xd, audio_dir='vggish')
