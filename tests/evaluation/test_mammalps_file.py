import numpy as np
import pytest

from vadlab.evaluation.mammalps_file import write_mammalps_results
from vadlab.utils.errors import DataError

SCORES = {'activity': np.array([[0.25, 0.75], [0.5, 0.5]]), 'actions': np.array([[0.9, 0.2, 0.5], [0.0, 1.0, 0.6]])}
LABELS = {'activity': np.eye(2, dtype=bool), 'actions': np.array([[1, 0, 1], [0, 1, 1]], dtype=bool)}
MULTI = {'activity': False, 'actions': True}


def read(path):
    """As the benchmark's own evaluation reads a line: three whole numbers, then arrays between brackets."""
    rows = []
    for line in path.read_text().splitlines():
        cells = line.split('\t')
        assert all(cell[0] == '[' and cell[-1] == ']' for cell in cells[3:])
        rows.append([*map(int, cells[:3]), *(np.array([float(v) for v in c[1:-1].split(',')]) for c in cells[3:])])
    return rows


def test_columns_are_ids_then_predictions_then_labels(tmp_path):
    write_mammalps_results(tmp_path / 'results.tsv', ['17', '4'], SCORES, LABELS, MULTI, segments=[2, 0])
    first, second = read(tmp_path / 'results.tsv')
    assert (first[:3], second[:3]) == ([0, 17, 2], [1, 4, 0])
    np.testing.assert_allclose(first[3], [0.25, 0.75])
    np.testing.assert_array_equal(first[5], [1, 0])
    np.testing.assert_array_equal(second[6], [0, 1, 1])
    assert len(first) == 7


def test_several_labels_are_log_odds_so_that_0_is_the_threshold(tmp_path):
    write_mammalps_results(tmp_path / 'results.tsv', ['a', '4'], SCORES, LABELS, MULTI)
    first, second = read(tmp_path / 'results.tsv')
    np.testing.assert_allclose(1 / (1 + np.exp(-first[4])), SCORES['actions'][0], atol=1e-6)
    np.testing.assert_array_equal(second[4] > 0, [False, True, True])
    assert (first[1], second[1]) == (0, 1)  # an id is not a whole number: places in the list instead


def test_rows_that_lack_are_an_error(tmp_path):
    with pytest.raises(DataError, match='3 clips, but heads have'):
        write_mammalps_results(tmp_path / 'results.tsv', ['1', '2', '3'], SCORES, LABELS, MULTI)
    assert not list(tmp_path.iterdir())
