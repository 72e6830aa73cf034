import numpy as np
import pytest

from vadlab.evaluation.functional import chance_recall_at_1, recall_at, retrieval_ranks, text_groups
from vadlab.utils.errors import DataError


def test_ranks_by_hand():
    queries = np.eye(3)
    gallery = np.array([[0.9, 0.2, 0.1], [0.8, 0.1, 0.3], [0.7, 0.9, 0.2], [0.6, 0.8, 0.4]])
    # Hits: item 1 (0.8, second), item 3 (0.8, second), item 3 (0.4, first).
    ranks = retrieval_ranks(queries, gallery, np.array([1, 3, 3]), np.array([0, 1, 2, 3]))
    assert ranks.tolist() == [2, 2, 1]
    assert recall_at(ranks, 1) == pytest.approx(1 / 3)
    assert recall_at(ranks, 2) == 1


@pytest.mark.parametrize('chunk_size', [1, 7, 1000])
def test_ranks_equal_brute_force_sorting(chunk_size):
    rng = np.random.default_rng(0)
    queries, gallery = rng.normal(size=(40, 8)), rng.normal(size=(60, 8))
    query_groups, gallery_groups = rng.integers(9, size=40), np.arange(60) % 9
    expected = []
    for query, group in zip(queries, query_groups, strict=True):
        wrong_before = 0
        for item in np.argsort(-(gallery @ query)):
            if gallery_groups[item] == group:
                break
            wrong_before += 1
        expected.append(1 + wrong_before)
    assert retrieval_ranks(queries, gallery, query_groups, gallery_groups, chunk_size).tolist() == expected


def test_every_caption_of_the_same_text_is_a_hit_and_other_hits_do_not_push_back():
    groups = text_groups(['A man  runs', 'a man runs ', 'a dog', '一个人', '一个人', 'a dog barks'])
    assert groups.tolist() == [0, 0, 1, 2, 2, 3]
    gallery = np.array([[0.9], [0.8], [0.7], [0.6], [0.5], [0.4]])
    # The best hit of each is 0.9, 0.7, 0.6 and 0.4; what is wrong before it: 0, 2, 3 and 5.
    assert retrieval_ranks(np.ones((6, 1)), gallery, groups, groups).tolist() == [1, 1, 3, 4, 4, 6]


def test_ties_count_against_so_constant_embeddings_earn_nothing():
    ranks = retrieval_ranks(np.ones((4, 2)), np.ones((4, 2)), np.arange(4), np.arange(4))
    assert ranks.tolist() == [4, 4, 4, 4]


def test_chance_equals_r_at_1_of_random_rankings():
    rng = np.random.default_rng(0)
    groups = np.array([0, 0, 0, 1, 1, 2, 3, 3, 3, 3])
    by_hand = (3 * 3 + 2 * 2 + 1 + 4 * 4) / 100
    assert chance_recall_at_1(groups, groups) == pytest.approx(by_hand)
    drawn = rng.integers(10, size=(20000, 10))
    assert np.mean(groups[drawn] == groups) == pytest.approx(by_hand, abs=0.01)


@pytest.mark.parametrize(
    ('queries', 'gallery', 'query_groups', 'gallery_groups', 'message'),
    [
        (np.zeros((0, 2)), np.ones((3, 2)), [], [0, 1, 2], 'no query'),
        (np.ones((2, 2)), np.ones((3, 4)), [0, 1], [0, 1, 2], r'shapes \(2, 2\) and \(3, 4\)'),
        (np.ones((2, 2)), np.ones((3, 2)), [0], [0, 1, 2], 'one group number'),
        (np.ones((2, 2)), np.ones((3, 2)), [0, 7], [0, 1, 2], 'Query 1 has no hit'),
        (np.full((1, 2), np.nan), np.ones((3, 2)), [0], [0, 1, 2], 'NaN or infinite'),
    ],
)
def test_input_that_cannot_be_ranked(queries, gallery, query_groups, gallery_groups, message):
    with pytest.raises(DataError, match=message):
        retrieval_ranks(queries, gallery, np.array(query_groups), np.array(gallery_groups))
