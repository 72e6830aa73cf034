import numpy as np
import pytest
from PIL import Image

from vadlab.evaluation.functional import rank_counts
from vadlab.utils.errors import DataError
from vadlab.visualization.figures import curves
from vadlab.visualization.figures.curves import LearningCurve, plot_auc_vs_time, plot_roc_pr


@pytest.fixture
def figures(monkeypatch):
    drawn = []
    save = curves._save
    monkeypatch.setattr(curves, '_save', lambda figure, out: (drawn.append(figure), save(figure, out)))
    return drawn


def test_roc_and_pr_name_their_areas(figures, tmp_path):
    labels = np.arange(20_000) % 2 == 0
    plot_roc_pr(rank_counts(labels.astype(float), labels), tmp_path / 'new' / 'curves.png')
    with Image.open(tmp_path / 'new' / 'curves.png') as picture:
        assert picture.size == (1440, 660)
    left, right = figures[0].axes
    assert [text.get_text() for text in left.get_legend().get_texts()] == ['AUC 1.0000', 'chance']
    assert [text.get_text() for text in right.get_legend().get_texts()] == ['AP 1.0000', 'chance 0.500']


def test_one_class_has_no_curve(tmp_path):
    with pytest.raises(DataError, match='one class'):
        plot_roc_pr(rank_counts(np.ones(3), np.ones(3, bool)), tmp_path / 'a.png')
    assert not (tmp_path / 'a.png').exists()


def test_runs_of_one_label_are_drawn_with_their_mean(figures, tmp_path):
    runs = [
        LearningCurve('clip', np.array([1.0, 3.0]), np.array([0.6, 0.8])),
        LearningCurve('clip', np.array([1.0, 2.0, 3.0]), np.array([0.8, 0.9, 1.0])),
        LearningCurve('scratch', np.array([1.0, 3.0]), np.array([0.5, 0.55])),
    ]
    plot_auc_vs_time(runs, tmp_path / 'time.svg')
    lines = {line.get_label(): line for line in figures[0].axes[0].lines if not line.get_label().startswith('_')}
    assert set(lines) == {'clip (mean of 2 runs)', 'scratch', 'chance'}
    np.testing.assert_array_equal(lines['clip (mean of 2 runs)'].get_xdata(), [1, 2, 3])
    np.testing.assert_allclose(lines['clip (mean of 2 runs)'].get_ydata(), [0.7, 0.8, 0.9])
    assert (tmp_path / 'time.svg').stat().st_size > 1000


def test_no_run_and_a_run_without_values(tmp_path):
    with pytest.raises(DataError, match='no run to draw'):
        plot_auc_vs_time([], tmp_path / 'a.png')
    with pytest.raises(DataError, match="'clip' has no value"):
        plot_auc_vs_time([LearningCurve('clip', np.zeros(0), np.zeros(0))], tmp_path / 'a.png')
