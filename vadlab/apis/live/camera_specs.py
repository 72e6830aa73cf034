"""The cameras of a run: addresses from the command line and from a file, names, and texts without passwords."""

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from vadlab.structures.camera_state import camera_name_fault
from vadlab.utils.errors import ConfigError, DataError, MissingFileError
from vadlab.utils.json_file import read_json, shape_fault
from vadlab.utils.suggest import nearest

from .zones import WeekHours, Zone, read_hours, read_zones

#: Schemes of addresses that are opened over the network.
SCHEMES = ('rtsp', 'rtsps', 'rtmp', 'rtmps', 'http', 'https', 'tcp', 'udp', 'rtp', 'srt')
_DEVICE = re.compile(r'/dev/video\d+')
_NAMED = re.compile(r'([A-Za-z0-9_.-]{0,80})=(.*)', re.DOTALL)
_VARIABLE = re.compile(r'\$\{([A-Za-z_][A-Za-z0-9_]*)\}')
_SECRET_KEY = re.compile(r'([?&;][^=&;?]*(?:pass|pwd|token|key|secret|auth|sig|user)[^=&;?]*=)[^&;]*', re.IGNORECASE)
_HIDDEN = '***'

_SHAPE = {
    'timezone?': str,
    'cameras': [
        {'name': str, 'source?': str, 'zones?': {str: [[float]]}, 'hours?': [str], 'cooldown_s?': float}
    ],
}  # fmt: skip


@dataclass(frozen=True)
class CameraSpec:
    """A camera as its user describes it.

    Attributes:
        name (str): Unique in a run; names its folder.
        address (str): A file, a device (``/dev/video0``) or a URL, with its password.
        zones (tuple[Zone, ...]): Polygons in which boxes count; none for the whole picture.
        hours (WeekHours | None): When events count; None for always.
        cooldown_s (float | None): Seconds after an alarm without another one; None for that of the run.
    """

    name: str
    address: str
    zones: tuple[Zone, ...] = ()
    hours: WeekHours | None = None
    cooldown_s: float | None = None

    def __repr__(self) -> str:
        return f'CameraSpec({self.name!r}, {self.shown!r})'

    @property
    def shown(self) -> str:
        """The address without its password."""
        return shown_address(self.address)

    @property
    def kind(self) -> str:
        """``url``, ``device`` or ``file``."""
        if _scheme(self.address):
            return 'url'
        return 'device' if _DEVICE.fullmatch(self.address) else 'file'

    @property
    def has_unsafe_login(self) -> bool:
        """Whether FFmpeg takes a part of the user or the password for the path."""
        before, at, _ = self.address.partition('://')[2].rpartition('@')
        return bool(at) and any(letter in before for letter in '/?#')

    def hide(self, text: str) -> str:
        """A text, such as a message of FFmpeg, without the password of the address."""
        return hide_password(text, self.address)


def _scheme(address: str) -> str:
    scheme, colon, _ = address.partition('://')
    return scheme.lower() if colon else ''


def shown_address(address: str) -> str:
    """An address without its password, and without the values of keys such as ``token``.

    >>> shown_address('rtsp://anna:s3cr@t@10.0.0.5/1?channel=2&token=abc')
    'rtsp://anna:***@10.0.0.5/1?channel=2&token=***'
    """
    scheme = _scheme(address)
    if not scheme:
        return address
    rest = address[len(scheme) + 3 :]
    # A password may have any character, so everything up to the last @ counts as the user and the password.
    before, at, host = rest.rpartition('@')
    if at:
        user, colon, _ = before.partition(':')
        rest = f'{user if colon else _HIDDEN}{":" + _HIDDEN if colon else ""}@{host}'
    return f'{address[: len(scheme)]}://' + _SECRET_KEY.sub(rf'\1{_HIDDEN}', rest)


def hide_password(text: str, address: str) -> str:
    """A text without the password of an address, however it is written there."""
    text = text.replace(address, shown_address(address))
    for secret in _secrets(address):
        text = text.replace(secret, _HIDDEN)
    return text


def _secrets(address: str) -> list[str]:
    scheme = _scheme(address)
    before, at, _ = address[len(scheme) + 3 :].rpartition('@') if scheme else ('', '', '')
    found = [before.partition(':')[2] or before] if at else []
    found += [match[0][len(match[1]) :] for match in _SECRET_KEY.finditer(address)] if scheme else []
    # Replacing a text of one or two letters everywhere would tell it.
    return sorted((secret for secret in found if len(secret) > 2), key=len, reverse=True)


def read_specs(sources: Sequence[str], file: str | os.PathLike | None = None) -> list[CameraSpec]:
    """The cameras of the command line and of a file.

    Args:
        sources (Sequence[str]): ``ADDRESS`` or ``NAME=ADDRESS``. Without a name, the camera is named after the file,
            the device or the host. ``${NAME}`` in an address is replaced by the environment variable.
        file (str | PathLike | None): JSON with ``cameras``, a list of objects with ``name``, and optionally ``source``,
            ``zones``, ``hours`` and ``cooldown_s``; and optionally ``timezone``. A camera without ``source`` gets that
            of the command line with its name.

    Returns:
        list[CameraSpec]: At least one, with distinct names.

    Raises:
        ConfigError: Two cameras have one name, or a value cannot be used; the message has no password.
        MissingFileError: There is no such file.
        DataError: The file is damaged.
    """
    named = [_parse(source) for source in sources]
    specs = {spec.name: spec for spec in named}
    _refuse_repeats(named)
    if file is not None:
        from_file = _read_file(file, specs)
        _refuse_repeats(from_file)
        taken = [spec for spec in from_file if spec.name in specs and specs[spec.name].address != spec.address]
        if taken:
            _refuse_repeats([specs[taken[0].name], taken[0]])
        specs |= {spec.name: spec for spec in from_file}
    _refuse_repeats(list(specs.values()))
    if not specs:
        raise ConfigError('There is no camera. Name one: --source ADDRESS, or a file of cameras with --cameras FILE.')
    return list(specs.values())


def _parse(source: str) -> CameraSpec:
    match = None if os.path.exists(source) else _NAMED.fullmatch(source)
    name, address = (match[1], match[2]) if match else ('', source)
    if match and not address:
        raise ConfigError(f'--source {name}=: there is no address after the name.')
    address = _with_variables(address)
    shown = shown_address(address)
    scheme = _scheme(address)
    if scheme and scheme not in SCHEMES:
        raise ConfigError(f'--source {shown}: {scheme}:// is not one of {", ".join(SCHEMES)}.')
    if match and (fault := camera_name_fault(name)):
        raise ConfigError(f'--source {shown}: {fault}.')
    if not match:
        name = _name_of(address)
    return CameraSpec(name, address)


def _name_of(address: str) -> str:
    """A name from an address: the stem of a file, the host of a URL."""
    if _scheme(address):
        host = shown_address(address).split('://', 1)[1].rpartition('@')[2]
        text = re.split(r'[/?#]', host)[0]
    else:
        text = Path(address).stem
    name = re.sub(r'[^A-Za-z0-9_.-]+', '-', text).lstrip('.-')[:64]
    return name or 'camera'


def _with_variables(address: str) -> str:
    def value(match: re.Match) -> str:
        if match[1] not in os.environ:
            raise ConfigError(f'An address has ${{{match[1]}}}, but this environment variable is not set.')
        return os.environ[match[1]]

    return _VARIABLE.sub(value, address)


def _refuse_repeats(specs: Sequence[CameraSpec]) -> None:
    seen: dict[str, CameraSpec] = {}
    for spec in specs:
        other = seen.setdefault(spec.name.lower(), spec)  # folders of some file systems ignore case
        if other is not spec:
            raise ConfigError(
                f'Two cameras have the name {spec.name!r}: {other.shown} and {spec.shown}. Name them: --source '
                'NAME=ADDRESS.'
            )


def _read_file(file: str | os.PathLike, given: Mapping[str, CameraSpec]) -> list[CameraSpec]:
    try:
        content = read_json(file, unique_keys=True)
    except MissingFileError as error:
        raise MissingFileError(f'--cameras {file}: there is no such file.') from error
    if fault := shape_fault(content, _SHAPE):
        raise DataError(f'{file} does not describe cameras: {fault}')
    _refuse_unknown(content, ('timezone', 'cameras'), str(file))
    specs = []
    for number, entry in enumerate(content['cameras'], 1):
        where = f'{file}: camera {number} ({entry["name"][:64]!r})'
        _refuse_unknown(entry, ('name', 'source', 'zones', 'hours', 'cooldown_s'), where)
        specs.append(_from_entry(entry, content.get('timezone'), where, given))
    return specs


def _from_entry(
    entry: Mapping[str, Any], timezone: str | None, where: str, given: Mapping[str, CameraSpec]
) -> CameraSpec:
    name = entry['name']
    try:
        if fault := camera_name_fault(name):
            raise ConfigError(f'{fault}.')
        if entry.get('source') is not None:
            spec = replace(_parse(f'{name}={entry["source"]}'), name=name)
        elif name in given:
            spec = given[name]
        else:
            raise ConfigError(f'has no source. Add one, or give it on the command line: --source {name}=ADDRESS.')
        cooldown = entry.get('cooldown_s')
        if cooldown is not None and not 0 <= cooldown <= 1e6:
            raise ConfigError(f'cooldown_s={cooldown:g} is not in 0..1,000,000.')
        hours = entry.get('hours')
        return replace(
            spec,
            zones=read_zones(entry.get('zones') or {}),
            hours=None if hours is None else read_hours(hours, timezone),
            cooldown_s=cooldown,
        )
    except ConfigError as error:
        raise ConfigError(f'{where}: {error}') from error


def _refuse_unknown(content: Mapping[str, Any], known: Sequence[str], where: str) -> None:
    for key in content:
        if key not in known:
            raise ConfigError(f'{where}: there is no key {key[:60]!r}. {nearest(key, known)}')
