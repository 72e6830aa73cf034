"""Suggestions for misspelled names."""

import difflib
from collections.abc import Sequence


def nearest(name: str, known: Sequence[str], limit: int | None = None) -> str:
    """A phrase that lists the known words closest to ``name``, or all of them if none is close.

    Args:
        name (str): The word that is not known.
        known (Sequence[str]): The known words.
        limit (int | None): List at most this many if none is close.
    """
    close = difflib.get_close_matches(name, known, n=3, cutoff=0.6)
    if close:
        return 'Did you mean ' + ' or '.join(repr(c) for c in close) + '?'
    if not known:
        return 'None is known.'
    words = sorted(known)
    more = ', ...' if limit is not None and len(words) > limit else '.'
    return f'Known: {", ".join(words[:limit])}{more}'
