"""Events of all videos as one CSV table."""

import csv
import io
from collections.abc import Iterable
from pathlib import Path

from vadlab.structures.video_result import VideoResult
from vadlab.utils.atomic import write_text

COLUMNS = (
    'video',
    'event',
    'label',
    'start',
    'end',
    'peak',
    'start_s',
    'end_s',
    'peak_s',
    'score',
    'threshold',
    'reason',
)


def event_rows(result: VideoResult) -> list[dict[str, object]]:
    """A row per event. ``start`` is the first frame from 0, ``end`` is one past the last; times are in seconds."""
    high = '' if result.threshold is None else result.threshold.high
    return [
        {
            'video': no_formula(result.name),
            'event': number,
            'label': no_formula(event.label or ''),
            'start': event.start,
            'end': event.end,
            'peak': event.peak,
            'start_s': round(event.start_s, 6),
            'end_s': round(event.end_s, 6),
            'peak_s': round(event.peak_s, 6),
            'score': event.score,
            'threshold': high,
            'reason': no_formula(event.reason),
        }
        for number, event in enumerate(result.events, 1)
    ]


def no_formula(text: str) -> str:
    """A text with an apostrophe in front if a spreadsheet program would run it as a formula (OWASP, CSV injection).

    File names, prompts and a model's reasons may come from anybody.
    """
    return f"'{text}" if text.startswith(('=', '+', '-', '@', '\t', '\r', '\n')) else text


def write_event_table(results: Iterable[VideoResult], path: Path) -> int:
    """Write the events of all videos to a CSV file in UTF-8; return their number."""
    file = io.StringIO()
    writer = csv.DictWriter(file, COLUMNS)
    writer.writeheader()
    count = 0
    for result in results:
        rows = event_rows(result)
        writer.writerows(rows)
        count += len(rows)
    write_text(path, file.getvalue())
    return count
