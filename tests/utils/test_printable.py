import logging
import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vadlab.utils.errors import DataError, MissingFileError
from vadlab.utils.printable import make_logs_printable, printable


@given(st.text(st.characters(codec=None)))
def test_nothing_of_a_text_acts_on_a_terminal_and_all_of_it_can_be_encoded(text):
    shown = printable(text)
    shown.encode()
    assert all(char.isprintable() or char in '\n\t' or ord(char) > 0x9F for char in shown)
    assert printable(shown) == shown


def test_other_texts_are_left_as_they_are():
    text = 'Ein Mann läuft. 一个男人在跑。 😀\n\ta $b$'
    assert printable(text) == text
    assert printable('cam\udce9ra\x1b]0;x\x07\u202e') == r'cam\udce9ra\x1b]0;x\x07\u202e'


@pytest.mark.parametrize('kind', [DataError, MissingFileError])
def test_errors_show_control_characters_and_are_cut(kind):
    error = kind(f'\x1b[2Jfile.json: {"x" * 200_000!r} is not a number in {"a b " * 50_000} end')
    assert str(error).startswith(r'\x1b[2Jfile.json: ')
    assert str(error).endswith(' end')
    assert 'characters ...]' in str(error)
    assert len(str(error)) < 5_000
    assert str(pickle.loads(pickle.dumps(error))) == str(error)


def test_log_lines_are_printable(caplog):
    made = logging.getLogRecordFactory()
    try:
        make_logs_printable()
        make_logs_printable()
        logging.getLogger('vadlab.test').warning('%s is %d', 'a\x1b[31m', 3)
    finally:
        logging.setLogRecordFactory(made)
    assert caplog.messages == [r'a\x1b[31m is 3']
