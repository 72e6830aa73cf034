import pytest

from vadlab.datasets.problem_list import ProblemList
from vadlab.utils.errors import DataError, MissingFileError


def test_all_kinds_are_counted_in_one_message():
    problems = ProblemList('Asker')
    problems.raise_if_any('list.csv', 'Mend it.')
    for name in 'abcd':
        problems.note('videos have no label', name)
    problems.note('files are odd', 'x')
    with pytest.raises(DataError) as caught:
        problems.raise_if_any('list.csv', 'Mend it.')
    assert str(caught.value) == (
        'Asker: list.csv: 4 videos have no label (first: a, b, c, ...); 1 files are odd (x). Mend it.'
    )
    problems.note('files are gone', 'y', missing=True)
    with pytest.raises(MissingFileError, match='1 files are gone'):
        problems.raise_if_any('list.csv', 'Mend it.')
