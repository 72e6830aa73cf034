"""Parsers: the score, the class and the reason in an answer."""

import json
import re
from collections.abc import Sequence
from typing import Any, NamedTuple

from vadlab.registry import MODELS

_LONGEST_REASON = 300
_NUMBER = r'([01](?:[.,]\d+)?|[.,]\d+)'
_OF_KEY = re.compile(rf'["\']?score["\']?\s*(?:[:=]|is\b|of\b)\s*["\']?{_NUMBER}(?![\d.,]*\d|e[+-]?\d)', re.IGNORECASE)
_FRACTION = re.compile(r'(?<![\d.,])([01]?[.,]\d+)(?![\d]|[.,]\d|e[+-]?\d|\s*(?:%|/))', re.IGNORECASE)
_BELOW_ZERO = re.compile(r'(?<!\w)[-\u2212]\s*[.,]?\d')
_LONE = re.compile(r'\W*([01])(?:[.,]0*)?[^\w%/]*')
_PERCENT = re.compile(r'(?<![\d.,])(\d{1,3}(?:[.,]\d+)?)\s*%')
_OF_TEN = re.compile(r'(?<![\d.,])(\d{1,3}(?:[.,]\d+)?)\s*/\s*(10|100)(?!\d)')
_TEXT_OF_KEY = r'["\']{}["\']\s*:\s*"((?:[^"\\]|\\.)*)'
_REFUSAL = re.compile(
    r"\b(i'?m sorry|i am sorry|i can(?:'|no)t|i can not|i am unable|i'?m unable|i won'?t|as an ai\b"
    r'|not able to (?:help|assist)|cannot (?:help|assist|provide|comply)|can\'t (?:help|assist|provide|comply))',
    re.IGNORECASE,
)
_CONTROLS = re.compile('[\x00-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]')
_DECIDES = re.compile(  # VERA's last line: 'Output: 1', '0 (normal)', '**1**'
    r'(?:\W*[\w ]{0,40}[:\uff1a]|.*\b(?:answer|output|decision) is)?\W*([01])(?:\.0)?(?:\s*[(\uff08].*)?\W*',
    re.IGNORECASE,
)
_IN_WORDS = re.compile(
    r'(?:\W*(?:answer|output|decision)\W+|.*\b(?:answer|output|decision) is\W+)?\W*(yes|no)\b\s*(?:[^\w\s]|$)',
    re.IGNORECASE,
)
_OF_LIST = re.compile(r'\(?\d{1,2}[.):]|[-*\u2022]\s')
_THOUGHTS = re.compile(r'<think>.*?(?:</think>|\Z)', re.DOTALL)


class Reading(NamedTuple):
    """What was read from an answer.

    Attributes:
        score (float): 0..1, higher is more anomalous.
        label (str): Name of a class, or empty.
        reason (str): Why, in the model's words, or empty.
    """

    score: float
    label: str = ''
    reason: str = ''


@MODELS.register_module()
class ScoreParser:
    """Reads a JSON object with ``score``, ``class`` and ``reason``, and, if there is none, any text with a score.

    Text is read in this order: a number after ``score:``, percent (``80 %``), a rating (``8/10``), a single decimal
    number in 0..1, a 0 or 1 without any words. So answers in other languages and half a JSON object can be read. A
    decimal comma is a point. Text with several different decimal numbers or a negative one has no score, and a 0 or 1
    among words is none: it may count persons. A JSON score that is not in 0..1 is not replaced by other numbers.

    Args:
        reminder (str): Added to a question whose first answer could not be read.
    """

    def __init__(
        self,
        reminder: str = 'Answer with one JSON object and nothing else: {"score": number from 0 to 1, "class": text, '
        '"reason": text}',
    ) -> None:
        self.reminder = reminder

    def schema(self, classes: Sequence[str]) -> dict[str, Any] | None:
        """JSON schema of the answer."""
        return {
            'type': 'object',
            'properties': {
                'reason': {'type': 'string'},
                'class': {'type': 'string', 'enum': list(dict.fromkeys(classes))},
                'score': {'type': 'number', 'minimum': 0, 'maximum': 1},
            },
            'required': ['reason', 'class', 'score'],
            'additionalProperties': False,
        }

    def __call__(self, text: str, classes: Sequence[str] = ()) -> Reading | None:
        """Read an answer.

        Args:
            text (str): The answer.
            classes (Sequence[str]): Names that a class may have.

        Returns:
            Reading | None: None if there is no score.
        """
        text = _THOUGHTS.sub('', text).strip()
        for found in _objects(text):
            keys = {str(key).lower(): value for key, value in found.items()}
            given = keys.get('score')
            score = _as_score(given)
            if score is None and isinstance(given, str):
                score = _loose_score(given)
            if score is not None:
                return Reading(score, _class_of(keys.get('class'), classes), shortened(keys.get('reason')))
            if 'score' in keys:
                return None
        score = _loose_score(text)
        if score is None:
            return None
        label, reason = (_quoted(name, text) for name in ('class', 'reason'))
        plain = '' if '{' in text else text
        return Reading(score, _class_of(label, classes) or _named_in(plain, classes), shortened(reason or plain))


@MODELS.register_module()
class YesNoParser:
    """Reads a yes or no, as VERA's questions ask for: 1 for an anomaly, 0 for none; the analysis is the reason.

    The last line with a lone 0 or 1 decides, or the last line of all, if it is yes or no. The answers to the guiding
    questions are no decision, so an answer that was cut before its decision counts as unreadable. VERA's code takes any
    output without a ``0`` as an anomaly.

    Args:
        reminder (str): Added to a question whose first answer could not be read.
    """

    def __init__(self, reminder: str = 'End with one line that is only 1 (an anomaly) or 0 (no anomaly).') -> None:
        self.reminder = reminder

    def schema(self, classes: Sequence[str]) -> dict[str, Any] | None:
        """None: the answer is text."""
        return None

    def __call__(self, text: str, classes: Sequence[str] = ()) -> Reading | None:
        """See :meth:`ScoreParser.__call__`."""
        lines = [line.strip() for line in _THOUGHTS.sub('', text).replace('`', '').splitlines() if line.strip()]
        for number in range(len(lines) - 1, -1, -1):
            line = lines[number]
            is_headed = number == 0 or lines[number - 1].endswith((':', '\uff1a', '**'))
            match = _DECIDES.fullmatch(line)
            if match and re.fullmatch(r'[01][.)]', line) and not is_headed:
                match = None  # the number of a question, whose answer was cut
            word = None
            if number == len(lines) - 1 and not _OF_LIST.match(line):
                word = _IN_WORDS.match(line)
            if match or word:
                is_anomaly = match[1] == '1' if match else word is not None and word[1].lower() == 'yes'
                before = ' '.join(lines[:number]) or ('' if match else line)
                return Reading(float(is_anomaly), '', shortened(re.sub(r'\s*\boutput:?\s*$', '', before, flags=re.I)))
        return None


@MODELS.register_module()
class BracketParser:
    """Reads ``[0.7]``, as LAVAD's question asks for, also in Chinese brackets; a number above 1 is not a score.

    Args:
        reminder (str): Added to a question whose first answer could not be read.
    """

    def __init__(self, reminder: str = 'Answer with one number from 0 to 1 in square brackets, such as [0.3].') -> None:
        self.reminder = reminder

    def schema(self, classes: Sequence[str]) -> dict[str, Any] | None:
        """None: the answer is text."""
        return None

    def __call__(self, text: str, classes: Sequence[str] = ()) -> Reading | None:
        """See :meth:`ScoreParser.__call__`."""
        match = re.search(r'[\[\u3010\uff3b]\s*(\d+(?:[.,]\d+)?)\s*[\]\u3011\uff3d]', _THOUGHTS.sub('', text))
        score = _as_score(match[1]) if match else None
        return None if score is None else Reading(score)


def is_refusal(text: str, at_start: bool = False) -> bool:
    """Whether a text without a score is a refusal, in English.

    Args:
        text (str): The text.
        at_start (bool): Only if the text begins with the refusal: descriptions may quote somebody.

    >>> is_refusal("I'm sorry, but I can't help with that."), is_refusal('There is a street.')
    (True, False)
    """
    text = text.replace('\u2019', "'").lstrip()
    return bool(_REFUSAL.match(text) if at_start else _REFUSAL.search(text))


def _objects(text: str) -> list[dict[str, Any]]:
    """JSON objects in a text, in order."""
    found, decoder, place = [], json.JSONDecoder(), text.find('{')
    while place >= 0:
        try:
            value, length = decoder.raw_decode(text[place:])
        except (ValueError, RecursionError):
            place = text.find('{', place + 1)
            continue
        if isinstance(value, dict):
            found.append(value)
        place = text.find('{', place + length)
    return found


def _as_score(value: Any) -> float | None:
    """A number in 0..1 from JSON; None for anything else."""
    if isinstance(value, bool) or value is None:
        return None
    if isinstance(value, str):
        value = value.strip().replace(',', '.')
        if value.endswith('%'):
            try:
                value = float(value[:-1]) / 100
            except ValueError:
                return None
    try:
        number = float(value)
    except (TypeError, ValueError):
        return None
    return number if 0 <= number <= 1 else None


def _loose_score(text: str) -> float | None:
    if match := _OF_KEY.search(text):
        return _as_score(match[1])
    if match := _PERCENT.search(text):
        return _as_score(float(match[1].replace(',', '.')) / 100)
    if match := _OF_TEN.search(text):
        return _as_score(float(match[1].replace(',', '.')) / float(match[2]))
    if _BELOW_ZERO.search(text):
        return None
    if match := _LONE.fullmatch(text):
        return _as_score(match[1])
    numbers = {_as_score(number) for number in _FRACTION.findall(text)}
    return numbers.pop() if len(numbers) == 1 else None


def _quoted(key: str, text: str) -> str:
    match = re.search(_TEXT_OF_KEY.format(key), text)
    return match[1] if match else ''


def _class_of(value: Any, classes: Sequence[str]) -> str:
    """The name of a class, as ``classes`` writes it; empty if it is unknown."""
    if not isinstance(value, str):
        return ''
    return next((name for name in classes if name.lower() == value.strip().lower()), '')


def _named_in(text: str, classes: Sequence[str]) -> str:
    named = [name for name in classes if re.search(rf'\b{re.escape(name)}\b', text, re.IGNORECASE)]
    return named[0] if len(named) == 1 else ''


def shortened(value: Any) -> str:
    """One line without control characters and without characters that reverse the direction of text."""
    text = ' '.join(_CONTROLS.sub(' ', value).split()) if isinstance(value, str) else ''
    return text if len(text) <= _LONGEST_REASON else f'{text[: _LONGEST_REASON - 3]}...'
