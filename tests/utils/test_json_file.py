import json
import os

import pytest

from vadlab.utils.errors import ConfigError
from vadlab.utils.json_file import check_writable, write_json


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


def test_what_cannot_be_written_is_found_beforehand(tmp_path):
    (tmp_path / 'file').touch()
    check_writable(tmp_path / 'new' / 'a.json', '--out')
    assert list((tmp_path / 'new').iterdir()) == []
    with pytest.raises(ConfigError, match=r'--out .*a.json cannot be written: (Not a directory|File exists)'):
        check_writable(tmp_path / 'file' / 'a.json', '--out')
    with pytest.raises(ConfigError, match='is a folder'):
        check_writable(tmp_path / 'new', '--out')
