"""The settings that a sweep tries: ``NAME=LOW:HIGH``, ``NAME=LOW:HIGH:log``, ``NAME=LOW:HIGH:STEP``, ``NAME=A,B,C``."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mmengine.config import Config

from vadlab.utils.cfg_options import parse_cfg_options, split_list
from vadlab.utils.config import load_config
from vadlab.utils.errors import ConfigError

_FORMS = (
    'Write a range as LOW:HIGH, LOW:HIGH:log or LOW:HIGH:STEP, and choices as A,B,C (in quotes if one has a colon or a '
    'comma).'
)


@dataclass(frozen=True)
class Range:
    """Numbers between two limits, both included.

    Attributes:
        name (str): Key of the config.
        low (float): Smallest value.
        high (float): Largest value.
        step (float | None): Distance between neighbouring values; None: any value, or for whole numbers 1.
        is_log (bool): Draw the logarithm evenly.
        is_whole (bool): Whole numbers only.
    """

    name: str
    low: float
    high: float
    step: float | None = None
    is_log: bool = False
    is_whole: bool = False

    def limits(self) -> list[str]:
        """The values at both ends, as ``--cfg-options`` takes them."""
        return [self.text(self.low), self.text(self.high)]

    def text(self, value: Any) -> str:
        """A value as ``--cfg-options`` takes it."""
        return repr(int(value) if self.is_whole else float(value))

    def describe(self) -> str:
        """The range in words."""
        kind = 'whole number' if self.is_whole else 'number'
        way = ', logarithmic' if self.is_log else f', in steps of {self.step:g}' if self.step else ''
        return f'{kind} from {self.low:g} to {self.high:g}{way}'


@dataclass(frozen=True)
class Choice:
    """Given values.

    Attributes:
        name (str): Key of the config.
        values (tuple[str, ...]): The values, as ``--cfg-options`` takes them.
    """

    name: str
    values: tuple[str, ...]

    def limits(self) -> list[str]:
        """All values."""
        return list(self.values)

    def text(self, value: Any) -> str:
        """A value as ``--cfg-options`` takes it."""
        return str(value)

    def describe(self) -> str:
        """The values in words."""
        return f'one of {", ".join(self.values)}'


Param = Range | Choice


def parse_params(words: Sequence[str], config: Config) -> list[Param]:
    """The words after ``--param``.

    A range has whole numbers if its limits and its step are written without point and exponent, and the config's own
    value is not a float.

    Args:
        words (Sequence[str]): Such as ``lr=1e-5:1e-3:log``.
        config (Config): The config, for the type of its own values.

    Raises:
        ConfigError: A word is not of such a form, or a name appears twice.
    """
    found: list[Param] = []
    for word in words:
        name, sign, text = word.partition('=')
        if not sign or not name or name != name.strip() or not text.strip():
            raise ConfigError(f'--param takes NAME=VALUES, got {word!r} (no spaces around "="). {_FORMS}')
        if any(param.name == name for param in found):
            raise ConfigError(f'--param {name} is given twice.')
        found.append(_param(name, text.strip(), _value_of(config, name)))
    return found


def _param(name: str, text: str, current: Any) -> Param:
    parts = split_list(text)
    if len(parts) > 1:
        values = tuple(part.strip() for part in parts if part.strip())
        if len(set(values)) != len(values):
            raise ConfigError(f'--param {name}: a choice is given twice in {text}.')
        if len(values) > 1:
            return Choice(name, values)
    if ':' not in text or text[0] in '\'"[({':
        raise ConfigError(
            f'--param {name}: {text} is one value. A fixed value belongs to --cfg-options {name}={text}. {_FORMS}'
        )
    low, high, *more = (part.strip() for part in text.split(':'))
    is_log = more == ['log']
    numbers = [_number(part) for part in (low, high, *([] if is_log else more))]
    if len(more) > 1 or None in numbers:
        raise ConfigError(f'--param {name}: {text} is not a range. {_FORMS}')
    is_whole = all(isinstance(number, int) for number in numbers) and not isinstance(current, float)
    first, last, step = numbers[0], numbers[1], numbers[2] if len(numbers) > 2 else None
    assert first is not None
    assert last is not None
    if not first < last:
        raise ConfigError(f'--param {name}: {text}: the first limit must be less than the second.')
    if is_log and first <= 0:
        raise ConfigError(f'--param {name}: {text}: a logarithmic range must be above 0.')
    if step is not None and not 0 < step <= last - first:
        raise ConfigError(f'--param {name}: {text}: the step must be above 0 and fit into the range.')
    if step is not None:  # the last value that steps reach
        last = first + step * math.floor((last - first) / step + 1e-9)
        last = int(last) if is_whole else round(last, 12)
    return Range(name, first, last, step, is_log, is_whole)


def _number(text: str) -> int | float | None:
    for kind in (int, float):
        try:
            value = kind(text)
        except ValueError:
            continue
        return value if math.isfinite(value) else None
    return None


def _value_of(config: Config, name: str) -> Any:
    """The value of a dotted key; None if there is no such key, which :func:`check_params` reports."""
    node: Any = config._cfg_dict
    for part in name.split('.'):
        if isinstance(node, Mapping):
            node = node.get(part)
        elif isinstance(node, list | tuple) and part.isdecimal() and int(part) < len(node):
            node = node[int(part)]
        else:
            return None
    return node


def check_params(path: str | Path, params: Sequence[Param], options: Sequence[str]) -> list[tuple[str, str, Config]]:
    """Check that the config takes each limit of each range, and each choice, as ``--cfg-options`` does.

    Args:
        path (str | Path): The config.
        params (Sequence[Param]): The settings to try.
        options (Sequence[str]): ``KEY=VALUE`` changes of the config that apply to all trials.

    Returns:
        list[tuple[str, str, Config]]: The name, the value and the config with it, for each value that was tried.

    Raises:
        ConfigError: It does not take one: the key does not exist, or the value has a wrong type or is out of range.
    """
    fixed = parse_cfg_options(list(options))
    for param in params:
        if param.name in fixed:
            raise ConfigError(f'{param.name} is set by --param and by --cfg-options. Keep one of them.')
    first = [f'{param.name}={param.limits()[0]}' for param in params]
    configs = []
    for number, param in enumerate(params):
        for text in param.limits():
            tried = [*first[:number], f'{param.name}={text}', *first[number + 1 :]]
            try:
                configs.append((param.name, text, load_config(path, {**fixed, **parse_cfg_options(tried)})))
            except ConfigError as error:
                message = str(error).removeprefix(f'--cfg-options {param.name}: ')
                raise ConfigError(f'--param {param.name} (tried {text}): {message}') from error
    return configs
