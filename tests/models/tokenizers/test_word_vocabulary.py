import json

import pytest

from vadlab.models.tokenizers.word_vocabulary import WordVocabulary
from vadlab.text.ptb import ptb_tokenize
from vadlab.utils.errors import ConfigError, DataError, MissingFileError

SPECIAL = ['<pad>', '<unk>', '<bos>', '<eos>']


def write(tmp_path, content):
    path = tmp_path / 'vocab.json'
    path.write_text(content if isinstance(content, str) else json.dumps({'words': content}))
    return path


def test_words_in_order_of_frequency():
    captions = ['A red car.', 'a blue car!', 'A blue bus', 'a zebra']
    assert WordVocabulary.build(captions, 1).words == (*SPECIAL, 'a', 'blue', 'car', 'bus', 'red', 'zebra')
    assert WordVocabulary.build(captions, 2).words == (*SPECIAL, 'a', 'blue', 'car')
    with pytest.raises(DataError, match='none of 6 words occurs 9 times'):
        WordVocabulary.build(captions, 9)


def test_decoded_words_are_those_of_the_metrics():
    text = "Two dogs aren't near the man's T-shirt (red)."
    vocabulary = WordVocabulary.build([text], 1)
    assert vocabulary.decode(vocabulary.encode(text)) == ' '.join(ptb_tokenize(text))


def test_file_keeps_the_words(tmp_path):
    vocabulary = WordVocabulary.build(['un café à 3 €', '一只狗'], 1)
    vocabulary.save(tmp_path / 'sub' / 'v.json')
    again = WordVocabulary(tmp_path / 'sub' / 'v.json')
    assert again.words == vocabulary.words
    assert again.fingerprint == vocabulary.fingerprint < 2**63
    assert again.fingerprint != WordVocabulary(words=[*SPECIAL, 'a']).fingerprint


def test_long_caption_is_cut_and_counted():
    vocabulary = WordVocabulary(words=[*SPECIAL, 'a', 'car'])
    assert vocabulary.encode('a car a car', max_len=5) == [2, 4, 5, 4, 3]
    assert vocabulary.truncated == 1
    assert vocabulary.encode('a car a', max_len=5) == [2, 4, 5, 4, 3]
    assert vocabulary.truncated == 1
    with pytest.raises(ConfigError, match='start and end alone take 2'):
        vocabulary.encode('a', max_len=1)


def test_special_words_in_a_caption_are_unknown():
    assert WordVocabulary(words=[*SPECIAL, 'a']).encode('a <eos> a <bos> <pad>') == [2, 4, 1, 4, 1, 1, 3]


def test_decoding_ends_at_the_end():
    vocabulary = WordVocabulary(words=[*SPECIAL, 'a', 'car'])
    assert vocabulary.decode([2, 4, 1, 5, 3, 4, 0]) == 'a <unk> car'
    assert vocabulary.decode([3, 4]) == ''
    with pytest.raises(DataError, match='number 6 is beyond the 6 words'):
        vocabulary.decode([4, 6])


def test_missing_special_words_are_named(tmp_path):
    with pytest.raises(DataError, match='vocab.json lacks <bos>, <eos>; its first words must be <pad> <unk>'):
        WordVocabulary(write(tmp_path, ['<pad>', '<unk>', 'a']))
    with pytest.raises(DataError, match='begins with a <pad> <unk> <bos>'):
        WordVocabulary(write(tmp_path, ['a', *SPECIAL]))


def test_invalid_words_are_rejected(tmp_path):
    with pytest.raises(DataError, match=r"1 words occur twice \(first: 'a'\)"):
        WordVocabulary(write(tmp_path, [*SPECIAL, 'a', 'b', 'a']))
    for word in ('', 'two words', 3):
        with pytest.raises(DataError, match='is not a word'):
            WordVocabulary(write(tmp_path, [*SPECIAL, word]))


def test_files_that_are_not_a_vocabulary_are_rejected(tmp_path):
    with pytest.raises(MissingFileError, match='no vocabulary file .*tools/build_vocabulary.py'):
        WordVocabulary(tmp_path / 'none.json')
    with pytest.raises(DataError, match='is not valid JSON'):
        WordVocabulary(write(tmp_path, '{"words": ['))
    with pytest.raises(DataError, match='contains no list "words"'):
        WordVocabulary(write(tmp_path, '["a"]'))
    with pytest.raises(ConfigError, match='give vocab_file, or words'):
        WordVocabulary()
