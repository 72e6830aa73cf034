"""A small server that speaks the hub's protocol, as far as huggingface_hub's client needs it.

Repositories of models and data have commits, branches, large files (LFS) and ranges of bytes; tokens have roles. Tests
switch faults on.
"""

import base64
import hashlib
import http.server
import json
import re
import threading
from contextlib import contextmanager
from dataclasses import dataclass, field
from urllib.parse import parse_qs, unquote, urlsplit

WRITER, READER, STRANGER = 'hf_writer', 'hf_reader', 'hf_stranger'
USERS = {
    WRITER: {'name': 'lab', 'auth': {'accessToken': {'role': 'write'}}, 'orgs': [{'name': 'group'}]},
    READER: {'name': 'lab', 'auth': {'accessToken': {'role': 'read'}}, 'orgs': []},
    # A fine-grained token: the hub decides for each repository.
    STRANGER: {'name': 'other', 'auth': {'accessToken': {'role': 'fineGrained'}}, 'orgs': [{'name': 'lab'}]},
}


@dataclass
class Repo:
    """A repository: commits by id, branches, and who may read it."""

    commits: dict = field(default_factory=dict)
    branches: dict = field(default_factory=dict)
    private: bool = False
    gated: bool = False

    def commit(self, files, branch='main'):
        """Add a commit with these files; returns its id."""
        name = hashlib.sha1(f'{len(self.commits)}{branch}{sorted(files)}'.encode()).hexdigest()
        self.commits[name] = dict(files)
        self.branches[branch] = name
        return name

    def find(self, revision):
        """The commit of a branch, or a commit; None if there is none."""
        name = self.branches.get(revision, revision)
        return name if name in self.commits else None


class HubServer:
    """The server's state, and faults that tests switch on.

    Attributes:
        repos (dict): Repositories by ``models/USER/NAME`` or ``datasets/USER/NAME``.
        asked (list): Method and path of each request.
        cut_after (dict): Bytes of a file that are sent before the connection breaks, once for each entry of the list.
        damaged (dict): What is sent instead of a file.
        silent (bool): Refuse every request with 503.
    """

    def __init__(self):
        self.repos, self.blobs, self.asked = {}, {}, []
        self.cut_after, self.damaged, self.silent, self.port = {}, {}, False, 0

    @property
    def endpoint(self):
        return f'http://127.0.0.1:{self.port}'

    def repo(self, name, files=None, kind='models', **flags):
        """Add a repository with files."""
        made = self.repos[f'{kind}/{name}'] = Repo(**flags)
        made.commit(files or {'.gitattributes': b''})
        return made

    @contextmanager
    def running(self, port=0):
        """Serve in a thread."""
        server = http.server.ThreadingHTTPServer(('127.0.0.1', port), _handler(self))
        self.port = server.server_address[1]
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield self
        finally:
            server.shutdown()
            server.server_close()


def _handler(hub):
    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = 'HTTP/1.1'

        def log_message(self, *_):
            pass

        # ---- answers

        def answer(self, status, content=b'', headers=()):
            body = content if isinstance(content, bytes) else json.dumps(content).encode()
            self.send_response(status)
            for name, value in {'Content-Length': str(len(body)), **dict(headers)}.items():
                self.send_header(name, value)
            self.end_headers()
            if self.command != 'HEAD':
                self.wfile.write(body)

        def refuse(self, status, code='', message=''):
            headers = {'X-Error-Code': code} if code else {}
            self.answer(status, {'error': message or code}, {**headers, 'X-Error-Message': message or code})

        def body(self):
            return self.rfile.read(int(self.headers.get('Content-Length') or 0))

        def user(self):
            token = (self.headers.get('Authorization') or '').removeprefix('Bearer ')
            return USERS.get(token), token

        def route(self):
            path, query = urlsplit(self.path).path, parse_qs(urlsplit(self.path).query)
            hub.asked.append((self.command, path))
            if hub.silent:
                self.body()
                return self.refuse(503)
            for method, pattern, action in ROUTES:
                found = re.fullmatch(pattern, path)
                if found and self.command in method:
                    return getattr(self, action)(query, **{k: unquote(v) for k, v in found.groupdict().items() if v})
            self.body()
            return self.refuse(404)

        do_GET = do_HEAD = do_POST = do_PUT = route

        # ---- rights

        def readable(self, kind, repo):
            """The repository, or None after a refusal."""
            user, token = self.user()
            if token and user is None:
                self.refuse(401, message='Invalid credentials in Authorization header')
                return None
            found = hub.repos.get(f'{kind}/{repo}')
            owner = repo.partition('/')[0]
            if found is None or (found.private and (user is None or user['name'] != owner)):
                self.refuse(401 if user is None else 404, 'RepoNotFound')
            elif found.gated and (user is None or user['name'] != owner):
                self.refuse(403, 'GatedRepo', 'Access is restricted. You must be on its list.')
            else:
                return found
            return None

        def writable(self, kind, repo):
            user, token = self.user()
            if user is None:
                self.refuse(401, message='Invalid credentials in Authorization header')
            elif token != WRITER:
                self.refuse(403, message='You do not have the rights to write')
            else:
                return hub.repos.get(f'{kind}/{repo}') or self.refuse(404, 'RepoNotFound')
            return None

        # ---- the API

        def whoami(self, _):
            user, _ = self.user()
            return self.answer(200, user) if user else self.refuse(401, message='Invalid username or password.')

        def create(self, _):
            wish = json.loads(self.body())
            user, token = self.user()
            owner = wish.get('organization') or (user or {}).get('name')
            if token != WRITER:
                return self.refuse(403 if user else 401, message="You don't have the rights to create a repo")
            kind = f'{wish.get("type") or "model"}s'
            name = f'{owner}/{wish["name"]}'
            if f'{kind}/{name}' in hub.repos:
                return self.refuse(409, message='You already created this repo')
            hub.repo(name, kind=kind, private=wish.get('visibility') == 'private')
            return self.answer(200, {'url': f'{hub.endpoint}/{name}', 'name': name})

        def commit_of(self, kind, repo, revision):
            found = self.readable(kind, repo)
            commit = found.find(revision) if found is not None else None
            if found is not None and commit is None:
                self.refuse(404, 'RevisionNotFound')
            return found, commit

        def info(self, _, kind, repo, revision='main'):
            found, commit = self.commit_of(kind, repo, revision)
            if commit is None:
                return None
            files = [{'rfilename': name} for name in found.commits[commit]]
            return self.answer(200, {'id': repo, 'sha': commit, 'private': found.private, 'siblings': files})

        def tree(self, _, kind, repo, revision):
            found, commit = self.commit_of(kind, repo, revision)
            if commit is None:
                return None
            rows = [
                {'type': 'file', 'path': name, 'size': len(content), 'oid': hashlib.sha1(content).hexdigest()}
                for name, content in found.commits[commit].items()
            ]
            return self.answer(200, rows)

        def check_card(self, _):
            self.body()
            return self.answer(200, {'errors': [], 'warnings': []})

        def preupload(self, _, kind, repo, revision):
            wish = json.loads(self.body())
            if self.writable(kind, repo) is None:
                return None
            modes = [
                {
                    'path': file['path'],
                    'uploadMode': 'lfs' if file['path'].endswith(('.safetensors', '.npy')) else 'regular',
                    'shouldIgnore': False,
                }
                for file in wish['files']
            ]
            return self.answer(200, {'files': modes})

        def lfs_batch(self, _, repo, kind='models'):
            wish = json.loads(self.body())
            rows = [
                {**one, 'actions': {'upload': {'href': f'{hub.endpoint}/lfs/{one["oid"]}'}}}
                if one['oid'] not in hub.blobs
                else one
                for one in wish['objects']
            ]
            return self.answer(200, {'transfer': 'basic', 'objects': rows})

        def lfs_put(self, _, oid):
            content = self.body()
            assert hashlib.sha256(content).hexdigest() == oid
            hub.blobs[oid] = content
            return self.answer(200)

        def commit(self, _, kind, repo, revision):
            lines = [json.loads(line) for line in self.body().splitlines()]
            found = self.writable(kind, repo)
            if found is None:
                return None
            latest = found.find(revision)
            if latest is None:
                return self.refuse(404, 'RevisionNotFound')
            files = dict(found.commits[latest])
            for line in lines:
                value = line['value']
                match line['key']:
                    case 'header' if value.get('parentCommit', latest) != latest:
                        return self.refuse(412, message='A commit has happened since')
                    case 'file':
                        files[value['path']] = base64.b64decode(value['content'])
                    case 'lfsFile':
                        files[value['path']] = hub.blobs[value['oid']]
                    case 'deletedFile':
                        del files[value['path']]
            name = found.commit(files, revision)
            return self.answer(200, {'commitUrl': f'{hub.endpoint}/{repo}/commit/{name}', 'commitOid': name})

        def branch(self, _, kind, repo, name):
            self.body()
            found = self.writable(kind, repo)
            if found is None:
                return None
            found.branches.setdefault(name, found.branches['main'])
            return self.answer(200, {})

        # ---- files

        def file(self, _, repo, revision, name, kind='models'):
            found = self.readable(kind.rstrip('/'), repo)
            if found is None:
                return None
            commit = found.find(revision)
            if commit is None:
                return self.refuse(404, 'RevisionNotFound')
            content = found.commits[commit].get(name)
            if content is None:
                headers = {'X-Repo-Commit': commit, 'X-Error-Code': 'EntryNotFound', 'X-Error-Message': 'no such file'}
                return self.answer(404, b'', headers)
            is_large = name.endswith(('.safetensors', '.npy', '.bin'))
            digest = (hashlib.sha256 if is_large else hashlib.sha1)(content).hexdigest()
            headers = {'X-Repo-Commit': commit, 'ETag': f'"{digest}"', 'Accept-Ranges': 'bytes'}
            content = hub.damaged.get(name, content)
            if self.command == 'HEAD':
                self.send_response(200)
                for key, value in {**headers, 'Content-Length': str(len(content))}.items():
                    self.send_header(key, value)
                return self.end_headers()
            start = int(re.match(r'bytes=(\d+)-', self.headers.get('Range') or 'bytes=0-')[1])
            if hub.cut_after.get(name):
                return self.cut(content[start:], hub.cut_after[name].pop(0), headers, start, len(content))
            if start:
                headers['Content-Range'] = f'bytes {start}-{len(content) - 1}/{len(content)}'
            return self.answer(206 if start else 200, content[start:], headers)

        def cut(self, content, after, headers, start, total):
            self.send_response(206 if start else 200)
            if start:
                headers['Content-Range'] = f'bytes {start}-{total - 1}/{total}'
            for key, value in {**headers, 'Content-Length': str(len(content))}.items():
                self.send_header(key, value)
            self.end_headers()
            self.wfile.write(content[:after])
            self.close_connection = True

    return Handler


_REPO = r'(?P<repo>[\w.-]+/[\w.-]+)'
_API = rf'/api/(?P<kind>models|datasets)/{_REPO}'
ROUTES = [
    (('GET',), '/api/whoami-v2', 'whoami'),
    (('POST',), '/api/repos/create', 'create'),
    (('POST',), '/api/validate-yaml', 'check_card'),
    (('GET',), rf'{_API}(?:/revision/(?P<revision>[^/]+))?', 'info'),
    (('GET',), rf'{_API}/tree/(?P<revision>[^/]+)', 'tree'),
    (('POST',), rf'{_API}/preupload/(?P<revision>[^/]+)', 'preupload'),
    (('POST',), rf'{_API}/commit/(?P<revision>[^/]+)', 'commit'),
    (('POST',), rf'{_API}/branch/(?P<name>[^/]+)', 'branch'),
    (('POST',), rf'/(?:(?P<kind>datasets)/)?{_REPO}\.git/info/lfs/objects/batch', 'lfs_batch'),
    (('PUT',), '/lfs/(?P<oid>[0-9a-f]{64})', 'lfs_put'),
    (('GET', 'HEAD'), rf'/(?:(?P<kind>datasets)/)?{_REPO}/resolve/(?P<revision>[^/]+)/(?P<name>.+)', 'file'),
]
