"""Forms of answers: errors, headers that protect browsers, and their description in OpenAPI."""

import asyncio
import sys
import traceback
from collections.abc import Awaitable, Callable
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException

from vadlab.utils.printable import printable

from . import schemas
from .access import HEADERS, Access
from .uploads import Body, ClientGoneError, RefusedError


def described_errors(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Errors of a route, for OpenAPI."""
    what = {
        400: ('bad_request', 'A parameter cannot be used.'),
        404: ('unknown', 'There is no such job. It may have been deleted.'),
        408: ('too_slow', 'No data came for 30 s. The upload was ended.'),
        409: ('not_done', 'The job has no result yet.'),
        413: ('too_large', 'The video is larger than 2 GiB, the limit of this service.'),
        415: ('not_a_video', 'The file is a GIF picture, not a video.'),
        422: ('too_long', 'The video lasts 8:00:00. At most 4:00:00 are taken. Cut it into parts.'),
        429: ('full', '100 videos wait already. Try again in 20 s.'),
        507: ('no_room', 'The disk of the service is full.'),
    }
    return {
        status: {
            'model': schemas.ErrorAnswer,
            'content': {
                'application/json': {'example': {'error': dict(zip(('code', 'message'), what[status], strict=True))}}
            },
        }
        for status in statuses
    }


def _error(status: int, code: str, message: str, headers: dict[str, str] | None = None) -> JSONResponse:
    return JSONResponse({'error': {'code': code, 'message': printable(message)}}, status, headers)


def add_error_answers(app: FastAPI) -> None:
    """Answer every error in the same form."""

    @app.exception_handler(RefusedError)
    async def refused(request: Request, error: RefusedError) -> Response:
        return _error(error.status, error.code, error.message, error.headers)

    @app.exception_handler(RequestValidationError)
    async def invalid(request: Request, error: RequestValidationError) -> Response:
        found = error.errors()[0]
        return _error(400, 'bad_request', f'{found["loc"][-1]}: {found["msg"]}')

    @app.exception_handler(HTTPException)
    async def of_http(request: Request, error: HTTPException) -> Response:
        codes = {404: ('unknown', 'There is no such page.'), 405: ('bad_request', 'This method is not served here.')}
        code, message = codes.get(error.status_code, ('bad_request', str(error.detail)))
        return _error(error.status_code, code, message, dict(error.headers or {}))

    @app.exception_handler(ClientGoneError)
    async def gone(request: Request, error: ClientGoneError) -> Response:
        return _error(400, 'client_gone', 'The connection ended before the whole video had come.')


def describe(app: FastAPI, has_token: bool) -> None:
    """Describe the token; leave out what FastAPI adds for wrong parameters, which here have the form of all errors."""
    make = app.openapi

    def openapi() -> dict[str, Any]:
        found = make()
        for name in ('HTTPValidationError', 'ValidationError'):
            found['components']['schemas'].pop(name, None)
        found['components']['securitySchemes'] = {'token': {'type': 'http', 'scheme': 'bearer'}}
        found['security'] = [{'token': []}] if has_token else [{}, {'token': []}]
        for route in (route for methods in found['paths'].values() for route in methods.values()):
            if 'HTTPValidationError' in str(route['responses'].get('422')):
                del route['responses']['422']
        return found

    setattr(app, 'openapi', openapi)  # noqa: B010 - FastAPI's way to change it


class Guard:
    """Checks access before anything else, adds headers, and answers faults of the program without their details."""

    def __init__(self, app: Callable[..., Awaitable[None]], access: Access) -> None:
        self.app, self.access = app, access

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope['type'] != 'http':
            if scope['type'] == 'lifespan':
                await self.app(scope, receive, send)
            return
        is_sent = False

        async def send_with_headers(message: Any) -> None:
            nonlocal is_sent
            if message['type'] == 'http.response.start':
                is_sent = True
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        try:
            self.access.check(scope['method'], scope['path'], Headers(scope=scope))
        except RefusedError as error:
            await Body(receive).drain(2**24)
            await _error(error.status, error.code, error.message, error.headers)(scope, receive, send_with_headers)
            return
        try:
            await self.app(scope, receive, send_with_headers)
        except asyncio.CancelledError:  # an upload that is not complete when the service stops
            if not is_sent:
                text = 'The service stops. Send the video again later.'
                await _error(503, 'stopping', text, {'Retry-After': '10'})(scope, receive, send_with_headers)
        except Exception:
            traceback.print_exc(file=sys.stderr)
            if is_sent:
                raise
            text = 'The service has a fault. Its log has the details.'
            await _error(500, 'internal', text)(scope, receive, send_with_headers)
