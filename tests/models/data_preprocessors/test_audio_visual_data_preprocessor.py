import json

import pytest
import torch

from vadlab.models.data_preprocessors.audio_visual_data_preprocessor import AudioVisualDataPreprocessor
from vadlab.models.data_preprocessors.mix_up import MixUp
from vadlab.structures import AudioVisualDataSample
from vadlab.utils.errors import ConfigError, DataError

LEVELS = dict(mean=(10.0, 20.0, 30.0), std=(2.0, 4.0, 5.0), audio_mean=-40.0, audio_std=10.0)


def sample(name, has_audio, label=0, several=(1.0, 0.0, 0.0)):
    found = AudioVisualDataSample(
        metainfo=dict(clip_id=name, has_audio=has_audio, num_classes=dict(species=2, behaviour=3))
    )
    found.gt_labels = dict(species=torch.tensor(label), behaviour=torch.tensor(several))
    return found


def batch():
    """Three clips, the middle one without sound, spectrograms of 4 and 6 columns."""
    videos = [torch.full((2, 3, 4, 4), level, dtype=torch.uint8) for level in (10, 30, 50)]
    audios = [torch.full((1, 5, 4), -40.0), None, torch.full((1, 5, 6), -20.0)]
    samples = [sample('a', True, 0), sample('b', False, 1), sample('c', True, 1, (0.0, 1.0, 1.0))]
    return dict(inputs=dict(video=videos, audio=audios), data_samples=samples)


def test_frames_are_normalised_and_sound_has_rows_only_for_clips_with_sound():
    inputs = AudioVisualDataPreprocessor(**LEVELS)(batch())['inputs']
    assert inputs['video'].shape == (3, 2, 3, 4, 4)
    assert inputs['video'][1, 0, :, 0, 0].tolist() == [10.0, 2.5, 0.0]
    assert inputs['video_mask'].tolist() == [True] * 3
    assert inputs['audio_mask'].tolist() == [True, False, True]
    assert inputs['audio'].shape == (2, 1, 5, 6)
    assert inputs['audio_lengths'].tolist() == [4, 6]
    assert (inputs['audio'][1] == 2.0).all()
    assert not inputs['audio'][0, ..., :4].any()  # at the mean
    assert not inputs['audio'][0, ..., 4:].any()  # padding


def test_a_batch_without_sound_has_an_empty_tensor():
    data = batch()
    data['inputs']['audio'] = [None] * 3
    inputs = AudioVisualDataPreprocessor()(data)['inputs']  # nothing to normalise: no statistics needed
    assert inputs['audio'].shape == (0, 1, 0, 0)
    assert not inputs['audio_mask'].any()
    assert len(inputs['audio_lengths']) == 0


def test_a_clip_without_video_is_masked_zeros():
    data = batch()
    data['inputs']['video'][0] = None
    inputs = AudioVisualDataPreprocessor(**LEVELS)(data)['inputs']
    assert inputs['video_mask'].tolist() == [False, True, True]
    assert not inputs['video'][0].any()


def test_a_batch_without_video_has_an_empty_tensor():
    data = batch()
    data['inputs']['video'] = [None] * 3
    inputs = AudioVisualDataPreprocessor(**LEVELS)(data)['inputs']
    assert inputs['video'].shape == (3, 0, 3, 0, 0)
    assert inputs['video_mask'].tolist() == [False] * 3
    assert inputs['audio'].shape == (2, 1, 5, 6)


def test_statistics_come_from_the_file_and_then_from_the_checkpoint(tmp_path):
    path = tmp_path / 'statistics.json'
    path.write_text(json.dumps(dict(sound=dict(clips=3, mean=-30.0, std=5.0))))
    trained = AudioVisualDataPreprocessor(audio_statistics=str(path))
    assert trained(batch())['inputs']['audio'][1].unique().tolist() == [2.0]
    elsewhere = AudioVisualDataPreprocessor(audio_statistics=str(tmp_path / 'gone.json'))
    with pytest.raises(ConfigError, match='gone.json is not there, and no checkpoint was loaded'):
        elsewhere(batch())
    elsewhere.load_state_dict(trained.state_dict())
    torch.testing.assert_close(elsewhere(batch())['inputs']['audio'], trained(batch())['inputs']['audio'])


@pytest.mark.parametrize('text', ['', '{}', '{"sound": {"mean": 1, "std": 0}}', '[1]'])
def test_invalid_statistics_are_rejected(tmp_path, text):
    path = tmp_path / 'statistics.json'
    path.write_text(text)
    with pytest.raises(DataError, match='is not a file of statistics of prepared clips'):
        AudioVisualDataPreprocessor(audio_statistics=str(path))


def test_a_training_set_without_sound_has_no_statistics(tmp_path):
    path = tmp_path / 'statistics.json'
    path.write_text(json.dumps(dict(sound=dict(clips=0, mean=None, std=None))))
    with pytest.raises(ConfigError, match='mean and deviation of the spectrograms are not known'):
        AudioVisualDataPreprocessor(audio_statistics=str(path))(batch())


def test_clips_of_different_shapes_are_named():
    preprocess = AudioVisualDataPreprocessor(**LEVELS)
    data = batch()
    data['inputs']['video'][2] = torch.zeros(2, 3, 4, 5, dtype=torch.uint8)
    with pytest.raises(DataError, match="clip 'c' has 2 frames of 4x5 pixels, but others of its batch 2 of 4x4"):
        preprocess(data)
    data['inputs']['video'][2] = torch.zeros(2, 3, 4, 4)
    with pytest.raises(DataError, match="clip 'c' is torch.float32"):
        preprocess(data)
    data = batch()
    data['inputs']['audio'][2] = torch.zeros(1, 7, 4)
    with pytest.raises(DataError, match="the sound of clip 'c' has 7 bands, but that of clip 'a'"):
        preprocess(data)
    data['inputs']['audio'][2] = torch.zeros(5, 4)
    with pytest.raises(DataError, match='wanted floats .1, bands, columns'):
        preprocess(data)


@pytest.mark.parametrize(
    ('options', 'match'),
    [
        (dict(std=(1.0, 0.0, 1.0)), 'std positive'),
        (dict(audio_mean=1.0), 'go together'),
        (dict(audio_mean=1.0, audio_std=0.0), 'audio_std positive'),
        (dict(batch_augment=dict(type='MixUp', alpha=0)), 'alpha must be > 0'),
        (dict(batch_augment=dict(type='MixUp', prob=2)), 'prob must be in 0..1'),
    ],
)
def test_invalid_options_are_rejected(options, match):
    with pytest.raises(ConfigError, match=match):
        AudioVisualDataPreprocessor(**options)


def mixed(seed=0, alpha=1.0, data=None):
    torch.manual_seed(seed)
    preprocess = AudioVisualDataPreprocessor(**LEVELS, batch_augment=dict(type='MixUp', alpha=alpha))
    return preprocess(data or batch(), training=True)


def test_mix_up_equals_the_papers_equation_for_frames_sound_and_labels():
    plain = AudioVisualDataPreprocessor(**LEVELS)(batch())['inputs']
    for seed in range(10):
        found = mixed(seed)
        own, other = found['data_samples'][0], found['data_samples'][2]
        share = own.gt_labels['species'][0].item()
        assert 0.5 <= share < 1
        expected = share * plain['video'][0] + (1 - share) * plain['video'][2]
        torch.testing.assert_close(found['inputs']['video'][0], expected)
        expected = share * plain['audio'][0] + (1 - share) * plain['audio'][1]
        torch.testing.assert_close(found['inputs']['audio'][0], expected)
        torch.testing.assert_close(own.gt_labels['species'], torch.tensor([share, 1 - share]))
        torch.testing.assert_close(own.gt_labels['behaviour'], torch.tensor([share, 1 - share, 1 - share]))
        assert own.mixed_with == 'c'
        assert other.mixed_with == 'a'
        assert found['inputs']['audio_lengths'].tolist() == [6, 6]


def test_mix_up_pairs_clips_without_sound_with_each_other():
    found = mixed()
    alone = found['data_samples'][1]
    assert 'mixed_with' not in alone
    assert alone.gt_labels['species'].tolist() == [0.0, 1.0]
    assert found['inputs']['audio_mask'].tolist() == [True, False, True]
    plain = AudioVisualDataPreprocessor(**LEVELS)(batch())['inputs']
    torch.testing.assert_close(found['inputs']['video'][1], plain['video'][1])


def test_mix_up_pairs_clips_without_video_with_each_other():
    data = batch()
    data['inputs']['video'] = [None, data['inputs']['video'][1], data['inputs']['video'][2]]
    found = mixed(data=data)
    assert not any('mixed_with' in sample for sample in found['data_samples'])
    data = batch()
    data['inputs']['video'] = [None] * 3
    found = mixed(data=data)
    assert [sample.get('mixed_with') for sample in found['data_samples']] == ['c', None, 'a']
    assert found['inputs']['video'].shape == (3, 0, 3, 0, 0)


def test_mix_up_partners_are_distinct_other_clips():
    names = 'abcdef'
    partners = set()
    for seed in range(30):
        data = dict(
            inputs=dict(video=[torch.zeros(1, 3, 2, 2, dtype=torch.uint8)] * 6, audio=[None] * 6),
            data_samples=[sample(name, False) for name in names],
        )
        found = [s.mixed_with for s in mixed(seed, data=data)['data_samples']]
        assert sorted(found) == list(names)
        assert all(own != other for own, other in zip(names, found, strict=True))
        partners.add(found[0])
    assert partners == set('bcdef')


def test_mix_up_is_for_training_and_can_skip_batches():
    preprocess = AudioVisualDataPreprocessor(**LEVELS, batch_augment=dict(type='MixUp', alpha=1.0))
    assert preprocess(batch())['data_samples'][0].gt_labels['species'].ndim == 0
    preprocess.batch_augment = MixUp(1.0, prob=0.0)
    found = preprocess(batch(), training=True)
    assert found['data_samples'][0].gt_labels['species'].tolist() == [1.0, 0.0]
    assert 'mixed_with' not in found['data_samples'][0]
    torch.testing.assert_close(found['inputs']['video'], preprocess(batch())['inputs']['video'])
