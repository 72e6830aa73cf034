import os

import pytest

from vadlab.utils import text_file
from vadlab.utils.errors import DataError, MissingFileError
from vadlab.utils.text_file import read_lines, read_records, read_table, read_text


def test_byte_order_marks_and_line_ends_are_no_part_of_a_text(tmp_path):
    path = tmp_path / 'a.txt'
    path.write_bytes(b'\xef\xbb\xbfa\r\nb\rc\xe2\x80\xa8d\n')
    assert read_lines(path) == ['a', 'b', 'c\u2028d']


@pytest.mark.parametrize(
    ('content', 'message'),
    [
        ('a\nb é'.encode('latin-1'), 'a.txt, line 2: the byte 0xe9 is not UTF-8'),
        ('a'.encode('utf-16'), 'a.txt is in UTF-16'),
        (b'a\n\nb\0', 'a.txt, line 3: a zero byte'),
        (b'123456', 'a.txt has 6 bytes; the limit is 5'),
    ],
)
def test_what_is_no_text_is_told_with_its_place(tmp_path, monkeypatch, content, message):
    monkeypatch.setattr(text_file, 'MOST_BYTES', 5 if b'123456' in content else 100)
    (tmp_path / 'a.txt').write_bytes(content)
    with pytest.raises(DataError, match=message):
        read_text(tmp_path / 'a.txt')


def test_what_is_no_regular_file(tmp_path):
    os.mkfifo(tmp_path / 'pipe')
    for path, message in (
        (tmp_path, 'is a folder'),
        (tmp_path / 'pipe', 'is not a regular'),
        ('/dev/zero', 'is not a regular'),
    ):
        with pytest.raises(DataError, match=message):
            read_text(path)
    for path in (tmp_path / 'none', tmp_path / 'none' / 'a', 'a\0b'):
        with pytest.raises(MissingFileError, match='There is no file'):
            read_text(path)


def test_tables(tmp_path):
    path = tmp_path / 'a.csv'
    path.write_text('name, score\n\n"a\nb",1\n ,\nc\n', encoding='utf-8-sig')
    assert read_table(path) == [(1, ['name', ' score']), (4, ['a\nb', '1']), (6, ['c'])]
    assert read_records(path) == (['name', 'score'], [{'name': 'a\nb', 'score': '1'}, {'name': 'c', 'score': ''}])
    for text, message in (
        ('a\n' + 'x' * 100_001, 'line 2: .*a cell has more than 100,000 characters'),
        ('a\n' + 'x' * 200_000, 'line 2: .*field larger than field limit'),
        ('a\n"b', 'line 2: .*unexpected end of data'),
    ):
        path.write_text(text)
        with pytest.raises(DataError, match=f'a.csv, {message}'):
            read_table(path)
    path.write_text('a,a\n1,2\n')
    with pytest.raises(DataError, match="the column 'a' is there twice"):
        read_records(path)
