"""Groups of equal values."""

from collections.abc import Hashable, Sequence


def distinct(keys: Sequence[Hashable]) -> tuple[list[int], list[int]]:
    """Positions of the first of each group of equal keys, and for each key the number of its group.

    Example::

        >>> distinct(['a', 'b', 'a'])
        ([0, 1], [0, 1, 0])
    """
    groups: dict[Hashable, int] = {}
    group_of = [groups.setdefault(key, len(groups)) for key in keys]
    firsts: list[int] = []
    for place, group in enumerate(group_of):
        if group == len(firsts):
            firsts.append(place)
    return firsts, group_of
