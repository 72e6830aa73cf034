"""What an experiment would ask of a model, before the first call."""

from collections.abc import Sequence
from typing import Any

from vadlab.models.vlm.asker import AnswerCounts
from vadlab.utils.errors import DataError
from vadlab.utils.progress import ProgressBar
from vadlab.utils.run_log import log


def expected_costs(model: Any, paths: Sequence[str]) -> AnswerCounts:
    """Sum of the expected costs of videos; nothing is asked.

    Args:
        model (VLMDetector): The method.
        paths (Sequence[str]): Videos. Those that cannot be read are logged and skipped.
    """
    counts = AnswerCounts()
    with ProgressBar('videos', len(paths), line_every_s=60.0) as bar:
        for path in paths:
            try:
                counts.add(model.expected(path))
            except DataError as error:
                log(f'{path}: not counted: {error}')
            bar.advance()
    return counts


def cost_table(counts: AnswerCounts, videos: int, note: str = '') -> str:
    """The expected costs as text.

    Args:
        counts (AnswerCounts): Of all videos.
        videos (int): Their number.
        note (str): A sentence below the table.
    """
    rows = [
        ('videos', f'{videos:,}'),
        ('questions', f'{counts.questions:,}'),
        ('in the cache', f'{counts.cached:,}'),
        ('calls', f'{counts.calls:,}'),
        ('images', f'{counts.images:,}'),
        ('tokens in, about', f'{counts.tokens_in:,}'),
        ('tokens out, about', f'{counts.tokens_out:,}'),
    ]
    lines = [f'{name:18} {value:>14}' for name, value in rows]
    return '\n'.join([*lines, *([note] if note else []), 'Nothing was asked.'])
