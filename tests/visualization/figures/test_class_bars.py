import numpy as np
import pytest
from matplotlib.image import imread

from vadlab.utils.errors import DataError
from vadlab.visualization.figures.class_bars import plot_grouped_bars


def blue(path):
    red, _, blue_ = np.moveaxis(imread(path)[..., :3], 2, 0)
    return ((blue_ - red) > 0.3).sum()


def test_bars_are_as_long_as_their_values_and_nan_has_none(tmp_path):
    sizes = {}
    for value in (0.2, 0.8, float('nan')):
        path = tmp_path / f'{value}.png'
        plot_grouped_bars(['fox', 'hare'], {'F1': [value, value]}, path, 'species', marked=[1], chance=0.5)
        sizes[str(value)] = blue(path)
    key = sizes['nan']  # the legend's own patch
    assert (sizes['0.8'] - key) / (sizes['0.2'] - key) == pytest.approx(4, rel=0.1)


def test_what_does_not_fit_is_an_error(tmp_path):
    with pytest.raises(DataError, match="2 groups of bars need as many values of each measure, not {'F1': 1}"):
        plot_grouped_bars(['fox', 'hare'], {'F1': [0.5]}, tmp_path / 'a.png')
    with pytest.raises(DataError, match='0 groups'):
        plot_grouped_bars([], {'F1': []}, tmp_path / 'a.png')
