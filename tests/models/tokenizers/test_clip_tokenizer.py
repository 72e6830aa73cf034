import gzip
import pickle
import random
import sys

import pytest

from vadlab.models.tokenizers import clip_tokenizer as module
from vadlab.models.tokenizers.clip_tokenizer import CLIPTokenizer
from vadlab.registry import TOKENIZERS
from vadlab.utils.errors import ConfigError, DataError, MissingFileError

TEXTS = [
    'a man in a red jacket pushes another man to the ground',
    "It's the officer's car; they'll run, we've seen, I'm sure, you'd say, they're 2, don't!",
    "'twas 'S and 'RE, rock'n'roll o''clock '' ' x's",
    '两个人在停车场打架，一名穿黑色衣服的男子逃跑。',
    '监控画面显示：2023年5月1日，车辆起火！',
    'mixed 中文 and English，还有 emoji 🔥🚗👩‍👩‍👧 done',
    'Ünïcödé naïve café coöperate Ångström ﬁligree ½ ² ³ Ⅳ ٣ ৪',
    'e\u0301 decomposed, composed é',
    '¿Qué pasa? ¡Fuego! — “quoted” ‘single’ … 50% off #tag @user http://a.b/c?d=e&f=g',
    '  leading,\tand\nline\r\nbreaks \u00a0 no-break \u3000 wide  ',
    'snake_case CamelCase ALLCAPS 123456 1,234.56 3rd 2nd',
    'привет мир עברית العربية हिन्दी ไทย 日本語テキスト 한국어',
    '!!!??? ... --- === ~~~ ``` (((',
    'Ǆ ǅ ʰ ª º _ __ a_b',
    'antidisestablishmentarianism supercalifragilisticexpialidocious zzzzqqqq',
    '',
    ' ',
    '0',
    '\u200b zero width \u200d joiner \ufe0f selector \ufffd',
]


@pytest.fixture(scope='module')
def tokenizer():
    return CLIPTokenizer()


@pytest.fixture(scope='module')
def oracle(tokenizer):
    transformers = pytest.importorskip('transformers')
    lines = gzip.decompress(module.default_vocab_file().read_bytes()).decode().split('\n')
    merges = [tuple(line.split()) for line in lines[1 : 49152 - 256 - 2 + 1]]
    # The published vocab.json: bytes as GPT-2 prints them, the same with an end of word, the merges, two special
    # tokens.
    from transformers.convert_slow_tokenizer import bytes_to_unicode

    alphabet = list(bytes_to_unicode().values())
    symbols = [*alphabet, *(c + '</w>' for c in alphabet), *(''.join(m) for m in merges)]
    symbols += ['<|startoftext|>', '<|endoftext|>']
    return transformers.CLIPTokenizer(vocab={s: i for i, s in enumerate(symbols)}, merges=merges)


def _random_texts(n):
    rng = random.Random(0)
    pools = [
        'abcdefghijklmnopqrstuvwxyz     ',
        'ABC xyz 012 \'.,!?-_/\\ "#$%&*',
        '男女人车火枪警察跑打摔抢劫爆炸夜晚街道，。！？ ',
        'àéîõüñçßøåæœšžłđ áőűčřěşğı ',
        '🔥🚗👮🏃💥🎥🏠 ',
        'абвгд ελληνικά ابجد ไทย 한글 ½²٣Ⅷ ',
    ]
    for _ in range(n):
        pool = ''.join(rng.sample(pools, rng.randint(1, 3)))
        yield ''.join(rng.choice(pool) for _ in range(rng.randint(1, 60)))


def test_ids_equal_those_of_transformers(tokenizer, oracle):
    texts = TEXTS + list(_random_texts(600))
    for text in texts:
        assert tokenizer.encode(text, max_len=1000) == oracle(text)['input_ids'], text


def test_html_entities_are_resolved_twice(tokenizer, oracle):
    assert tokenizer.encode('cars &amp;amp; people &lt;3 caf&eacute;') == oracle('cars & people <3 café')['input_ids']


def test_known_ids_of_openai(tokenizer):
    # The documented example of OpenAI's and Hugging Face's CLIP.
    assert tokenizer.encode('a photo of a cat') == [49406, 320, 1125, 539, 320, 2368, 49407]
    assert tokenizer.vocab_size == 49408
    assert (tokenizer.start_id, tokenizer.end_id) == (49406, 49407)


def test_long_texts_are_cut_before_the_end_id_and_counted():
    tokenizer = CLIPTokenizer()
    whole = tokenizer.encode('fire ' * 75, max_len=77)
    assert len(whole) == 77
    assert tokenizer.truncated == 0
    cut = tokenizer.encode('fire ' * 76, max_len=77)
    assert cut == whole
    assert tokenizer.truncated == 1
    assert len(tokenizer.encode('fire ' * 1000)) == 248
    assert tokenizer.truncated == 2


def test_any_text_is_accepted_and_every_id_is_in_the_vocabulary(tokenizer):
    for text in ['\x00', '\ud800', '\U0010ffff', '<|endoftext|>', ''.join(map(chr, range(0x250)))]:
        ids = tokenizer.encode(text)
        assert ids[0] == 49406
        assert ids[-1] == 49407
        assert all(i < 49406 for i in ids[1:-1])


def test_decoding_gives_the_words_back(tokenizer):
    assert tokenizer.decode(tokenizer.encode('Two men FIGHT, 两个人')) == 'two men fight , 两个人'


def test_worker_processes_get_a_copy(tokenizer):
    assert pickle.loads(pickle.dumps(tokenizer)).encode('a dog') == tokenizer.encode('a dog')


def test_built_by_name_without_importing_open_clip(tokenizer):
    assert TOKENIZERS.build(dict(type='CLIPTokenizer')).encode('x') == tokenizer.encode('x')
    assert 'open_clip' not in sys.modules


def test_plain_text_vocabulary(tokenizer, tmp_path):
    path = tmp_path / 'merges.txt'
    path.write_bytes(gzip.decompress(module.default_vocab_file().read_bytes()))
    assert CLIPTokenizer(str(path)).encode('a red car') == tokenizer.encode('a red car')


def test_missing_vocabulary_names_the_command(monkeypatch):
    monkeypatch.setattr(module.importlib.util, 'find_spec', lambda name: None)
    with pytest.raises(MissingFileError, match='pip install --no-deps open_clip_torch'):
        CLIPTokenizer()


def test_wrong_path_is_named(tmp_path):
    with pytest.raises(MissingFileError, match=r'no vocabulary file .*nowhere\.txt\. Leave vocab_file out'):
        CLIPTokenizer(str(tmp_path / 'nowhere.txt'))


@pytest.mark.parametrize('content', [b'#v\na b\n', b'\x1f\x8b\x00broken', b'\xff\xfe\x00', b''])
def test_another_file_is_rejected(tmp_path, content):
    path = tmp_path / 'vocab.txt.gz'
    path.write_bytes(content)
    with pytest.raises(DataError, match=r'vocab\.txt\.gz'):
        CLIPTokenizer(str(path))


def test_max_len_needs_room_for_two(tokenizer):
    with pytest.raises(ConfigError, match='max_len=1'):
        tokenizer.encode('x', max_len=1)
