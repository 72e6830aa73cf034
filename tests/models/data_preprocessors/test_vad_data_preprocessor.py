import pytest
import torch

from vadlab.models.data_preprocessors.vad_data_preprocessor import VADDataPreprocessor
from vadlab.structures import VADDataSample
from vadlab.utils.errors import ConfigError, DataError


def _video(*shape):
    torch.manual_seed(0)
    return torch.randint(0, 256, shape, dtype=torch.uint8)


def test_normalised_values_by_hand():
    video = torch.tensor([100, 50, 0], dtype=torch.uint8).view(1, 3, 1, 1)
    out = VADDataPreprocessor(mean=(100, 0, 10), std=(1, 10, 20))({'inputs': [video]})
    assert out['inputs'].dtype == torch.float32
    assert out['inputs'].flatten().tolist() == [0.0, 5.0, -0.5]


def test_default_is_clips_published_normalisation():
    video = _video(2, 3, 4, 4)
    mean = torch.tensor([0.48145466, 0.4578275, 0.40821073]).view(3, 1, 1)
    std = torch.tensor([0.26862954, 0.26130258, 0.27577711]).view(3, 1, 1)
    out = VADDataPreprocessor()({'inputs': [video]})['inputs'][0]
    torch.testing.assert_close(out, (video / 255 - mean) / std, atol=1e-5, rtol=1e-5)


def test_names_pass_and_videos_are_stacked():
    samples = [VADDataSample(), VADDataSample()]
    out = VADDataPreprocessor()({'inputs': [_video(2, 3, 4, 4)] * 2, 'data_samples': samples})
    assert out['inputs'].shape == (2, 2, 3, 4, 4)
    assert out['data_samples'] is samples


def test_pixels_can_be_restored():
    preprocessor = VADDataPreprocessor()
    video = _video(2, 3, 5, 5)
    assert torch.equal(preprocessor.to_pixels(preprocessor({'inputs': [video]})['inputs'][0]), video)


def test_has_no_state_in_checkpoints():
    assert not VADDataPreprocessor().state_dict()


def test_videos_of_different_lengths_are_named():
    samples = [VADDataSample(metainfo=dict(video_id=name)) for name in ('Abuse001', 'Arson002')]
    with pytest.raises(DataError, match=r"'Arson002' has shape \(3, 3, 4, 4\), but video 'Abuse001'.*batch_size=1"):
        VADDataPreprocessor()({'inputs': [_video(2, 3, 4, 4), _video(3, 3, 4, 4)], 'data_samples': samples})


@pytest.mark.parametrize('video', [torch.zeros(2, 3, 4, 4), torch.zeros(2, 4, 4, 3, dtype=torch.uint8)])
def test_other_inputs_than_uint8_frames_are_rejected(video):
    with pytest.raises(DataError, match=r'video 0 of the batch is .* wanted uint8 \(T, 3, H, W\)'):
        VADDataPreprocessor()({'inputs': [video]})


def test_invalid_statistics_are_rejected():
    with pytest.raises(ConfigError, match='std positive'):
        VADDataPreprocessor(std=(1, 0, 1))


def test_videos_of_different_sizes_are_padded_with_the_mean_on_request():
    videos = [_video(2, 3, 4, 6), _video(2, 3, 8, 2)]
    padding = VADDataPreprocessor(mean=(10, 20, 30), std=(2, 2, 2), pad=True)
    out = padding({'inputs': videos})['inputs']
    assert out.shape == (2, 2, 3, 8, 6)
    alone = [padding({'inputs': [video]})['inputs'][0] for video in videos]
    assert torch.equal(out[0, ..., :4, :], alone[0])
    assert torch.equal(out[1, ..., :2], alone[1])
    assert not out[0, ..., 4:, :].any()
    assert not out[1, ..., 2:].any()
    with pytest.raises(DataError, match='in the same batch'):
        padding({'inputs': [_video(2, 3, 4, 6), _video(3, 3, 4, 6)]})
    with pytest.raises(DataError, match='in the same batch'):
        VADDataPreprocessor()({'inputs': videos})
