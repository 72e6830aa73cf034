import pytest

from vadlab.evaluation.functional.captions.caption_scores import caption_protocol, caption_scores
from vadlab.utils.errors import DataError

CAPTIONS = ['A man rides a horse.', 'Two dogs run on the beach!', '一个人在跑步']


def test_same_captions_are_perfect_in_every_metric():
    numbers, protocol = caption_scores(CAPTIONS[:2], [[caption.upper()] for caption in CAPTIONS[:2]])
    assert numbers == pytest.approx(dict.fromkeys(numbers, 1.0) | dict(cider=10.0, cider_d=10.0))
    assert list(numbers) == list(protocol)


def test_other_captions_of_the_same_words_are_worse_in_every_metric():
    references = [['a man rides a horse', 'a man on a horse'], ['two dogs run', 'dogs on the beach']]
    right = caption_scores(CAPTIONS[:2], references).numbers
    wrong = caption_scores(CAPTIONS[1::-1], references).numbers
    assert all(wrong[name] < right[name] for name in right)


def test_an_empty_candidate_scores_0_for_itself():
    numbers = caption_scores(['', CAPTIONS[1]], [[CAPTIONS[0]], [CAPTIONS[1]]]).numbers
    assert numbers['rouge_l'] == pytest.approx(0.5)
    assert numbers['cider_d'] == pytest.approx(5)


def test_the_protocol_says_words_end_token_references_and_stages():
    _, protocol = caption_scores(CAPTIONS[:2], [['a'], ['b', 'c', 'd']])
    assert all('no end token, 1 to 3 references per image' in text for text in protocol.values())
    assert 'stages exact and stem' in protocol['meteor']
    assert 'any number of references' in caption_protocol([], None)['bleu1']
    assert '5 references per image' in caption_protocol([5, 5], None)['bleu1']


def test_references_without_a_word_are_refused():
    with pytest.raises(DataError, match=r"Image 1 has no reference with a word in it: \['\.\.\.', ''\]"):
        caption_scores(['a', 'b'], [['a'], ['...', '']])
