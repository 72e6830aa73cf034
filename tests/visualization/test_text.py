import pytest
from matplotlib import font_manager

from vadlab.visualization import text


@pytest.fixture
def no_cjk_font(monkeypatch):
    characters = frozenset(font_manager.get_font(font_manager.findfont(text.BASE_FONT)).get_charmap())
    monkeypatch.setattr(text, '_fonts', lambda: ((text.BASE_FONT, characters),))


def test_characters_without_a_font_are_escaped(no_cjk_font, monkeypatch):
    said = []
    monkeypatch.setattr(text, '_say_once', said.append)
    assert text.drawable('a \n 人  runs, café') == r'a \u4eba runs, café'
    assert 'fonts-noto-cjk' in said[0]
    assert text.drawable('only this') == 'only this'
    assert len(said) == 1


def test_characters_with_a_font_stay(monkeypatch):
    monkeypatch.setattr(
        text, '_fonts', lambda: (('Base', frozenset(map(ord, 'ab '))), ('Chinese', frozenset({0x4EBA})))
    )
    assert text.drawable('a 人 b') == 'a 人 b'
    assert text.font_families() == ['Base', 'Chinese']


def narrower_than(width):
    """A Chinese character is as wide as two Latin letters."""
    return lambda line: sum(2 if ord(char) >= 0x2E80 else 1 for char in line) <= width


@pytest.mark.parametrize(
    ('line', 'width', 'expected'),
    [('short', 5, 'short'), ('too long', 5, 'too…'), ('一个人跑', 8, '一个人跑'), ('一个人跑', 6, '一个…')],
)
def test_shortened_by_hand(line, width, expected):
    assert text.shortened(line, narrower_than(width)) == expected


@pytest.mark.parametrize(
    ('line', 'width', 'lines', 'expected'),
    [
        ('one two three four', 8, 3, ['one two', 'three', 'four']),
        ('one two three four', 8, 2, ['one two', 'three f…']),
        ('one two', 3, 2, ['one', 'two']),
        ('一个人在打篮球', 6, 3, ['一个人', '在打篮', '球']),
        ('abcdefghij', 4, 3, ['abcd', 'efgh', 'ij']),
        ('', 8, 2, []),
    ],
)
def test_wrapped_by_hand(line, width, lines, expected):
    assert text.wrapped(line, narrower_than(width), lines) == expected
