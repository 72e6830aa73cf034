"""The service over HTTP, with a process that stands for the one that scores."""

import json
import socket
import threading
import time

import pytest

from vadlab.apis.service import server, uploads
from vadlab.apis.service.client import ServiceRefusedError
from vadlab.apis.service.job_store import JobStore

from .running import running


def test_a_video_is_posted_followed_fetched_and_deleted(service, video):
    job = service.client.post(video)
    assert (job['name'], job['state'], job['bytes']) == ('clip.mp4', 'waiting', video.stat().st_size)
    assert job['duration_s'] == pytest.approx(24 / 30)
    job = service.client.wait(job['id'])
    assert job['summary'] == {'events': 1, 'event_s': 0.3, 'highest_score': 0.9, 'labels': ['Fire']}
    assert service.client.result(job['id'])['events'][0]['label'] == 'Fire'
    assert service.client.frames(job['id']) == {'times_s': [0.0], 'scores': [0.5]}
    status, headers, content = service.ask('GET', job['links']['report'])
    assert (status, content) == (200, b'<p>page</p>')
    assert headers['Content-Type'].startswith('text/html')
    assert job['id'] in [one['id'] for one in service.client.jobs()]
    assert not list((service.folder / 'jobs' / job['id']).glob('video*'))  # the report has a copy
    service.client.delete(job['id'])
    assert not (service.folder / 'jobs' / job['id']).exists()
    for path in (job['links']['job'], job['links']['result'], job['links']['report']):
        assert service.error('GET', path) == (404, 'unknown')
    assert service.error('DELETE', job['links']['job']) == (404, 'unknown')


def test_progress_is_told_while_a_video_is_scored(service, video):
    seen = []
    service.hold()

    def note(now):
        seen.append((now['state'], now['progress']))
        if now['progress'] == 0.5:
            service.go_on()

    service.client.wait(service.client.post(video, name='half.mp4')['id'], note, wait_s=0.1)
    assert ('running', 0.5) in seen
    assert seen[-1] == ('done', None)


def test_a_job_without_a_result_says_so(service, video):
    service.hold()
    job = service.client.post(video, name='half.mp4')
    assert service.error('GET', f'/api/videos/{job["id"]}/result') == (409, 'not_done')
    service.go_on()
    service.client.wait(job['id'])


def test_a_form_is_refused_with_the_way_to_send_the_file(service, video):
    headers = {'Content-Type': 'multipart/form-data; boundary=x'}
    status, _, content = service.ask('POST', '/api/videos?name=a.mp4', video.read_bytes(), headers)
    assert status == 400
    assert 'curl -X POST -T FILE' in json.loads(content)['error']['message']


FAILING = {
    'bad.mp4': ('unreadable', 'bad.mp4: damaged'),
    'crash.mp4': ('crashed', 'ended by SIGSEGV'),
    'grow.mp4': ('too_much_memory', 'more than 0.125 GiB of memory'),
}


def test_failing_jobs_have_named_errors_and_the_next_one_is_scored(tmp_path, video):
    with running(tmp_path / 'data', job_memory=2**27) as service:
        jobs = {name: service.client.post(video, name=name) for name in (*FAILING, 'good.mp4')}
        for name, (code, words) in FAILING.items():
            with pytest.raises(ServiceRefusedError) as caught:
                service.client.wait(jobs[name]['id'])
            assert caught.value.code == code
            assert words in str(caught.value)
        assert service.client.wait(jobs['good.mp4']['id'])['state'] == 'done'
        assert service.begun() == [job['id'] for job in jobs.values()]  # each was tried once


def test_a_job_that_takes_too_long_is_ended(tmp_path, video):
    with running(tmp_path / 'data', job_limit_s=1.5) as service:
        with pytest.raises(ServiceRefusedError, match=r'more than 0\.025 minutes') as caught:
            service.client.wait(service.client.post(video, name='hang.mp4')['id'])
        assert caught.value.code == 'too_slow'


def test_a_job_is_not_blamed_for_a_process_that_ends_before_it_begins(tmp_path, video):
    with running(tmp_path / 'data') as service:
        job = service.client.wait(service.client.post(video, name='early.mp4')['id'])
        assert job['state'] == 'done'
        assert service.begun() == [job['id']] * 3


def test_a_full_queue_refuses_says_when_to_try_again_and_a_deleted_job_makes_room(tmp_path, video):
    with running(tmp_path / 'data', max_waiting=2) as service:
        jobs = [service.client.post(video, name=name) for name in ('hang.mp4', 'good.mp4')]
        status, headers, content = service.ask('POST', '/api/videos', video.read_bytes())
        assert (status, json.loads(content)['error']['code']) == (429, 'full')
        assert 1 <= int(headers['Retry-After']) <= 60
        while not service.begun():
            time.sleep(0.05)
        threading.Timer(0.2, service.client.delete, [jobs[0]['id']]).start()  # while it is scored
        assert service.client.wait(service.client.post(video)['id'])['state'] == 'done'  # the client waits for a place
        assert service.begun()[1] == jobs[1]['id']
        assert not (service.folder / 'jobs' / jobs[0]['id']).exists()


def test_a_repeated_post_with_the_same_key_is_one_job(service, video):
    answers = []

    def post():
        answers.append(service.ask('POST', '/api/videos', video.read_bytes(), {'Idempotency-Key': 'once-1'}))

    threads = [threading.Thread(target=post) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [status for status, _, _ in answers] == [202] * 4
    assert len({json.loads(content)['id'] for _, _, content in answers}) == 1
    assert service.error('POST', '/api/videos', b'', {'Idempotency-Key': 'a b'}) == (400, 'bad_request')


def test_bodies_that_are_too_large_never_end_or_fill_the_disk_are_named_errors(tmp_path, monkeypatch, video):
    with running(tmp_path / 'data', max_bytes=100_000, idle_limit_s=3.0) as service:
        assert service.error('POST', '/api/videos', bytes(200_000)) == (413, 'too_large')
        parts = (bytes(4000) for _ in range(100))  # sent in chunks, without a length
        assert service.error('POST', '/api/videos', parts) == (413, 'too_large')
        with socket.create_connection(('127.0.0.1', service.port), timeout=30) as connection:
            connection.sendall(b'POST /api/videos HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 1000\r\n\r\nabc')
            answer = b''
            while part := connection.recv(4096):
                answer += part
        assert answer.startswith(b'HTTP/1.1 408 ')
        assert b'No data came for 3 s' in answer
        monkeypatch.setattr(uploads.shutil, 'disk_usage', lambda path: type('Usage', (), {'free': -1})())
        assert service.error('POST', '/api/videos', video.read_bytes()) == (507, 'no_room')
        assert list((service.folder / 'incoming').iterdir()) == []


def test_a_request_that_never_comes_is_given_up(tmp_path, monkeypatch):
    monkeypatch.setattr(server, '_HEADER_LIMIT_S', 0.5)
    with (
        running(tmp_path / 'data') as service,
        socket.create_connection(('127.0.0.1', service.port), timeout=30) as connection,
    ):
        connection.sendall(b'POST /api/videos HTTP/1.1\r\nHost: ')
        assert connection.recv(100) == b''


def test_an_upload_that_breaks_off_leaves_nothing(service):
    with socket.create_connection(('127.0.0.1', service.port), timeout=30) as connection:
        connection.sendall(b'POST /api/videos HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 1000\r\n\r\nabc')
        while not list((service.folder / 'incoming').iterdir()):
            time.sleep(0.02)
    while list((service.folder / 'incoming').iterdir()):
        time.sleep(0.02)


@pytest.mark.parametrize(
    'path',
    [
        '../result.json', '..%2fresult.json', '%2e%2e/outcome.json', 'pages/../../outcome.json', 'pages//a.html',
        'entries/a.json', 'report.json', '/etc/passwd', 'secret.html', 'pages/%00.html', 'pages', '', 'pages/b.html',
    ],
)  # fmt: skip
def test_only_pages_of_the_report_are_served(service, video, path, done_job):
    assert service.ask('GET', f'/reports/{done_job["id"]}/{path}')[0] == 404


@pytest.fixture(scope='module')
def done_job(service, video):
    return service.client.wait(service.client.post(video)['id'])


@pytest.mark.parametrize('name', ['../../a.mp4', '/etc/a.mp4', '..\\..\\a.mp4', 'b\0/a.mp4', 'x/a.mp4'])
def test_the_name_of_an_upload_is_no_path(service, video, name):
    job = service.client.post(video, name=name)
    assert job['name'] == 'a.mp4'
    assert [path.name for path in (service.folder / 'jobs' / job['id']).glob('video*')] in (['video.mp4'], [])
    service.client.wait(job['id'])


@pytest.mark.parametrize('job_id', ['nothing', '..', '%2e%2e', "' OR 1=1 --", 'A' * 32, '0' * 32])
def test_an_unknown_job_is_named(service, job_id):
    status, code = service.error('GET', f'/api/videos/{job_id.replace(" ", "%20")}')
    assert (status, code) == (404, 'unknown')


def test_wrong_parameters_and_methods_have_the_same_form_of_error(service):
    assert service.error('GET', '/api/videos?limit=0') == (400, 'bad_request')
    assert service.error('GET', '/api/videos?limit=x') == (400, 'bad_request')
    assert service.error('PUT', '/api/videos') == (405, 'bad_request')
    assert service.error('GET', '/nowhere') == (404, 'unknown')
    assert service.error('POST', '/api/videos', b'', {'Content-Length': '0'}) == (415, 'empty')


def test_openapi_describes_every_route_with_examples_and_errors(service):
    described = json.loads(service.ask('GET', '/api/openapi.json')[2])
    post = described['paths']['/api/videos']['post']
    assert post['requestBody']['content'].keys() == {'application/octet-stream'}
    assert {'202', '413', '415', '422', '429', '507'} <= post['responses'].keys()
    assert post['responses']['429']['content']['application/json']['example']['error']['code'] == 'full'
    assert described['paths'].keys() == {
        '/api/videos', '/api/videos/{job_id}', '/api/videos/{job_id}/result', '/api/videos/{job_id}/frames',
        '/api/info', '/api/cameras', '/health',
    }  # fmt: skip
    assert described['security'] == [{}, {'token': []}]
    for name, schema in described['components']['schemas'].items():
        for field, told in schema.get('properties', {}).items():
            is_described = {'examples', 'description', '$ref', 'items', 'anyOf'} & told.keys()
            assert is_described, f'{name}.{field} has neither example nor description'


def test_old_jobs_are_deleted(tmp_path, video):
    with running(tmp_path / 'data') as service:
        job = service.client.wait(service.client.post(video)['id'])
    with running(tmp_path / 'data', keep_s=0.0) as service:
        while (service.folder / 'jobs' / job['id']).exists():
            time.sleep(0.1)
        assert service.client.jobs() == []


def test_a_stop_answers_requests_that_wait_and_keeps_the_jobs(tmp_path, video):
    answers = []
    with running(tmp_path / 'data') as service:
        job = service.client.post(video, name='hang.mp4')
        while not service.begun():
            time.sleep(0.05)
        waiting = threading.Thread(target=lambda: answers.append(service.client.job(job['id'], wait_s=60)))
        waiting.start()
        time.sleep(0.5)
    waiting.join()
    assert answers[0]['state'] == 'running'
    store = JobStore(tmp_path / 'data')
    assert (store.get(job['id']).state, store.get(job['id']).tries) == ('waiting', 0)
    store.close()
