"""Who may use the service: host names, pages of other sites, the token, sessions of browsers."""

import re
import time

import pytest

from vadlab.apis.service.access import Access, is_loopback, read_token
from vadlab.apis.service.client import ServiceClient, ServiceRefusedError
from vadlab.apis.service.uploads import RefusedError
from vadlab.utils.errors import ConfigError

from .running import running

TOKEN = 'correct-horse-battery-staple'
LOCAL = Access.of('127.0.0.1', None)
WITH_TOKEN = Access.of('0.0.0.0', TOKEN)


def code(access, method='GET', path='/api/videos', **headers):
    given = {'host': '127.0.0.1:8000', **{name.replace('_', '-'): value for name, value in headers.items()}}
    try:
        access.check(method, path, given)
    except RefusedError as error:
        return error.code
    return None


@pytest.mark.parametrize('host', ['127.0.0.1:8000', 'localhost:8000', 'LOCALHOST', '[::1]:8000', '127.0.0.1'])
def test_names_of_this_machine_are_served_on_loopback(host):
    assert code(LOCAL, host=host) is None


@pytest.mark.parametrize(
    'host', ['evil.example', 'evil.example:8000', '', '127.0.0.1.evil.example', 'localhost@evil.example']
)
def test_other_names_are_refused_on_loopback(host):
    assert code(LOCAL, host=host) == 'unknown_host'


def test_a_name_can_be_allowed():
    access = Access.of('127.0.0.1', TOKEN, ['cams.example'])
    assert code(access, host='cams.example:443', authorization=f'Bearer {TOKEN}') is None
    assert code(access, host='evil.example', authorization=f'Bearer {TOKEN}') == 'unknown_host'


@pytest.mark.parametrize('method', ['POST', 'DELETE', 'PUT'])
@pytest.mark.parametrize(
    'origin', ['http://evil.example', 'null', 'http://127.0.0.1:9999', 'http://localhost:8000', 'file://', '[']
)
def test_changes_from_pages_of_other_sites_are_refused(method, origin):
    assert code(LOCAL, method, origin=origin) == 'foreign_page'
    assert code(LOCAL, method, origin='http://127.0.0.1:8000') is None
    assert code(LOCAL, method) is None  # not a browser


def test_browsers_say_where_a_request_comes_from():
    assert code(LOCAL, 'POST', sec_fetch_site='cross-site') == 'foreign_page'
    assert code(LOCAL, 'POST', sec_fetch_site='same-origin') is None
    assert code(LOCAL, sec_fetch_site='cross-site', sec_fetch_mode='no-cors') == 'foreign_page'
    assert code(LOCAL, sec_fetch_site='cross-site', sec_fetch_mode='navigate') is None  # a link to the page


def test_without_the_token_nothing_is_served():
    assert code(WITH_TOKEN) == 'token_needed'
    assert code(WITH_TOKEN, authorization=f'Bearer {TOKEN}x') == 'token_needed'
    assert code(WITH_TOKEN, authorization=f'Basic {TOKEN}') == 'token_needed'
    assert code(WITH_TOKEN, authorization='Bearer ') == 'token_needed'
    assert code(WITH_TOKEN, path='/reports/x/pages/a.html') == 'token_needed'
    assert code(WITH_TOKEN, path='/assets/service.js') == 'token_needed'
    assert code(WITH_TOKEN, authorization=f'Bearer {TOKEN}') is None
    assert code(WITH_TOKEN, authorization=f'bearer  {TOKEN} ') is None
    assert code(WITH_TOKEN, path='/health') is None
    assert code(WITH_TOKEN, path='/', accept='text/html') == 'login'


def test_a_session_belongs_to_the_token_and_ends(monkeypatch):
    session = WITH_TOKEN.session()
    assert TOKEN not in session
    assert code(WITH_TOKEN, cookie=f'a=b; vadlab_session={session}') is None
    assert code(Access.of('0.0.0.0', f'{TOKEN}2'), cookie=f'vadlab_session={session}') == 'token_needed'
    end, _, signature = session.partition('.')
    assert code(WITH_TOKEN, cookie=f'vadlab_session={int(end) + 1}.{signature}') == 'token_needed'
    for damaged in ('', '.', end, f'{end}.', f'.{signature}', f'{end}.é', f'-1.{signature}'):
        assert code(WITH_TOKEN, cookie=f'vadlab_session={damaged}') == 'token_needed'
    now = time.time()
    monkeypatch.setattr(time, 'time', lambda: now + 13 * 3600)
    assert code(WITH_TOKEN, cookie=f'vadlab_session={session}') == 'token_needed'


@pytest.mark.parametrize(
    ('host', 'is_local'),
    [
        ('127.0.0.1', True),
        ('127.8.8.8', True),
        ('::1', True),
        ('[::1]', True),
        ('localhost', True),
        ('0.0.0.0', False),
        ('::', False),
        ('192.168.0.2', False),
        ('gpu-box', False),
    ],
)
def test_loopback(host, is_local):
    assert is_loopback(host) is is_local


def test_other_machines_need_a_token(tmp_path):
    assert read_token('127.0.0.1', None, environment={}) is None
    for host, names in (('0.0.0.0', ()), ('127.0.0.1', ('cams.example',))):
        with pytest.raises(ConfigError, match='needs a token: in the environment variable VADLAB_TOKEN'):
            read_token(host, None, names, {})
        assert read_token(host, None, names, {'VADLAB_TOKEN': TOKEN}) == TOKEN
    (tmp_path / 'token').write_text(f'{TOKEN}-of-file\n')
    assert read_token('0.0.0.0', tmp_path / 'token', (), {'VADLAB_TOKEN': TOKEN}) == f'{TOKEN}-of-file'


@pytest.mark.parametrize('token', ['short', 'with spaces in between', 'tökentökentökentöken', ''])
def test_a_weak_token_is_refused_and_not_shown(tmp_path, token):
    (tmp_path / 'token').write_text(token)
    with pytest.raises(ConfigError, match='Use at least 16') as caught:
        read_token('0.0.0.0', tmp_path / 'token', (), {})
    assert not token or token not in str(caught.value)


def test_the_service_with_a_token(tmp_path, video):
    with running(tmp_path / 'data', token=TOKEN, host='0.0.0.0') as service:
        assert service.client.post(video)['name'] == 'clip.mp4'
        with pytest.raises(ServiceRefusedError, match='The token is missing or wrong'):
            ServiceClient(f'http://127.0.0.1:{service.port}', 'wrong').info()
        assert service.error('POST', '/api/videos', video.read_bytes()) == (401, 'token_needed')
        assert service.error('GET', '/api/openapi.json') == (401, 'token_needed')
        assert service.ask('GET', '/health')[0] == 200
        status, headers, _ = service.ask('GET', '/wall', headers={'Accept': 'text/html'})
        assert (status, headers['Location']) == (303, '/login?next=%2Fwall')
        page = service.ask('GET', headers['Location'])[2].decode()
        assert 'value="/wall"' in page
        for wrong in ('//evil.example', 'https://evil.example', '/\\evil.example', '/a"><b>', 'javascript:alert(1)'):
            assert re.search('name="next" value="/"', service.ask('GET', f'/login?next={wrong}')[2].decode())
            form = f'token={TOKEN}&next={wrong}'
            assert service.ask('POST', '/login', form)[1]['Location'] == '/'
        assert service.ask('POST', '/login', 'token=guess')[0] == 401
        _, headers, _ = service.ask('POST', '/login', f'token={TOKEN}&next=/wall')
        assert headers['Location'] == '/wall'
        cookie = headers['Set-Cookie']
        assert {'HttpOnly', 'SameSite=strict', 'Path=/'} <= set(cookie.split('; '))
        assert service.ask('GET', '/api/videos', headers={'Cookie': cookie.partition(';')[0]})[0] == 200
        assert service.error('POST', '/login', 'x' * 5000) == (413, 'too_large')


def test_every_answer_protects_browsers(service):
    for path in ('/', '/wall', '/api/videos', '/nowhere', '/assets/service.css', '/assets/../app.py'):
        _, headers, _ = service.ask('GET', path)
        policy = headers['Content-Security-Policy']
        assert "default-src 'none'" in policy
        assert "frame-ancestors 'none'" in policy
        assert 'unsafe' not in policy
        assert headers['X-Content-Type-Options'] == 'nosniff'
        assert headers['Cross-Origin-Resource-Policy'] == 'same-origin'
    assert service.error('GET', '/', headers={'Host': 'evil.example'}) == (421, 'unknown_host')
    assert service.error('POST', '/api/videos', b'x', {'Origin': 'http://evil.example'}) == (403, 'foreign_page')
    for name in ('service.js', 'wall.js', 'index.html', 'wall.html'):
        page = (
            service.ask('GET', f'/assets/{name}')
            if name.endswith('js')
            else service.ask('GET', {'index.html': '/', 'wall.html': '/wall'}[name])
        )[2].decode()
        assert 'innerHTML' not in page
        assert not re.search(r'(src|href)="(https?:)?//', page)
