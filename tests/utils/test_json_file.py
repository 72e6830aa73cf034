import json
import math
import os

import pytest

from vadlab.utils.errors import DataError
from vadlab.utils.json_file import read_json, read_json_lines, shape_fault, write_json


def test_permissions_are_those_of_any_new_file(tmp_path):
    mask = os.umask(0o022)
    try:
        write_json(tmp_path / 'new' / 'a.json', {'b': 1})
    finally:
        os.umask(mask)
    assert json.loads((tmp_path / 'new' / 'a.json').read_text()) == {'b': 1}
    assert (tmp_path / 'new' / 'a.json').stat().st_mode & 0o777 == 0o644
    assert [path.name for path in (tmp_path / 'new').iterdir()] == ['a.json']


def test_a_failure_leaves_the_old_file(tmp_path):
    write_json(tmp_path / 'a.json', {'b': 1})
    with pytest.raises(ValueError, match='not JSON compliant'):
        write_json(tmp_path / 'a.json', {'b': float('nan')})
    assert json.loads((tmp_path / 'a.json').read_text()) == {'b': 1}


@pytest.mark.parametrize(
    ('text', 'message'),
    [
        ('[' * 100_000 + ']' * 100_000, 'more than 64 deep'),
        ('{"a":' * 80 + '1' + '}' * 80, 'more than 64 deep'),
        ('{"a":\n' + '9' * 5000 + '}', 'line 2: a whole number of 5000 digits'),
        ('[-9223372036854775809]', 'a whole number of 20 digits'),
        ('[NaN]', 'line 1: NaN is not a finite number'),
        ('[1e999]', '1e999 is not a finite number'),
        ('{"a": 1,\n "a": 2}', "the key 'a' is there twice"),
        (r'["\ud800"]', 'half of a character'),
        (r'{"a\u0000": 1}', 'a zero byte'),
        ('[1,\n2,]', 'is not valid JSON: .*, line 2 column 3'),
        ('', 'is not valid JSON: .*, line 1 column 1'),
    ],
)
def test_what_no_file_needs_is_refused_with_its_place(tmp_path, text, message):
    (tmp_path / 'a.json').write_text(text)
    with pytest.raises(DataError, match=f'a.json .*{message}'):
        read_json(tmp_path / 'a.json', unique_keys=True)


def test_json_is_read_with_and_without_a_byte_order_mark(tmp_path):
    content = {'a': [1, 2.5, None, True, 'é😀', {}], 'b\\u0000': -(2**63)}
    for encoding in ('utf-8', 'utf-8-sig'):
        (tmp_path / 'a.json').write_text(json.dumps(content), encoding=encoding)
        assert read_json(tmp_path / 'a.json') == content


def test_names_that_are_no_utf8_are_written_escaped(tmp_path):
    write_json(tmp_path / 'a.json', {'cam\udce9ra': 'é'})
    text = (tmp_path / 'a.json').read_text(encoding='utf-8')
    assert r'"cam\udce9ra": "é"' in text
    assert json.loads(text) == {'cam\udce9ra': 'é'}


def test_a_line_that_a_kill_cut_off_is_left_out(tmp_path):
    path = tmp_path / 'a.jsonl'
    path.write_bytes('{"a": 1}\n\n{"b": "é'.encode()[:-1])
    assert read_json_lines(path) == [(1, {'a': 1})]
    path.write_text('{"a": 1}\n{"b": 2}')
    assert read_json_lines(path) == [(1, {'a': 1}), (2, {'b': 2})]
    assert read_json_lines(path, is_ended=True) == [(1, {'a': 1})]
    path.write_text('{"a": NaN}\n')
    assert math.isnan(read_json_lines(path, is_finite=False)[0][1]['a'])
    path.write_text('1\n{\n2\n')
    with pytest.raises(DataError, match='a.jsonl, line 2 is not valid JSON'):
        read_json_lines(path)


def test_shape_faults_name_their_place():
    shape = {'id': int, 'name?': str, 'boxes': [{'x': float}], 'text?': (str, [str])}
    assert shape_fault({'id': 1, 'boxes': [{'x': 1}], 'text': ['a'], 'more': {}}, shape) is None
    assert shape_fault({'id': 1, 'boxes': []}, shape) is None
    for content, fault in (
        ([], 'it is [], not an object'),
        ({'boxes': []}, "it has no 'id'"),
        ({'id': True, 'boxes': []}, 'id is True, not a whole number'),
        ({'id': 1, 'boxes': [{'x': 1}, {'x': None}]}, 'boxes[1].x is null, not a number'),
        ({'id': 1, 'boxes': {}}, 'boxes is {}, not a list'),
        ({'id': 1, 'boxes': [], 'text': 3}, 'text is 3, not a text'),
    ):
        assert shape_fault(content, shape) == fault
