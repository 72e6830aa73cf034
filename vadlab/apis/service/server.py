"""The server: binds the address, loads the model, serves until it is stopped."""

import asyncio
import errno
import signal
import socket
import threading
from collections.abc import Callable
from types import FrameType
from typing import Any

from vadlab.utils.errors import ConfigError, MissingDependencyError

from .access import Access
from .content_checker import ContentChecker
from .dispatcher import Dispatcher
from .job_store import JobStore
from .settings import ServiceSettings

_HEADER_LIMIT_S = 20.0
_MOST_CONNECTIONS = 1000


def require_packages() -> None:
    """Check that the packages of the service are installed.

    Raises:
        MissingDependencyError: One is not; the message has the command that installs it.
    """
    for package in ('fastapi', 'uvicorn'):
        try:
            __import__(package)
        except ImportError as error:
            raise MissingDependencyError(
                f'The service needs the package {package}. Install it: pip install "vadlab[service]"'
            ) from error


def bind(host: str, port: int) -> socket.socket:
    """A listening socket.

    Args:
        host (str): Address or name of this machine.
        port (int): 1 to 65535; 0 for any free one.

    Raises:
        ConfigError: The port is in use or not allowed, or the host is not an address of this machine.
    """
    try:
        family, _, _, _, address = socket.getaddrinfo(host.strip('[]'), port, type=socket.SOCK_STREAM)[0]
    except (socket.gaierror, UnicodeError) as error:
        raise ConfigError(f'--host {host} is not an address of this machine: {error}') from error
    found = socket.socket(family, socket.SOCK_STREAM)
    found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        found.bind(address)
        found.listen(2048)
    except OSError as error:
        found.close()
        if error.errno == errno.EADDRINUSE:
            raise ConfigError(
                f'--port {port} is in use on {host}. Stop the other program, or choose another port.'
            ) from error
        if error.errno in (errno.EACCES, errno.EPERM):
            raise ConfigError(f'--port {port} needs more rights on {host}. Choose one above 1023.') from error
        raise ConfigError(f'--host {host} --port {port} cannot be used: {error.strerror}') from error
    return found


def serve(
    listening: socket.socket,
    store: JobStore,
    dispatcher: Dispatcher,
    checker: ContentChecker,
    access: Access,
    settings: ServiceSettings,
    on_ready: Callable[[Callable[[], None]], Any] = lambda stop: None,
) -> None:
    """Serve until SIGINT or SIGTERM; the dispatcher is started already.

    Args:
        listening (socket.socket): From :func:`bind`.
        store (JobStore): The jobs.
        dispatcher (Dispatcher): Runs them; stopped at the end.
        checker (ContentChecker): Checks uploads.
        access (Access): Who may use the service.
        settings (ServiceSettings): Limits.
        on_ready (Callable): Called when requests are answered, with a function that stops the server.
    """
    import uvicorn
    from uvicorn.protocols.http.h11_impl import H11Protocol

    from .app import make_app

    class Protocol(H11Protocol):
        """Closes connections whose first request does not come."""

        def connection_made(self, transport: Any) -> None:
            super().connection_made(transport)
            self.loop.call_later(_HEADER_LIMIT_S, self._close_if_silent)

        def _close_if_silent(self) -> None:
            if self.cycle is None and not self.transport.is_closing():
                self.transport.close()

    class Server(uvicorn.Server):
        """Ends with exit status 0 when it is asked to stop; a second signal ends it at once."""

        def handle_exit(self, sig: int, frame: FrameType | None) -> None:
            self.force_exit = self.should_exit
            self.should_exit = True
            stopping.set()

        async def startup(self, sockets: list[socket.socket] | None = None) -> None:
            await super().startup(sockets)
            on_ready(lambda: self.handle_exit(signal.SIGTERM, None))

    stopping = threading.Event()
    app = make_app(store, dispatcher, checker, access, settings, stopping)
    # No access log: addresses hold the names of videos. One thread writes the log of jobs.
    config = uvicorn.Config(
        app, http=Protocol, ws='none', lifespan='on', access_log=False, log_level='warning', server_header=False,
        proxy_headers=True, timeout_graceful_shutdown=3, timeout_keep_alive=15, limit_concurrency=_MOST_CONNECTIONS,
        h11_max_incomplete_event_size=2**15,
    )  # fmt: skip
    try:
        asyncio.run(Server(config).serve(sockets=[listening]))
    finally:
        dispatcher.stop()
        store.close()
