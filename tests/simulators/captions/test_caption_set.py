import numpy as np
import pytest

from vadlab.simulators.captions.caption_set import plan_caption_set
from vadlab.simulators.captions.content import ACTIONS, COLOURS, RELATIONS, Content, Group
from vadlab.simulators.captions.picture import draw_content
from vadlab.simulators.captions.wording import write_captions
from vadlab.text.cider import CIDErD
from vadlab.text.ptb import ptb_tokenize
from vadlab.utils.errors import ConfigError


def test_same_seed_same_pictures_and_captions():
    first, again = plan_caption_set(2, 1, 1, seed=3), plan_caption_set(2, 1, 1, seed=3)
    assert [p.record() for p in first] == [p.record() for p in again]
    np.testing.assert_array_equal(first[0].draw(), again[0].draw())
    other = plan_caption_set(2, 1, 1, seed=4)
    assert [p.captions() for p in other] != [p.captions() for p in first]


def test_splits_have_ids_of_their_own():
    plan = plan_caption_set(3, 2, 2)
    assert len({p.image_id for p in plan}) == 7
    assert [p.split for p in plan] == ['train'] * 3 + ['val'] * 2 + ['test'] * 2
    with pytest.raises(ConfigError, match='needs 1 to 999,999 training pictures'):
        plan_caption_set(0, 1, 1)


def test_every_reference_tells_the_content():
    rng = np.random.default_rng(0)
    for _ in range(60):
        content = Content.sample(rng)
        captions = write_captions(content, rng)
        assert len(captions) == 5
        for caption in captions:
            assert content.subject.colour in caption
            if content.other:
                assert content.other.colour in caption
                assert content.other.noun in caption
                assert content.relation.split()[2] in caption


def test_plurals_and_numbers():
    rng = np.random.default_rng(0)
    captions = write_captions(Content('shop', Group('woman', 'red', 3, 'dress'), 'walking'), rng)
    assert all('hree women' in caption and 'red dresses' in caption for caption in captions)
    captions = write_captions(Content('shop', Group('box', 'blue', 2)), rng)
    assert all('wo blue boxes' in caption for caption in captions)
    assert not any(caption.endswith('are.') for caption in captions)


def test_another_wording_of_the_same_scores_far_above_chance():
    rng = np.random.default_rng(0)
    contents = [Content.sample(rng) for _ in range(150)]
    references = [[ptb_tokenize(caption) for caption in write_captions(content, rng)] for content in contents]
    candidates = [ptb_tokenize(write_captions(content, rng)[0]) for content in contents]
    scorer = CIDErD(references)
    assert scorer.score(candidates).mean() > 4
    assert scorer.score(candidates[1:] + candidates[:1]).mean() < 0.8


def test_relation_is_where_it_is_drawn():
    for relation in RELATIONS:
        content = Content('corridor', Group('ball', 'red'), None, relation, Group('box', 'blue'))
        image = draw_content(content, 5, np.random.default_rng(1)).astype(int)[170:]
        places = {
            'red': ((image[..., 0] - image[..., 2]) > 70).nonzero()[1].mean(),
            'blue': ((image[..., 2] - image[..., 0]) > 70).nonzero()[1].mean(),
        }
        assert (places['red'] < places['blue']) == (relation == 'to the left of')


def test_what_a_caption_tells_changes_the_picture():
    def draw(action='standing', colour='red', count=1):
        content = Content('shop', Group('man', colour, count, 'shirt'), action)
        return draw_content(content, 5, np.random.default_rng(1))

    pictures = [draw(action) for action in ACTIONS] + [draw(colour=colour) for colour in COLOURS[1:]]
    pictures += [draw(count=count) for count in (2, 3)]
    for i, one in enumerate(pictures):
        for two in pictures[:i]:
            assert (np.abs(one.astype(int) - two).max(axis=2) > 40).sum() > 200
