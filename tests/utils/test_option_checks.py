"""Checks of a command line's numbers, folders and files: the folder as the file system has it afterwards."""

import argparse
import errno
from pathlib import Path

import pytest

from vadlab.utils.errors import ConfigError
from vadlab.utils.option_checks import require_at_least, require_file, require_folder, require_new_folder


def test_numbers():
    args = argparse.Namespace(jobs=None, batch_size=1, max_bad=-1)
    require_at_least(1, args, 'jobs', 'batch_size')
    with pytest.raises(ConfigError, match='^--batch-size must be at least 2, not 1'):
        require_at_least(2, args, 'jobs', 'batch_size')
    with pytest.raises(ConfigError, match='^--max-bad must be at least 0, not -1'):
        require_at_least(0, args, 'max_bad')


def test_a_folder_is_as_before(tmp_path):
    (tmp_path / 'old').mkdir()
    (tmp_path / 'old' / 'a.txt').touch()
    for folder in (tmp_path / 'old', tmp_path / 'new' / 'newer', None):
        require_folder(folder, '--out')
        require_file(folder and folder / 'b.txt', '--out')
    require_file(tmp_path / 'old' / 'a.txt', '--out', '.json', '.txt')
    require_new_folder(tmp_path / 'new', '--out')
    assert sorted(path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob('*')) == ['old', 'old/a.txt']


def test_a_folder_that_cannot_be_used(tmp_path):
    file = tmp_path / 'file'
    file.touch()
    with pytest.raises(ConfigError, match='^--out .*file is a file. Name a folder'):
        require_folder(file, '--out')
    with pytest.raises(ConfigError, match='^--out .*file/a/b cannot be written to: Not a directory'):
        require_folder(file / 'a' / 'b', '--out')
    with pytest.raises(ConfigError, match='cannot be written to: File name too long'):
        require_folder(tmp_path / 'new' / ('x' * 300), '--out')
    assert list(tmp_path.iterdir()) == [file]


def test_a_file_that_cannot_be_used(tmp_path):
    file = tmp_path / 'a.txt'
    file.touch()
    with pytest.raises(ConfigError, match='^--out .*a.txt: must end with .json, .csv'):
        require_file(file, '--out', '.json', '.csv')
    with pytest.raises(ConfigError, match='^--out .*a.txt exists. Name another file, or give --overwrite'):
        require_file(file, '--out', overwrite=False)
    with pytest.raises(ConfigError, match='^--out .* is a folder. Name a file'):
        require_file(tmp_path, '--out')
    with pytest.raises(ConfigError, match='^--out .*a.txt/b.json cannot be written to: Not a directory'):
        require_file(file / 'b.json', '--out')
    with pytest.raises(ConfigError, match='^--out .* is not empty. Name a new folder'):
        require_new_folder(tmp_path, '--out')
    assert list(tmp_path.iterdir()) == [file]


def test_a_full_disk(tmp_path, monkeypatch):
    """On it files can be made, and not filled."""

    def full(path, content):
        path.touch()
        if content:
            raise OSError(errno.ENOSPC, 'No space left on device')

    monkeypatch.setattr(Path, 'write_bytes', full)
    with pytest.raises(ConfigError, match='^--out .*new cannot be written to: No space left on device'):
        require_folder(tmp_path / 'new', '--out')
    require_folder(tmp_path / 'new', '--out', needs_room=False)
    assert list(tmp_path.iterdir()) == []
