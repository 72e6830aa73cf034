import json
import pickle

import pytest
from transformers import PreTrainedTokenizerFast

from tests.models.released_fgclip2 import write_tokenizer
from vadlab.models.tokenizers.hugging_face_tokenizer import HuggingFaceTokenizer
from vadlab.utils.errors import ConfigError, DataError, MissingFileError

TEXTS = ['A man runs', '一名男子跑', 'zz € 猫 in RED', '', 'a man in red ' * 20]


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp('tokenizer')
    write_tokenizer(folder)
    return folder


@pytest.mark.parametrize('max_len', [64, 5])
def test_ids_equal_transformers_padded_and_truncated(folder, max_len):
    tokenizer = HuggingFaceTokenizer(folder)
    theirs = PreTrainedTokenizerFast(
        tokenizer_file=str(folder / 'tokenizer.json'), pad_token='<pad>', eos_token='<eos>'
    )
    for text in TEXTS:
        ids = tokenizer.encode(text, max_len)
        wanted = theirs([text.lower()], max_length=max_len, padding='max_length', truncation=True).input_ids[0]
        assert ids + [tokenizer.pad_id] * (max_len - len(ids)) == wanted


def test_end_id_is_kept_cuts_are_counted_and_case_is_optional(folder):
    tokenizer = HuggingFaceTokenizer(str(folder / 'tokenizer.json'))
    assert (tokenizer.vocab_size, tokenizer.pad_id) == (300, 0)
    ids = tokenizer.encode('A man runs')
    assert ids[-1] == 1
    assert tokenizer.decode(ids) == 'a man runs'
    assert tokenizer.encode('A man runs', 3) == [*ids[:2], 1]
    assert tokenizer.truncated == 1
    assert HuggingFaceTokenizer(folder, lower=False).encode('A')[:1] != ids[:1]
    assert tokenizer.encode('\ud800')[-1] == 1  # half of a character, which JSON allows


def test_loader_workers_can_get_a_copy(folder):
    tokenizer = HuggingFaceTokenizer(folder)
    assert pickle.loads(pickle.dumps(tokenizer)).encode('a man') == tokenizer.encode('a man')


def test_folder_without_a_tokenizer_says_what_to_copy(tmp_path):
    with pytest.raises(MissingFileError, match=r'has no tokenizer\.json\. Copy tokenizer\.json and tokenizer_config'):
        HuggingFaceTokenizer(tmp_path)
    (tmp_path / 'tokenizer.model').write_bytes(b'')
    with pytest.raises(MissingFileError, match=r'Write one from its tokenizer\.model: python -c'):
        HuggingFaceTokenizer(tmp_path)


def test_what_is_no_tokenizer_is_refused(folder, tmp_path):
    with pytest.raises(ConfigError, match='path is None'):
        HuggingFaceTokenizer()
    with pytest.raises(ConfigError, match='max_len must be >= 1, not 0'):
        HuggingFaceTokenizer(folder).encode('a', 0)
    (tmp_path / 'tokenizer.json').write_text('{"model": 3}')
    with pytest.raises(DataError, match='is not a tokenizer'):
        HuggingFaceTokenizer(tmp_path)
    content = json.loads((folder / 'tokenizer.json').read_text())
    (tmp_path / 'tokenizer.json').write_text(json.dumps(content))
    (tmp_path / 'tokenizer_config.json').write_text(json.dumps(dict(pad_token=dict(content='<nothing>'))))
    with pytest.raises(DataError, match=r'has no padding token \(<nothing>\)'):
        HuggingFaceTokenizer(tmp_path)


def test_id_that_is_nowhere_is_a_missing_file(monkeypatch):
    monkeypatch.setenv('HF_HUB_OFFLINE', '1')
    with pytest.raises(MissingFileError, match="no local folder or file 'nobody/nothing'"):
        HuggingFaceTokenizer('nobody/nothing')
