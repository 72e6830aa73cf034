"""Reading and checking region annotations: fixable problems are fixed and counted, others are listed in one error."""

import difflib
import math
import os
from collections import Counter
from collections.abc import Sequence
from pathlib import PurePosixPath
from typing import Any

from vadlab.utils.errors import ConfigError, DataError, MissingFileError
from vadlab.utils.json_file import read_json

Record = dict[str, Any]

CAPTION_TYPES = {'caption': 'caption', 'short': 'short_expr', 'long': 'long_expr'}
_MAX_SHOWN = 5
_KEYS = {
    *('f_path', 'global_caption', 'bbox_info', 'start_frame', 'end_frame', 'keyframes', 'frame', 'bbox', 'enabled'),
    *('caption', 'short_expr', 'long_expr', 'flag_short_neg', 'short_expr_negs'),
}


def load_records(path: str | os.PathLike[str]) -> tuple[list[tuple[str, Record]], str]:
    """Read an annotation file in either layout.

    Args:
        path: JSON: a list of records, or a dict of records by video name.

    Returns:
        Pairs of a name for messages and a record, each with ``f_path``; and the layout, ``list`` or ``dict``.

    Raises:
        MissingFileError: There is no such file.
        DataError: It is not JSON, or has neither layout.
    """
    if not os.path.isfile(path):
        raise MissingFileError(f'ann_file: there is no file {os.fspath(path)}')
    content = read_json(path)
    expected = 'expected a list of records, or a dict of records by video name'
    if isinstance(content, list):
        layout = 'list'
        pairs = [(f'record {i}', record) for i, record in enumerate(content)]
    elif isinstance(content, dict):
        layout = 'dict'
        pairs = [
            (name, {'f_path': name, **record} if isinstance(record, dict) else record)
            for name, record in content.items()
        ]
    else:
        raise DataError(f'{os.fspath(path)}: {expected}, found a {type(content).__name__}')
    if not pairs:
        raise DataError(f'{os.fspath(path)}: contains no records')
    wrong = [where for where, record in pairs if not isinstance(record, dict)]
    if wrong:
        raise DataError(f'{os.fspath(path)}: {expected}; {wrong[0]} is a {type(dict(pairs)[wrong[0]]).__name__}')
    return pairs, layout


class RecordParser:
    """Parser that checks raw records, and fixes and counts small problems.

    Args:
        caption_type: Text that describes a region: ``caption``, or FG-CLIP's ``short`` (``short_expr``) or ``long``
            (``long_expr``) expression; a region without it falls back to its ``caption``.

    Attributes:
        counts: Number of fixes by kind.
        dropped: Names of the dropped regions.

    Raises:
        ConfigError: ``caption_type`` is unknown.
    """

    def __init__(self, caption_type: str = 'caption') -> None:
        if caption_type not in CAPTION_TYPES:
            raise ConfigError(f'There is no caption_type {caption_type!r}. Known: {", ".join(CAPTION_TYPES)}')
        self.caption_field = CAPTION_TYPES[caption_type]
        self.counts: Counter[str] = Counter()
        self.dropped: list[str] = []
        self._problems: list[str] = []

    def parse(self, records: list[tuple[str, Record]], source: str) -> list[Record]:
        """Check all records.

        Args:
            records: Records from :func:`load_records`.
            source: The file, for messages.

        Returns:
            One dict per record with ``f_path``, ``caption`` and ``regions`` (list of dicts with ``caption``,
            ``start_frame``, ``end_frame``, ``keyframes``, ``negatives`` and, if given, ``short_expr``,
            ``long_expr``).

        Raises:
            DataError: Fields are missing or have a wrong type; all are listed.
        """
        parsed = [self._parse_record(where, record) for where, record in records]
        if self._problems:
            more = len(self._problems) - _MAX_SHOWN
            raise DataError(
                f'{source}: {"; ".join(self._problems[:_MAX_SHOWN])}{f" (and {more} more)" if more > 0 else ""}'
            )
        if 2 * self.counts['pixel boxes'] > self.counts['keyframes']:
            raise DataError(
                f'{source}: {self.counts["pixel boxes"]} of {self.counts["keyframes"]} boxes reach beyond 2, as if '
                'they were in pixels. bbox must be [x1, y1, x2, y2] as fractions of the width and height'
            )
        return parsed

    def summary(self) -> str:
        """The fixes, in one line; empty if there are none."""
        order = ('boxes clipped', 'inverted boxes removed', 'empty boxes removed', 'start frames clipped')
        parts = [f'{self.counts[what]} {what}' for what in order if self.counts[what]]
        if self.dropped:
            shown = ', '.join(self.dropped[:_MAX_SHOWN]) + (', ...' if len(self.dropped) > _MAX_SHOWN else '')
            parts.append(f'{len(self.dropped)} regions without any box dropped ({shown})')
        return ', '.join(parts)

    def _parse_record(self, where: str, record: Record) -> Record:
        f_path = record.get('f_path')
        if not isinstance(f_path, str) or not f_path.strip():
            self._problem(where, 'f_path', f_path, 'a path')
            return {}
        where = f'{PurePosixPath(f_path).name} ({where})' if where.startswith('record ') else where
        self._check_keys(where, record, ('bbox_info',))
        raw_regions = record.get('bbox_info')
        if raw_regions is None:
            raw_regions = []
        elif not isinstance(raw_regions, list):
            self._problem(where, 'bbox_info', raw_regions, 'a list of regions')
            raw_regions = []
        regions = [self._parse_region(f'{where} region {i}', region) for i, region in enumerate(raw_regions)]
        return dict(
            f_path=f_path,
            caption=self._text(where, record, 'global_caption'),
            regions=[region for region in regions if region is not None],
            n_annotated_regions=len(raw_regions),
        )

    def _parse_region(self, where: str, raw: Any) -> Record | None:
        if not isinstance(raw, dict):
            self._problem(where, '', raw, 'a region')
            return None
        self._check_keys(where, raw, ('short_expr', 'long_expr', 'flag_short_neg', 'short_expr_negs'))
        field = self.caption_field if raw.get(self.caption_field) is not None else 'caption'
        if field != self.caption_field:
            self.counts[f'regions without {self.caption_field}'] += 1
        region: Record = dict(caption=self._text(where, raw, field), negatives=self._negatives(where, raw))
        for extra in ('short_expr', 'long_expr'):
            if raw.get(extra) is not None:
                region[extra] = self._text(where, raw, extra)
        start, end = self._integer(where, raw, 'start_frame'), self._integer(where, raw, 'end_frame')
        keyframes = raw.get('keyframes')
        if not isinstance(keyframes, list):
            self._problem(where, 'keyframes', keyframes, 'a list')
            return None
        if start < 0:
            self.counts['start frames clipped'] += 1
        parsed = [self._parse_keyframe(f'{where} keyframe {i}', keyframe) for i, keyframe in enumerate(keyframes)]
        kept = sorted((keyframe for keyframe in parsed if keyframe is not None), key=lambda k: k['frame'])
        region.update(start_frame=max(start, 0), end_frame=end, keyframes=kept)
        if end < max(start, 0) or not any(k['enabled'] and k['frame'] <= end for k in kept):
            self.dropped.append(where)
            return None
        return region

    def _parse_keyframe(self, where: str, raw: Any) -> Record | None:
        if not isinstance(raw, dict):
            self._problem(where, '', raw, 'a keyframe')
            return None
        self._check_keys(where, raw, ('enabled',))
        frame, enabled, bbox = self._integer(where, raw, 'frame'), raw.get('enabled', True), raw.get('bbox')
        if not isinstance(enabled, bool):
            self._problem(where, 'enabled', enabled, 'true or false')
        if (
            not isinstance(bbox, list)
            or len(bbox) != 4
            or not all(isinstance(v, int | float) and not isinstance(v, bool) and math.isfinite(v) for v in bbox)
        ):
            self._problem(where, 'bbox', bbox, 'four finite numbers [x1, y1, x2, y2]')
            return None
        self.counts['keyframes'] += 1
        self.counts['pixel boxes'] += max(bbox) > 2
        x1, y1, x2, y2 = clipped = [min(max(float(v), 0.0), 1.0) for v in bbox]
        if bbox[0] > bbox[2] or bbox[1] > bbox[3]:
            self.counts['inverted boxes removed'] += 1
            return None
        if x1 == x2 or y1 == y2:
            self.counts['empty boxes removed'] += 1
            return None
        self.counts['boxes clipped'] += clipped != [float(v) for v in bbox]
        return dict(frame=frame, bbox=clipped, enabled=bool(enabled))

    def _check_keys(self, where: str, raw: Record, optional: Sequence[str]) -> None:
        """Report misspelled keys, which would otherwise count as missing."""
        for key in raw.keys() - _KEYS:
            close = difflib.get_close_matches(str(key).lower(), [name for name in optional if name not in raw], n=1)
            if close and len(key) - len(close[0]) in (-1, 0, 1):
                self._problems.append(f'{where}: the key {key!r} is not read; did you mean {close[0]!r}?')

    def _negatives(self, where: str, raw: Record) -> list[str]:
        if raw.get('flag_short_neg', 0) != 1:
            return []
        negatives = raw.get('short_expr_negs')
        texts = list(negatives.values()) if isinstance(negatives, dict) else negatives
        if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
            self._problem(where, 'short_expr_negs', negatives, 'a dict of texts, since flag_short_neg is 1')
            return []
        return texts

    def _text(self, where: str, raw: Record, field: str) -> str:
        value = raw.get(field)
        if not isinstance(value, str) or not value.strip():
            self._problem(where, field, value, 'a text')
            return ''
        return value.strip()

    def _integer(self, where: str, raw: Record, field: str) -> int:
        value = raw.get(field)
        # Annotation tools write 192.0 for 192.
        if isinstance(value, bool) or not isinstance(value, int | float) or value % 1 != 0:
            self._problem(where, field, value, 'a whole number')
            return 0
        return int(value)

    def _problem(self, where: str, field: str, value: Any, expected: str) -> None:
        found = 'is missing' if value is None else f'is {str(value)[:40]!r} ({type(value).__name__})'
        self._problems.append(f'{where}: {field or "it"} {found}, must be {expected}')
