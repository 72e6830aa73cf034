import numpy as np
import pytest

from vadlab.datasets.transforms.tokenize_captions import TokenizeCaptions
from vadlab.utils.errors import ConfigError

START, END = 49406, 49407


@pytest.fixture(scope='module')
def transform():
    return TokenizeCaptions()


def test_tokens_are_unpadded_with_start_and_end(transform):
    regions = [dict(caption='a photo of a cat', negatives=['a dog', 'a bird']), dict(caption='一只猫')]
    out = transform(dict(caption='a photo of a cat', regions=regions))
    assert out['caption_tokens'].tolist() == [START, 320, 1125, 539, 320, 2368, END]  # CLIP's own ids
    assert out['caption_tokens'].dtype == np.int64
    np.testing.assert_array_equal(out['region_tokens'][0], out['caption_tokens'])
    assert [len(negatives) for negatives in out['region_negative_tokens']] == [2, 0]
    assert out['region_tokens'][1][-1] == END


def test_report_counts_long_and_cut_captions():
    transform = TokenizeCaptions(max_len=100)
    data_list = [dict(caption='cat', regions=[dict(caption='cat ' * 80), dict(caption='cat ' * 300)])]
    assert transform.report(data_list) == ['2 of 3 captions (66.7%) have more than 77 tokens, 1 are cut at 100']
    assert len(transform(dict(caption='cat ' * 300, regions=[]))['caption_tokens']) == 100


def test_max_len_too_small():
    with pytest.raises(ConfigError, match='max_len must be >= 3'):
        TokenizeCaptions(max_len=2)
