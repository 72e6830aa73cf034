import pytest
import torch

from vadlab.models.data_preprocessors.snippet_data_preprocessor import SnippetDataPreprocessor
from vadlab.structures import VADDataSample
from vadlab.utils.errors import DataError


def batch(*videos):
    samples = [VADDataSample(metainfo=dict(video_id=f'v{i}', num_snippets=v.shape[1])) for i, v in enumerate(videos)]
    return dict(inputs=list(videos), data_samples=samples)


def test_videos_are_padded_with_zeros_to_the_longest():
    videos = [torch.randn(2, 3, 4).half(), torch.randn(2, 5, 4).half()]
    out = SnippetDataPreprocessor()(batch(*videos))
    assert out['inputs'].shape == (2, 2, 5, 4)
    assert out['inputs'].dtype == torch.float32
    assert torch.equal(out['inputs'][0, :, :3], videos[0].float())
    assert not out['inputs'][0, :, 3:].any()
    assert torch.equal(out['inputs'][1], videos[1].float())
    assert [sample.num_snippets for sample in out['data_samples']] == [3, 5]


def test_other_keys_and_missing_samples_are_passed_on():
    out = SnippetDataPreprocessor()(dict(inputs=[torch.ones(1, 2, 3)], more=1))
    assert out['more'] == 1
    assert torch.equal(out['inputs'], torch.ones(1, 1, 2, 3))


@pytest.mark.parametrize(
    ('video', 'message'),
    [
        (torch.ones(2, 3), r"video 'v1' is torch.float32 of shape \(2, 3\)"),
        (torch.ones(1, 2, 3, dtype=torch.int64), "video 'v1' is torch.int64"),
        (torch.ones(2, 2, 3), "video 'v1' has 2 crops of 3 features, but video 'v0' in the same batch 1 of 3"),
        (torch.ones(1, 2, 4), "video 'v1' has 1 crops of 4 features"),
    ],
)
def test_batches_of_different_shapes_are_rejected(video, message):
    with pytest.raises(DataError, match=message):
        SnippetDataPreprocessor()(batch(torch.ones(1, 2, 3), video))
