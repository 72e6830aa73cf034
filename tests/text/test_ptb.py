import re
import shutil
import subprocess
from pathlib import Path

import pytest

from vadlab.text.ptb import PUNCTUATION, ptb_tokenize

# What Stanford's PTBTokenizer of the COCO evaluation makes of these, punctuation dropped. '|' separates words.
CASES = {
    'A man riding a wave on top of a surfboard.': 'a|man|riding|a|wave|on|top|of|a|surfboard',
    'ALL   CAPS\tand\nlines!': 'all|caps|and|lines',
    # Contractions and possessives
    "The dogs' bowls, the man's and Jones's": "the|dogs|bowls|the|man|'s|and|jones|'s",
    "can't won't couldn't've it's he'll": "ca|n't|wo|n't|could|n't|'ve|it|'s|he|'ll",
    "they've I'm you'd": "they|'ve|i|'m|you|'d",
    'it’s don’t': "it|'s|do|n't",
    "cannot gonna lemme 'twas": "can|not|gon|na|lem|me|'t|was",
    "o'clock O'Brien rock 'n' roll y'all c'mon": "o'clock|o'brien|rock|'n'|roll|y'|all|c'mon",
    "'em 'cause the '90s and 1990's": "'em|'cause|the|'90s|and|1990|'s",
    # Quotes, dashes, brackets
    'A sign that says "STOP", or ‘GO’...': 'a|sign|that|says|stop|or|go',
    '“curly” «angle» `back`': 'curly|angle|back',
    'red - blue -- green — white – black': 'red|blue|green|white|black',
    'black-and-white T-shirt mid-air': 'black-and-white|t-shirt|mid-air',
    'a dog (brown) [big] {wet}': 'a|dog|-lrb-|brown|-rrb-|-lsb-|big|-rsb-|-lcb-|wet|-rcb-',
    'ends...and goes on. . . so': 'ends|and|goes|on|so',
    'wait?! what!? no;yes:so': 'wait|?!|what|!?|no|yes|so',
    # Abbreviations
    'Mr. Smith of St. Mark near 5th Ave.': 'mr.|smith|of|st.|mark|near|5th|ave.',
    'U.S. flag, at 10 a.m. in Jan. etc.': 'u.s.|flag|at|10|a.m.|in|jan.|etc.',
    'Miss. but miss. and no. 5 and no.': 'miss.|but|miss|and|no.|5|and|no',
    'end of one.start of the next': 'end|of|one.start|of|the|next',
    # Numbers and money
    '2 1/2 and 1/2 and ½ of 1,000.50': '2|1/2|and|1/2|and|1/2|of|1,000.50',
    '$5.00 and £5 and €10 and 50% and 3+4=7': '$|5.00|and|#|5|and|$|10|and|50|%|and|3|+4|=|7',
    'at 10:30 and 9/11/2001, -5 degrees': 'at|10:30|and|9/11/2001|-5|degrees',
    'call (555) 123-4567 or 555-1234': 'call|-lrb-555-rrb-|123-4567|or|555-1234',
    '24/7 either/or 6-foot 3-D 1st': '24/7|either/or|6-foot|3-d|1st',
    # Signs
    'Ben & Jerry &amp; AT&T, rock&roll': 'ben|&|jerry|&|at&t|rock|&|roll',
    'www.example.com and http://foo.bar/baz?x=1 or a@b.org': 'www.example.com|and|http://foo.bar/baz?x=1|or|a@b.org',
    '@user #hashtag #1 C++ F#': '@user|#hashtag|#|1|c++|f#',
    '<b>bold</b> a<b &lt;': '<b>|bold|</b>|a|<|b|<',
    'smile :) and :-(': 'smile|:-rrb-|and|:--lrb-',
    '* star ** a_b ~ ^': '*|star|**|a_b|~|^',
    # Other languages, invisible and picture characters
    '一个人在跑步。': '一个人在跑步|。',
    '一个人，在跑步': '一个人|，|在跑步',
    'Привет, naïve café İ': 'привет|naïve|café|i̇',
    'a 😀 dog\u200b\ufeff': 'a|dog',
    'soft\u00adhyphen non\u00a0breaking': 'softhyphen|non|breaking',
    # Nothing
    '': '',
    ' . ... ! -- ""': '',
}


@pytest.mark.parametrize('text', CASES)
def test_words_are_those_of_stanfords_tokenizer(text):
    assert '|'.join(ptb_tokenize(text)) == CASES[text]


def test_context_between_spaces_is_seen():
    # The same chunk, alone and where what follows makes it an abbreviation or a fraction.
    assert ptb_tokenize('fig. 3') == ['fig.', '3']
    assert ptb_tokenize('fig. tree') == ['fig', 'tree']
    assert ptb_tokenize('pp. 12') == ['pp.', '12']


def test_no_word_has_a_space_or_capital_or_is_punctuation():
    text = ''.join(chr(code) for code in range(1, 0x3100)) + ' (555) 123 4567 <b class="x y"> 2 1/2'
    words = ptb_tokenize(text)
    assert len(words) > 100
    assert not [word for word in words if re.search(r'\s', word) or word in PUNCTUATION or not word]


def test_long_text_takes_no_longer_than_its_length():
    # Patterns that try every way to divide a text would not come to an end here.
    for piece in ('a.', "a'", 'a-', '1.', '<a ', 'a@', 'www.', '(', '"'):
        assert len(ptb_tokenize(piece * 2000)) <= 4000


@pytest.mark.slow
def test_equals_stanfords_tokenizer_where_java_is_at_hand(tmp_path):
    tokenizer = pytest.importorskip('pycocoevalcap.tokenizer.ptbtokenizer')
    if shutil.which('java') is None:
        pytest.skip('needs Java')
    lines = [text for text in CASES if '\n' not in text]
    (tmp_path / 'lines.txt').write_text('\n'.join([*lines, 'end']), encoding='utf-8')
    jar = Path(tokenizer.__file__).parent / tokenizer.STANFORD_CORENLP_3_4_1_JAR
    command = ['java', '-Dfile.encoding=UTF-8', '-cp', str(jar), 'edu.stanford.nlp.process.PTBTokenizer']
    command += ['-preserveLines', '-lowerCase', str(tmp_path / 'lines.txt')]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split('\n')
    for text, line in zip(lines, said, strict=False):
        words = ' '.join(word for word in line.split(' ') if word not in tokenizer.PUNCTUATIONS).split()
        assert (text, ptb_tokenize(text)) == (text, words)
