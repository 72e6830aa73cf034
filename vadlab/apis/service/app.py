"""The application: routes of the API and of the pages."""

import asyncio
import json
import math
import re
import secrets
import sqlite3
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import parse_qs

from fastapi import FastAPI, Header, Query, Request
from fastapi.responses import FileResponse, HTMLResponse, RedirectResponse, Response

import vadlab
from vadlab.structures.camera_state import PICTURE_FILE

from . import schemas
from .access import COOKIE, REPORT_POLICY, Access
from .answers import Guard, add_error_answers, describe, described_errors
from .camera_wall import CameraWall
from .content_checker import ContentChecker
from .dispatcher import Dispatcher
from .job_store import Job, JobStore
from .settings import KINDS, ServiceSettings
from .uploads import Body, RefusedError, check_length, receive_body, shown_name
from .worker import FRAMES, REPORT, RESULT

_PAGES = Path(__file__).parent / 'pages'
_REPORT_ASSETS = Path(vadlab.__file__).parent / 'visualization' / 'report' / 'static'
_ASSETS = {
    'service.css': _PAGES / 'service.css',
    'service.js': _PAGES / 'service.js',
    'wall.js': _PAGES / 'wall.js',
    'report.css': _REPORT_ASSETS / 'report.css',
}
_TYPES = {
    '.html': 'text/html',
    '.css': 'text/css',
    '.js': 'text/javascript',
    '.jpg': 'image/jpeg',
    '.png': 'image/png',
    '.mp4': 'video/mp4',
}
#: Folders of a report that are served; the others have paths of this machine.
_REPORT_FOLDERS = ('pages', 'media', 'thumbs', 'assets')
_ID = re.compile('[0-9a-f]{32}')
_KEY = re.compile('[A-Za-z0-9._-]{1,100}')
#: Where a login may lead: a page of this service.
_PATH = re.compile('/|(/[A-Za-z0-9_.-]+)+', re.ASCII)
_LONGEST_FORM = 4096
_MOST_LISTED = 500
_USUAL_JOB_S = 5.0
_LOOK_EVERY_S = 0.4

DESCRIPTION = """
Scores videos for anomalies. Post a video, follow the job, and fetch its result.

- All times are in seconds, all clock times in UTC.
- Every error has the same form: `{"error": {"code": "...", "message": "..."}}`.
- If the service was started with a token, each request needs the header `Authorization: Bearer TOKEN`; without it the
  answer is 401, `token_needed`.
- Requests with a host name that is not served (421, `unknown_host`) and from pages of other sites (403, `foreign_page`)
  are refused.
- Some work cannot be done now: 429 (`full`) and 503 (`stopping`) have the header `Retry-After`.
"""


class Places:
    """Counts uploads that are on their way, so that jobs and uploads together stay within the limit."""

    def __init__(self, store: JobStore, settings: ServiceSettings) -> None:
        self._store, self._settings = store, settings
        self._lock = threading.Lock()
        self._taken = 0

    def take(self) -> None:
        """Take a place.

        Raises:
            RefusedError: All are taken.
        """
        with self._lock:
            pending = self._store.pending() + self._taken
            if pending < self._settings.max_waiting:
                self._taken += 1
                return
        seconds = min(max(math.ceil(self._store.usual_seconds() or _USUAL_JOB_S), 1), 60)
        raise RefusedError(
            429, 'full', f'{pending} videos wait already. Try again in {seconds} s.', {'Retry-After': str(seconds)}
        )

    def leave(self) -> None:
        """Free a place."""
        with self._lock:
            self._taken -= 1


def make_app(
    store: JobStore,
    dispatcher: Dispatcher,
    checker: ContentChecker,
    access: Access,
    settings: ServiceSettings,
    stopping: threading.Event,
) -> FastAPI:
    """The application.

    Args:
        store (JobStore): The jobs.
        dispatcher (Dispatcher): Runs them; it is started and stopped elsewhere.
        checker (ContentChecker): Checks uploads.
        access (Access): Who may use it.
        settings (ServiceSettings): Limits.
        stopping (Event): Set when the service stops; requests that wait are then answered.
    """
    places, wall = Places(store, settings), CameraWall(settings.watch)
    app = FastAPI(
        title='VADLab service', version=vadlab.__version__, description=DESCRIPTION,
        openapi_url='/api/openapi.json', docs_url=None, redoc_url=None, redirect_slashes=False,
    )  # fmt: skip
    add_error_answers(app)
    describe(app, access.token is not None)

    # --------------------------------------------------------------------------------------------------------- videos

    @app.post(
        '/api/videos', status_code=202, response_model=schemas.JobAnswer, tags=['videos'], summary='Post a video',
        responses=described_errors(400, 408, 413, 415, 422, 429, 507),
        openapi_extra={
            'requestBody': {
                'required': True,
                'description': 'The file itself, not a form.',
                'content': {'application/octet-stream': {'schema': {'type': 'string', 'format': 'binary'}}},
            }
        },
    )  # fmt: skip
    async def post_video(
        request: Request,
        response: Response,
        name: Annotated[str | None, Query(description='name of the file, for people', examples=['clip.mp4'])] = None,
        idempotency_key: Annotated[
            str | None,
            Header(
                description='a new random text for each video (letters, digits, dot, hyphen, underscore; at most '
                '100). A post that is repeated with the same key returns the job of the first one, so a client may '
                'repeat it when the connection broke.'
            ),
        ] = None,
    ) -> Any:
        """The body of the request is the file. It is checked by its content: kind, size, length, damage.

        Status 202 means that the job is on the disk: it will be scored, also if the service is killed.
        """
        body = Body(request.receive)
        try:
            if idempotency_key is not None and not _KEY.fullmatch(idempotency_key):
                raise RefusedError(400, 'bad_request', 'Idempotency-Key: at most 100 letters, digits, dots, hyphens.')
            if request.headers.get('content-type', '').lower().startswith('multipart/'):
                raise RefusedError(
                    400, 'bad_request', 'The body is a form. Send the file itself: curl -X POST -T FILE URL'
                )
            job = store.by_key(idempotency_key)
            if job is None:
                check_length(request.headers.get('content-length'), settings)
                job = await accept(body, shown_name(name), idempotency_key)
            else:
                await body.drain()
        except RefusedError as error:
            if error.status != 408:
                await body.drain()
            raise
        response.headers['Location'] = f'/api/videos/{job.id}'
        return answer(job)

    async def accept(body: Body, name: str, key: str | None) -> Job:
        places.take()
        job_id = secrets.token_hex(16)
        upload = store.incoming / job_id
        try:
            size = await receive_body(body, upload, settings)
            found = await asyncio.to_thread(checker, upload)
            return await asyncio.to_thread(
                store.add, job_id, upload, name, found['ending'], size, found['duration_s'], key
            )
        except (sqlite3.OperationalError, OSError) as error:
            why = f'The video cannot be stored: {getattr(error, "strerror", None) or error}.'
            raise RefusedError(507, 'no_room', why) from error
        finally:
            upload.unlink(missing_ok=True)
            places.leave()
            dispatcher.wake()

    @app.get(
        '/api/videos', response_model=schemas.JobList, tags=['videos'], summary='List the newest videos',
        responses=described_errors(400),
    )  # fmt: skip
    def list_videos(
        limit: Annotated[int, Query(ge=1, le=_MOST_LISTED, description='most jobs in the list')] = 100,
    ) -> Any:
        return {'videos': [answer(job) for job in store.newest(limit)], 'pending': store.pending()}

    @app.get(
        '/api/videos/{job_id}', response_model=schemas.JobAnswer, tags=['videos'], summary='Follow a video',
        responses=described_errors(404),
    )  # fmt: skip
    async def get_video(
        job_id: str,
        wait_s: Annotated[
            float, Query(ge=0, le=60, description='answer when the job has ended, at the latest after these seconds')
        ] = 0.0,
    ) -> Any:
        end = time.monotonic() + wait_s
        job = known(job_id)
        while not (job.has_ended or stopping.is_set()) and time.monotonic() < end:
            await asyncio.sleep(min(_LOOK_EVERY_S, max(end - time.monotonic(), 0)))
            job = known(job_id)
        return answer(job)

    @app.get(
        '/api/videos/{job_id}/result', response_model=schemas.ResultAnswer, tags=['videos'],
        summary='Events of a video', responses=described_errors(404, 409),
    )  # fmt: skip
    def get_result(job_id: str) -> Any:
        return FileResponse(_existing(store.try_of(done(job_id)) / RESULT), media_type='application/json')

    @app.get(
        '/api/videos/{job_id}/frames', response_model=schemas.FramesAnswer, tags=['videos'],
        summary='Score of every frame of a video', responses=described_errors(404, 409),
    )  # fmt: skip
    def get_frames(job_id: str) -> Any:
        return FileResponse(_existing(store.try_of(done(job_id)) / FRAMES), media_type='application/json')

    @app.delete(
        '/api/videos/{job_id}', status_code=204, tags=['videos'],
        summary='Delete a video, its result and its report; end the work on it', responses=described_errors(404),
    )  # fmt: skip
    def delete_video(job_id: str) -> Response:
        known(job_id)
        if not store.delete(job_id):
            raise _unknown()
        dispatcher.cancel(job_id)
        return Response(status_code=204)

    @app.get('/reports/{job_id}/{path:path}', include_in_schema=False)
    def get_report(job_id: str, path: str) -> Response:
        root = store.try_of(done(job_id)) / REPORT
        parts = path.split('/')
        file = root.joinpath(*parts)
        is_inside = path == 'index.html' or (
            parts[0] in _REPORT_FOLDERS and not {'', '.', '..'} & set(parts) and '\0' not in path
        )
        kind = _TYPES.get(file.suffix)
        if not is_inside or kind is None or not file.resolve().is_relative_to(root.resolve()):
            raise RefusedError(404, 'unknown', 'There is no such page.')
        return FileResponse(_existing(file), media_type=kind, headers={'Content-Security-Policy': REPORT_POLICY})

    # ---------------------------------------------------------------------------------------------------- the service

    @app.get('/api/info', response_model=schemas.Info, tags=['service'], summary='What scores, and the limits')
    def get_info() -> Any:
        return {
            'version': vadlab.__version__,
            'model': dispatcher.model,
            'problem': dispatcher.problem,
            'limits': {
                'max_bytes': settings.max_bytes,
                'max_duration_s': settings.max_duration_s,
                'max_waiting': settings.max_waiting,
                'kinds': KINDS,
            },
            'has_cameras': settings.watch is not None,
            'has_token': access.token is not None,
        }

    @app.get(
        '/health', response_model=schemas.Health, tags=['service'], summary='Sign of life; needs no token',
        responses={503: {'model': schemas.Health, 'description': 'Videos are taken, but none can be scored now.'}},
    )  # fmt: skip
    def get_health(response: Response) -> Any:
        response.status_code = 503 if dispatcher.problem else 200
        return {'status': 'not scoring' if dispatcher.problem else 'ok'}

    # --------------------------------------------------------------------------------------------------------- cameras

    @app.get('/api/cameras', tags=['cameras'], summary='State of the cameras of tools/watch.py, as the wall shows it')
    def list_cameras() -> dict[str, Any]:
        return {'cameras': wall.cameras(), 'now': time.time()}

    @app.get('/api/cameras/{name}/{part:path}', include_in_schema=False)
    def get_camera_file(name: str, part: str) -> Response:
        path, kind = wall.file(name, part)
        if path.name == PICTURE_FILE:  # replaced each second, and FileResponse opens a file after it has read its size
            return Response(_existing(path).read_bytes(), media_type=kind)
        return FileResponse(_existing(path), media_type=kind)

    # ----------------------------------------------------------------------------------------------------------- pages

    def page(name: str) -> Callable[[], Response]:
        def show() -> Response:
            return HTMLResponse((_PAGES / name).read_bytes())

        return show

    app.get('/', include_in_schema=False)(page('index.html'))
    app.get('/wall', include_in_schema=False)(page('wall.html'))

    @app.get('/login', include_in_schema=False)
    def show_login(next: str = '/') -> Response:
        return _login_page(back=next) if access.token is not None else RedirectResponse('/', 303)

    @app.post('/login', include_in_schema=False)
    async def log_in(request: Request) -> Response:
        body = bytearray()
        async for part in request.stream():
            body += part
            if len(body) > _LONGEST_FORM:
                raise RefusedError(413, 'too_large', 'The form is too large.')
        form = parse_qs(body.decode('utf-8', 'replace'))
        if not access.is_token(form.get('token', [''])[0].strip()):
            await asyncio.sleep(1.0)  # against guessing
            return _login_page('This token is wrong.', form.get('next', ['/'])[0])
        back = form.get('next', ['/'])[0]
        answer = RedirectResponse(back if _PATH.fullmatch(back) else '/', 303)
        answer.set_cookie(
            COOKIE, access.session(), httponly=True, samesite='strict', secure=request.url.scheme == 'https'
        )
        return answer

    @app.post('/logout', include_in_schema=False)
    def log_out() -> Response:
        answer = RedirectResponse('/login', 303)
        answer.delete_cookie(COOKIE)
        return answer

    @app.get('/assets/{name}', include_in_schema=False)
    def get_asset(name: str) -> Response:
        if name not in _ASSETS:
            raise RefusedError(404, 'unknown', 'There is no such file.')
        return FileResponse(_ASSETS[name], media_type=_TYPES[_ASSETS[name].suffix])

    # --------------------------------------------------------------------------------------------------------- helpers

    def known(job_id: str) -> Job:
        job = store.get(job_id) if _ID.fullmatch(job_id) else None
        if job is None:
            raise _unknown()
        return job

    def done(job_id: str) -> Job:
        job = known(job_id)
        if job.state == 'failed':
            raise RefusedError(409, job.error_code or 'failed', f'The job failed: {job.error}')
        if job.state != 'done':
            raise RefusedError(409, 'not_done', 'The job has no result yet. Ask for it again when its state is done.')
        return job

    def answer(job: Job) -> dict[str, Any]:
        progress = dispatcher.progress_of(job.id) if job.state == 'running' else None
        is_done = job.state == 'done'
        summary = json.loads(job.summary) if job.summary else None
        page = None if summary is None else summary.pop('page', None)
        own = f'/api/videos/{job.id}'
        return {
            'id': job.id,
            'name': job.name,
            'state': job.state,
            'stage': progress.stage if progress else None,
            'progress': progress.share if progress else None,
            'ahead': store.ahead_of(job) if job.state == 'waiting' else None,
            'bytes': job.bytes,
            'duration_s': job.duration_s,
            'created': schemas.utc(job.created),
            'started': schemas.utc(job.started),
            'ended': schemas.utc(job.ended),
            'error': {'code': job.error_code, 'message': job.error} if job.state == 'failed' else None,
            'summary': summary,
            'links': {
                'job': own,
                'result': f'{own}/result' if is_done else None,
                'frames': f'{own}/frames' if is_done else None,
                'report': f'/reports/{job.id}/{page}' if is_done and page else None,
            },
        }

    app.add_middleware(Guard, access=access)
    return app


def _unknown() -> RefusedError:
    return RefusedError(404, 'unknown', 'There is no such job. It may have been deleted.')


def _existing(path: Path) -> Path:
    if not path.is_file():
        raise RefusedError(404, 'unknown', 'There is no such file. The job may have been deleted.')
    return path


def _login_page(problem: str = '', back: str = '/') -> Response:
    text = (_PAGES / 'login.html').read_text('utf-8').replace('<!--problem-->', problem)
    text = text.replace('<!--next-->', back if _PATH.fullmatch(back) else '/')
    return HTMLResponse(text, 401 if problem else 200)
