import errno
import os

import pytest

from vadlab.utils.atomic import atomic_path, no_empty_folders, write_bytes, write_text


def test_a_file_appears_whole_in_a_folder_that_is_made(tmp_path):
    path = tmp_path / 'a' / 'b.txt'
    with atomic_path(path) as part:
        part.write_text('new')
        assert not path.exists()
        assert part.parent == path.parent
    assert path.read_text() == 'new'
    assert os.listdir(path.parent) == ['b.txt']


def test_an_error_leaves_the_old_file_and_nothing_else(tmp_path):
    path = tmp_path / 'a.txt'
    write_text(path, 'old')

    def write_half():
        with atomic_path(path) as part:
            part.write_text('half of the n')
            raise RuntimeError('disk')

    with pytest.raises(RuntimeError, match='disk'):
        write_half()
    assert path.read_text() == 'old'
    assert os.listdir(tmp_path) == ['a.txt']


@pytest.mark.parametrize('links', [True, False], ids=['links', 'no_links'])
def test_of_several_that_make_a_new_file_one_succeeds(tmp_path, monkeypatch, links):
    def no_link(part, path):
        raise PermissionError(errno.EPERM, 'as on FAT')

    if not links:
        monkeypatch.setattr(os, 'link', no_link)
    path = tmp_path / 'a.txt'
    with atomic_path(path, is_new=True) as part:
        part.write_text('first')
    with pytest.raises(FileExistsError), atomic_path(path, is_new=True) as part:
        part.write_text('second')
    assert path.read_text() == 'first'
    assert os.listdir(tmp_path) == ['a.txt']


def test_a_new_file_has_the_permissions_that_any_new_file_gets(tmp_path):
    (tmp_path / 'plain').touch()
    write_bytes(tmp_path / 'ours', b'\x00\r\n')
    assert (tmp_path / 'ours').stat().st_mode == (tmp_path / 'plain').stat().st_mode
    assert (tmp_path / 'ours').read_bytes() == b'\x00\r\n'


def test_line_ends_are_written_as_they_are_and_bytes_of_names_become_escapes(tmp_path):
    write_text(tmp_path / 'a', 'x\r\ny\n\udce9')
    assert (tmp_path / 'a').read_bytes() == b'x\r\ny\n\\udce9'


def test_an_error_leaves_no_empty_folder_that_was_not_there(tmp_path):
    def fail(*files):
        with no_empty_folders(tmp_path / 'new' / 'out'):
            (tmp_path / 'new' / 'out').mkdir(parents=True)
            for name in files:
                (tmp_path / 'new' / name).write_text('')
            raise ValueError('wrong')

    with pytest.raises(ValueError, match='wrong'):
        fail()
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(ValueError, match='wrong'):
        fail('kept')
    assert [path.name for path in (tmp_path / 'new').iterdir()] == ['kept']
