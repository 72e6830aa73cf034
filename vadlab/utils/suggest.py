"""Suggestions for misspelled names."""

import difflib
from collections.abc import Sequence


def nearest(name: str, known: Sequence[str], limit: int | None = None) -> str:
    """A phrase that lists the known words closest to ``name``, or all of them if none is close.

    Case does not count. Where no word is close, those that contain ``name`` are.

    Args:
        name (str): The word that is not known.
        known (Sequence[str]): The known words.
        limit (int | None): List at most this many if none is close.
    """
    folded: dict[str, list[str]] = {}
    for word in known:
        folded.setdefault(word.casefold(), []).append(word)
    asked = name.casefold()
    keys = difflib.get_close_matches(asked, list(folded), n=3, cutoff=0.6)
    if not keys and len(asked) > 1:
        keys = sorted(key for key in folded if asked in key)
    close = [word for key in keys for word in folded[key]][:3]
    if close:
        return 'Did you mean ' + ' or '.join(repr(c) for c in close) + '?'
    if not known:
        return 'None is known.'
    words = sorted(known)
    more = ', ...' if limit is not None and len(words) > limit else '.'
    return f'Known: {", ".join(words[:limit])}{more}'
