import pytest
import torch

from vadlab.models.data_preprocessors.caption_data_preprocessor import CaptionDataPreprocessor
from vadlab.structures import CaptionDataSample
from vadlab.utils.errors import ConfigError, DataError


def image(height=4, width=4, value=9):
    return torch.full((3, height, width), value, dtype=torch.uint8)


def test_normalised_values():
    batch = CaptionDataPreprocessor((1, 2, 3), (2, 4, 8))({'inputs': [image(), image(value=11)], 'more': 1})
    assert batch['inputs'].dtype == torch.float32
    assert batch['inputs'][:, :, 0, 0].tolist() == [[4, 1.75, 0.75], [5, 2.25, 1]]
    assert batch['more'] == 1


def test_images_of_different_shapes_are_rejected():
    samples = [CaptionDataSample(metainfo=dict(image_id=i)) for i in (5, 8)]
    with pytest.raises(DataError, match='image 8 is 4x5 pixels, but others of its batch 4x4'):
        CaptionDataPreprocessor()({'inputs': [image(), image(4, 5)], 'data_samples': samples})
    with pytest.raises(DataError, match=r'image 0 of the batch is torch.float32 of shape \(3, 4, 4\); wanted uint8'):
        CaptionDataPreprocessor()({'inputs': [image().float()]})


def test_invalid_means_are_rejected():
    with pytest.raises(ConfigError, match='three numbers each, std positive'):
        CaptionDataPreprocessor(std=(1, 0, 1))
