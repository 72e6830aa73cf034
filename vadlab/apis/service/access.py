"""Who may use the service: host names, pages of other sites, the token; and headers that protect browsers."""

import hashlib
import hmac
import os
import re
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from urllib.parse import quote, urlsplit

from vadlab.utils.errors import ConfigError
from vadlab.utils.text_file import read_text

from .uploads import RefusedError

TOKEN_VARIABLE = 'VADLAB_TOKEN'
COOKIE = 'vadlab_session'
_SESSION_S = 12 * 3600
_SHORTEST_TOKEN = 16
_MAKE_ONE = 'python -c "import secrets; print(secrets.token_urlsafe(32))"'
#: Paths that need no token: the page that asks for it, what it shows, and the sign of life.
OPEN_PATHS = ('/login', '/assets/report.css', '/assets/service.css', '/health')
_SAFE_METHODS = ('GET', 'HEAD', 'OPTIONS')

#: Of every answer. Pages take nothing from other sites, run no inline code, and cannot be put into a frame.
HEADERS = {
    'Content-Security-Policy': "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "media-src 'self'; connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    'X-Content-Type-Options': 'nosniff',
    'X-Frame-Options': 'DENY',
    'Referrer-Policy': 'same-origin',  # without any, browsers send forms with the origin "null"
    'Cross-Origin-Resource-Policy': 'same-origin',
    'Cross-Origin-Opener-Policy': 'same-origin',
    'Cache-Control': 'no-store',
}
#: Reports have sizes of pictures in style attributes.
REPORT_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; "
    "media-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


def is_loopback(host: str) -> bool:
    """Whether a server at this address is reached from this machine only."""
    try:
        return ip_address(host.strip('[]')).is_loopback
    except ValueError:
        return host == 'localhost'


def read_token(
    host: str, token_file: Path | None, names: Iterable[str] = (), environment: Mapping[str, str] = os.environ
) -> str | None:
    """The token of the service, from a file or the environment; None without one.

    Args:
        host (str): Address of the server.
        token_file (Path | None): File with the token in its first line; it counts more than the environment.
        names (Iterable[str]): Names under which a proxy is reached.
        environment (Mapping[str, str]): Environment variables.

    Raises:
        ConfigError: A token is needed and there is none, or it is too short.
    """
    given = None
    if token_file is not None:
        given = (read_text(token_file).splitlines() or [''])[0].strip()
        source = f'--token-file {token_file}'
    elif environment.get(TOKEN_VARIABLE):
        given, source = environment[TOKEN_VARIABLE].strip(), f'the environment variable {TOKEN_VARIABLE}'
    if given is None:
        if not is_loopback(host) or list(names):
            why = '--allow-host' if is_loopback(host) else f'--host {host}'
            raise ConfigError(
                f'Other machines can reach this service ({why}), so it needs a token: in the environment variable '
                f'{TOKEN_VARIABLE}, or in a file for --token-file. Make one: {_MAKE_ONE}'
            )
        return None
    if len(given) < _SHORTEST_TOKEN or not given.isascii() or not given.isprintable() or ' ' in given:
        raise ConfigError(
            f'The token of {source} has {len(given)} characters. Use at least {_SHORTEST_TOKEN} letters, digits and '
            f'signs, without spaces. Make one: {_MAKE_ONE}'
        )
    return given


@dataclass(frozen=True)
class Access:
    """Rules of access.

    Attributes:
        token (str | None): The token; None for none.
        hosts (frozenset[str] | None): Names in the header ``Host`` that are served; None for any.
    """

    token: str | None = None
    hosts: frozenset[str] | None = None

    @classmethod
    def of(cls, host: str, token: str | None, names: Iterable[str] = ()) -> 'Access':
        """Rules of a server at an address. On loopback only its own names are served.

        So the page of another site cannot read answers by a name of its own that leads to 127.0.0.1 (DNS rebinding).
        """
        extra = {name.lower() for name in names}
        if is_loopback(host):
            return cls(token, frozenset({'localhost', '127.0.0.1', '[::1]', host.lower(), *extra}))
        return cls(token, frozenset({*extra, host.lower()}) if extra else None)

    def check(self, method: str, path: str, headers: Mapping[str, str]) -> None:
        """Check a request.

        Args:
            method (str): Of HTTP.
            path (str): Without the query.
            headers (Mapping[str, str]): By lower-case name.

        Raises:
            RefusedError: The host is not served, another site's page sent the request, or the token is missing.
        """
        host = headers.get('host', '')
        if self.hosts is not None and _name_of(host) not in self.hosts:
            raise RefusedError(
                421,
                'unknown_host',
                'This host name is not served. Start the service with --allow-host NAME to serve it.',
            )
        origin, site = headers.get('origin'), headers.get('sec-fetch-site')
        if method not in _SAFE_METHODS:
            is_foreign = (origin is not None and not _same(origin, host)) or site in ('cross-site', 'same-site')
        else:
            is_foreign = site in ('cross-site', 'same-site') and headers.get('sec-fetch-mode') != 'navigate'
        if is_foreign:
            raise RefusedError(403, 'foreign_page', 'The request comes from the page of another site, and is refused.')
        if self.token is None or path in OPEN_PATHS:
            return
        if not self.is_known(headers):
            if method == 'GET' and 'text/html' in headers.get('accept', '') and not path.startswith('/api/'):
                raise RefusedError(303, 'login', 'Log in first.', {'Location': f'/login?next={quote(path, safe="")}'})
            raise RefusedError(
                401,
                'token_needed',
                'The token is missing or wrong. Send the header "Authorization: Bearer TOKEN".',
                {'WWW-Authenticate': 'Bearer'},
            )

    def is_known(self, headers: Mapping[str, str]) -> bool:
        """Whether a request has the token, or a session that was made with it."""
        if self.token is None:
            return True
        scheme, _, given = headers.get('authorization', '').partition(' ')
        if scheme.lower() == 'bearer':
            return self.is_token(given.strip())
        for part in headers.get('cookie', '').split(';'):
            name, _, value = part.strip().partition('=')
            if name == COOKIE and self._is_session(value):
                return True
        return False

    def is_token(self, given: str) -> bool:
        """Compare with the token; the time does not depend on where they differ."""
        return self.token is not None and hmac.compare_digest(given.encode(), self.token.encode())

    def session(self) -> str:
        """Value of a cookie for a browser that gave the token: when it ends, and a signature by the token."""
        end = str(int(time.time()) + _SESSION_S)
        return f'{end}.{self._signature(end)}'

    def _is_session(self, value: str) -> bool:
        end, _, signature = value.partition('.')
        if not re.fullmatch('[0-9]{1,12}', end) or not signature.isascii():
            return False
        return hmac.compare_digest(signature, self._signature(end)) and time.time() < int(end)

    def _signature(self, end: str) -> str:
        assert self.token is not None
        return hmac.new(self.token.encode(), b'vadlab session ' + end.encode(), hashlib.sha256).hexdigest()


def _name_of(host: str) -> str:
    """A ``Host`` header without its port, in lower case."""
    return re.sub(r':[0-9]*$', '', host.strip().lower())


def _same(origin: str, host: str) -> bool:
    try:
        return urlsplit(origin).netloc.lower() == host.strip().lower() and bool(host)
    except ValueError:
        return False
