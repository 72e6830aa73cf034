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


def test_report_counts_long_captions_and_names_the_videos_of_cut_ones(log_lines):
    transform = TokenizeCaptions(max_len=100)
    regions = [dict(caption='cat ' * 80), dict(caption='cat ' * 300)]
    data_list = [dict(video_id='a', caption='cat', regions=regions), dict(video_id='b', caption='dog', regions=[])]
    assert transform.report(data_list) == ['2 of 4 captions (50.0%) have more than 77 tokens']
    assert '1 captions are too long for the text tower and are cut at 100 tokens, in a.' in log_lines[0]
    assert len(transform(dict(caption='cat ' * 300, regions=[]))['caption_tokens']) == 100


def test_captions_of_regions_have_a_limit_of_their_own(log_lines):
    transform = TokenizeCaptions(max_len=100, short_len=20, region_len=10)
    results = dict(caption='cat ' * 30, regions=[dict(caption='cat ' * 30, negatives=['dog ' * 30])])
    out = transform(dict(results))
    assert [len(out['caption_tokens']), len(out['region_tokens'][0])] == [32, 10]
    assert len(out['region_negative_tokens'][0][0]) == 10
    assert transform.report([results]) == ['1 of 2 captions (50.0%) have more than 20 tokens']
    assert 'are cut at 100 tokens (those of regions at 10), in ?' in log_lines[0]


def test_max_len_too_small():
    with pytest.raises(ConfigError, match='max_len must be >= 3'):
        TokenizeCaptions(max_len=2)
