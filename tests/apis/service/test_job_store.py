"""Jobs on disk: what a kill at any moment leaves, and what the next start makes of it."""

import json
import sqlite3

import pytest

from vadlab.apis.service.job_store import MOST_TRIES, JobStore
from vadlab.utils.errors import ConfigError

OUTCOME = {'summary': {'events': 0, 'event_s': 0.0, 'highest_score': 0.1, 'labels': []}, 'page': 'pages/a.html'}


@pytest.fixture
def store(tmp_path):
    made = JobStore(tmp_path / 'data')
    yield made
    made.close()


def add(store, number=0, key=None):
    upload = store.incoming / str(number)
    upload.write_bytes(b'video')
    return store.add(f'{number:032x}', upload, f'{number}.mp4', '.mp4', 5, 1.0, key)


def reopened(store):
    store.close()
    return JobStore(store.folder)


def write_outcome(store, job, outcome):
    store.try_of(job).mkdir()
    (store.try_of(job) / 'outcome.json').write_text(json.dumps(outcome))


def test_jobs_are_taken_in_order_and_once(store):
    jobs = [add(store, number) for number in range(3)]
    assert [store.ahead_of(job) for job in jobs] == [0, 1, 2]
    assert [store.take().id for _ in range(3)] == [job.id for job in jobs]
    assert store.take() is None
    assert store.pending() == 3


def test_a_job_ends_once(store):
    add(store)
    job = store.take()
    assert store.fail(job, 'crashed', 'why')
    assert not store.finish(job, {})
    assert not store.fail(job, 'other', 'why')
    assert store.get(job.id).error_code == 'crashed'
    with pytest.raises(sqlite3.IntegrityError, match='the job has ended'):
        store._base.execute("UPDATE jobs SET state = 'done' WHERE id = ?", (job.id,))


def test_a_late_answer_of_an_earlier_try_changes_nothing(store):
    add(store)
    first = store.take()
    store.recover()
    second = store.take()
    assert not store.finish(first, {})
    assert store.get(first.id).state == 'running'
    assert store.finish(second, {})


def test_a_running_job_waits_again_after_a_kill_in_its_old_place(store):
    add(store, 0), add(store, 1)
    store.take()
    again = reopened(store)
    assert again.recover() == {'completed': 0, 'again': 1, 'given_up': 0}
    assert again.take().number == 1
    again.close()


def test_a_result_that_was_complete_before_the_kill_counts(store):
    add(store)
    job = store.take()
    write_outcome(store, job, OUTCOME)
    again = reopened(store)
    assert again.recover() == {'completed': 1, 'again': 0, 'given_up': 0}
    assert again.get(job.id).state == 'done'
    assert json.loads(again.get(job.id).summary) == {**OUTCOME['summary'], 'page': 'pages/a.html'}
    assert again.take() is None
    again.close()


@pytest.mark.parametrize('outcome', ['', '{', '[]', '{"error": 1}'])
def test_a_damaged_outcome_does_not_count(store, outcome):
    add(store)
    job = store.take()
    write_outcome(store, job, OUTCOME)
    (store.try_of(job) / 'outcome.json').write_text(outcome)
    again = reopened(store)
    assert again.recover()['again'] == 1
    again.close()


def test_a_job_that_ends_the_service_each_time_is_given_up(store):
    add(store)
    for _ in range(MOST_TRIES - 1):
        store.take()
        assert store.recover() == {'completed': 0, 'again': 1, 'given_up': 0}
    job = store.take()
    assert store.recover() == {'completed': 0, 'again': 0, 'given_up': 1}
    assert store.get(job.id).error_code == 'interrupted'
    assert f'ended {MOST_TRIES} times' in store.get(job.id).error


def test_a_stop_does_not_count_as_a_try(store):
    add(store)
    for _ in range(2 * MOST_TRIES):
        assert store.give_back(store.take())
    assert store.take().tries == 1


def test_files_of_no_job_and_unneeded_files_are_removed(store):
    done, waiting = add(store, 1), add(store, 2)
    job = store.take()
    assert job.id == done.id
    write_outcome(store, job, OUTCOME)
    store.finish(job, OUTCOME['summary'])
    store.video_of(job).write_bytes(b'left by a kill')
    (store.incoming / 'part').write_bytes(b'half')
    (store.folder / 'jobs' / 'no_row').mkdir()
    again = reopened(store)
    again.recover()
    assert list(again.incoming.iterdir()) == []
    assert sorted(path.name for path in (again.folder / 'jobs').iterdir()) == sorted([done.id, waiting.id])
    assert [path.name for path in again.folder_of(done.id).iterdir()] == ['try-1']
    assert again.video_of(waiting).read_bytes() == b'video'
    again.close()


def test_a_key_finds_its_job(store):
    first = add(store, 1, 'key')
    assert add(store, 2, 'key').id == first.id
    assert not store.folder_of(f'{2:032x}').exists()
    assert store.pending() == 1


def test_the_folder_is_for_one_service(store, tmp_path):
    with pytest.raises(ConfigError, match='in use by another service'):
        JobStore(store.folder)
    (tmp_path / 'other').mkdir()
    (tmp_path / 'other' / 'thesis.tex').touch()
    with pytest.raises(ConfigError, match='holds other files'):
        JobStore(tmp_path / 'other')
    (tmp_path / 'file').touch()
    with pytest.raises(ConfigError, match='is a file'):
        JobStore(tmp_path / 'file')


def test_a_damaged_or_newer_database_is_named(tmp_path):
    (tmp_path / 'a').mkdir()
    (tmp_path / 'a' / 'jobs.sqlite').write_bytes(b'not a database at all' * 100)
    with pytest.raises(ConfigError, match='cannot be used as the list of jobs'):
        JobStore(tmp_path / 'a')
    JobStore(tmp_path / 'b').close()
    with sqlite3.connect(tmp_path / 'b' / 'jobs.sqlite') as base:
        base.execute('PRAGMA user_version=7')
    base.close()
    with pytest.raises(ConfigError, match='of version 7'):
        JobStore(tmp_path / 'b')
