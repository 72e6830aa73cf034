import cv2
import numpy as np
import pytest

from vadlab.utils.errors import DataError
from vadlab.visualization.figures.sweep_scores import plot_sweep_scores


def test_a_panel_per_setting_with_the_best_in_red(tmp_path):
    settings = {
        'lr': [1e-4, 1e-3, 1e-2],
        'name': ['adam', 'sgd', 'adam'],
        'n': [1.0, 2.0, 3.0],
        'model.x': [0.1, 0.2, 0.3],
    }
    plot_sweep_scores(settings, [[0.7, 0.8], [0.9], [0.6]], tmp_path / 'a.svg', best=1, logarithmic={'lr'})
    text = (tmp_path / 'a.svg').read_text()
    for expected in ('adam', 'sgd', 'model.x', 'One dot per trial'):
        assert expected in text
    assert 'mathdefault' not in text
    assert '0.001' in text

    # The best, at the top of a panel of its own, is red; no other dot is.
    for best, is_high in ((0, True), (1, False)):
        plot_sweep_scores({'x': [0.0, 1.0]}, [[0.9], [0.1]], tmp_path / 'b.png', best=best)
        blue, green, red = (cv2.imread(str(tmp_path / 'b.png')).astype(int)[..., c] for c in range(3))
        rows = np.nonzero((red - green > 90) & (red - blue > 60))[0]
        assert len(rows) > 20
        assert bool(rows.mean() < len(red) / 2) is is_high


def test_a_trial_without_a_score_is_refused(tmp_path):
    with pytest.raises(DataError, match='Every trial needs a score'):
        plot_sweep_scores({'x': [1.0]}, [[]], tmp_path / 'a.png', best=0)
