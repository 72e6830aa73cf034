import errno
import fcntl
import os

import pytest

from vadlab.utils.errors import ConfigError
from vadlab.utils.folder_lock import lock_folder, lock_outputs


def test_one_writes_alone_or_several_share(tmp_path):
    out = tmp_path / 'a' / 'out'
    with lock_folder(out, '--out', is_shared=True):
        with lock_folder(out, '--out', is_shared=True):
            pass
        with pytest.raises(ConfigError, match=f'^--out {out}: another process writes there'), lock_folder(out, '--out'):
            pass
    with lock_folder(out, '--out'):
        for is_shared in (True, False):
            with pytest.raises(ConfigError, match='another process'), lock_folder(out, '--out', is_shared):
                pass
    with pytest.raises(ZeroDivisionError), lock_folder(out, '--out'):
        raise ZeroDivisionError
    with lock_folder(out, '--out'):
        assert os.listdir(out) == []


def test_a_forked_process_does_not_keep_the_lock(tmp_path):
    reader, writer = os.pipe()
    with lock_folder(tmp_path, '--out'):
        child = os.fork()
        if not child:
            os.read(reader, 1)
            os._exit(0)
    with lock_folder(tmp_path, '--out'):
        os.write(writer, b'x')
    os.waitpid(child, 0)


def test_without_locks_of_the_file_system_nothing_is_refused(tmp_path, monkeypatch):
    def flock(file, how):
        raise OSError(errno.EBADF, 'as on NFS')

    monkeypatch.setattr(fcntl, 'flock', flock)
    with lock_folder(tmp_path, '--out'), lock_folder(tmp_path, '--out'):
        pass


def test_outputs_are_locked_together_and_empty_ones_removed(tmp_path):
    report, video, old = tmp_path / 'a' / 'report', tmp_path / 'a' / 'video', tmp_path / 'old'
    old.mkdir()
    folders = {'--report': report, '--save-video': video, '--heat-map': report, '--out': None, '--show-dir': old}
    with lock_outputs(folders):
        (report / 'index.html').touch()
        with pytest.raises(ConfigError, match=f'^--heat-map {video}: another'), lock_outputs({'--heat-map': video}):
            pass
    assert sorted(path.name for path in tmp_path.rglob('*')) == ['a', 'index.html', 'old', 'report']
    with pytest.raises(ZeroDivisionError), lock_outputs({'--out': tmp_path / 'b' / 'c'}):
        raise ZeroDivisionError
    assert not (tmp_path / 'b').exists()
