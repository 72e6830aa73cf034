import os
import sqlite3
import threading
from types import SimpleNamespace

import pytest

from vadlab.models.vlm.answer_cache import AnswerCache
from vadlab.models.vlm.request import Answer, Request
from vadlab.utils.errors import ConfigError, MissingFileError

ANSWER = Answer('text', 5, 6, 0.5, True, False, 3)


def test_answer_comes_back_from_another_process(tmp_path):
    AnswerCache(tmp_path / 'a/b.sqlite').put('k', 'model', ANSWER)
    again = AnswerCache(tmp_path / 'a/b.sqlite')
    assert again.get('k') == ANSWER
    assert again.get('other') is None
    assert len(again) == 1


def test_key_depends_on_all_that_affects_an_answer():
    base = Request('q', 'v', (1, 2), {'type': 'object'})
    others = [
        Request('q2', 'v', (1, 2), {'type': 'object'}),
        Request('q', 'w', (1, 2), {'type': 'object'}),
        Request('q', 'v', (1, 3), {'type': 'object'}),
        Request('q', 'v', (1, 2), None),
        Request('q', 'v', (1, 2), {'type': 'object'}, attempt=1),
    ]
    keys = {one.key({'model': 'm'}) for one in [base, *others]} | {base.key({'model': 'n'})}
    assert len(keys) == 7
    assert Request('q', 'v', (1, 2), {'type': 'object'}, images=(b'x',)).key({'model': 'm'}) in keys


def test_digest_is_of_the_content_not_of_the_path(tmp_path):
    cache = AnswerCache(tmp_path / 'c.sqlite')
    for name, content in (('a.mp4', b'1'), ('b.mp4', b'1'), ('c.mp4', b'2')):
        (tmp_path / name).write_bytes(content)
    a, b, c = (cache.digest_of(str(tmp_path / name)) for name in ('a.mp4', 'b.mp4', 'c.mp4'))
    assert a == b != c
    (tmp_path / 'a.mp4').write_bytes(b'3')
    os.utime(tmp_path / 'a.mp4', ns=(1, 1))
    assert cache.digest_of(str(tmp_path / 'a.mp4')) not in (a, c)
    with pytest.raises(MissingFileError, match='cannot be read'):
        cache.digest_of(str(tmp_path / 'none.mp4'))


def test_digest_of_a_folder_of_frames(tmp_path):
    cache = AnswerCache(tmp_path / 'c.sqlite')
    for folder in 'ab':
        (tmp_path / folder).mkdir()
        for name in '12':
            (tmp_path / folder / f'{name}.png').write_bytes(name.encode())
    assert cache.digest_of(str(tmp_path / 'a')) == cache.digest_of(str(tmp_path / 'b'))
    (tmp_path / 'b' / '2.png').write_bytes(b'4')
    os.utime(tmp_path / 'b' / '2.png', ns=(1, 1))
    (tmp_path / 'b' / '1.png').touch()
    assert cache.digest_of(str(tmp_path / 'a')) != cache.digest_of(str(tmp_path / 'b'))


def test_threads_and_two_caches_write_one_file(tmp_path):
    caches = [AnswerCache(tmp_path / 'c.sqlite') for _ in range(2)]

    def work(number):
        for i in range(20):
            caches[number % 2].put(f'{number}-{i}', 'm', ANSWER)

    threads = [threading.Thread(target=work, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(caches[0]) == 80


def test_the_file_is_created_for_the_first_answer_and_holds_digests_from_before(tmp_path):
    """Nothing is left by a run whose model cannot be asked; what another process wrote meanwhile is seen."""
    path, video = tmp_path / 'a' / 'c.sqlite', tmp_path / 'v.mp4'
    video.write_bytes(b'1')
    cache, other = AnswerCache(path), AnswerCache(path)
    digest = cache.digest_of(str(video))
    assert cache.get('k') is None
    assert len(cache) == 0
    assert [p.name for p in tmp_path.iterdir()] == ['v.mp4']
    cache.put('k', 'm', ANSWER)
    assert other.get('k') == ANSWER
    other.put('l', 'm', ANSWER)
    assert len(cache) == len(other) == 2
    assert sqlite3.connect(path).execute('SELECT path, digest FROM videos').fetchall() == [
        (os.path.realpath(video), digest)
    ]


def test_a_folder_that_cannot_be_written_is_found_before_the_first_question(tmp_path):
    (tmp_path / 'file').touch()
    with pytest.raises(ConfigError, match='cannot be written to'):
        AnswerCache(tmp_path / 'file' / 'c.sqlite')


def _foreign(path):
    base = sqlite3.connect(path)
    base.execute('CREATE TABLE songs (name TEXT)')
    base.commit()


def _newer(path):
    base = sqlite3.connect(path)
    base.execute('PRAGMA user_version=9')
    base.commit()


def test_two_processes_that_make_the_file_at_once(tmp_path, monkeypatch):
    connect, others = sqlite3.connect, []

    def make_another():
        AnswerCache(tmp_path / 'a.sqlite').close()

    class Interrupted:
        """The first connection; another one makes its cache, or waits, after the first question."""

        def __init__(self, base):
            self._base = base

        def execute(self, text, *values):
            found = self._base.execute(text, *values)
            if text == 'PRAGMA user_version' and not others:
                found = iter(found.fetchall())
                others.append(threading.Thread(target=make_another))
                others[0].start()
                others[0].join(0.5)
                return SimpleNamespace(fetchone=lambda: next(found))
            return found

        def __getattr__(self, name):
            return getattr(self._base, name)

    bases = iter([Interrupted, lambda base: base])
    monkeypatch.setattr(sqlite3, 'connect', lambda *args, **options: next(bases)(connect(*args, **options)))
    (tmp_path / 'a.sqlite').touch()  # as one of them has just made it
    cache = AnswerCache(tmp_path / 'a.sqlite')
    others[0].join()
    assert len(cache) == 0


@pytest.mark.parametrize(
    ('write', 'message'),
    [
        (lambda path: path.write_bytes(b'no database ' * 100), 'cannot be used as a cache of answers.*Remove it'),
        (lambda path: path.mkdir(), 'cannot be used as a cache of answers'),
        (_foreign, 'another program'),
        (_newer, 'version 9'),
    ],
)
def test_files_that_are_no_cache(tmp_path, write, message):
    write(tmp_path / 'c.sqlite')
    with pytest.raises(ConfigError, match=message):
        AnswerCache(tmp_path / 'c.sqlite')
