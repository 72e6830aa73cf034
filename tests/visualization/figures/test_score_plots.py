import numpy as np
import pytest
from PIL import Image

from vadlab.evaluation.functional import rank_counts
from vadlab.evaluation.score_predictions import ScoreReport
from vadlab.utils.errors import DataError
from vadlab.visualization.figures import score_plots
from vadlab.visualization.figures.score_plots import draw_report, plot_class_bars, plot_score_curve
from vadlab.visualization.report.file_names import picture_name


@pytest.fixture
def figures(monkeypatch):
    drawn = []
    save = score_plots._save
    monkeypatch.setattr(score_plots, '_save', lambda figure, out: (drawn.append(figure), save(figure, out)))
    return drawn


def test_a_bar_for_each_class_and_their_mean(figures, tmp_path):
    plot_class_bars({'Arson': 0.5, 'Fighting': 1.0}, 'ROC AUC', tmp_path / 'bars.png')
    (axes,) = figures[0].axes
    assert [bar.get_width() for bar in axes.patches] == [0.5, 1.0]
    assert [label.get_text() for label in axes.get_yticklabels()] == ['Arson', 'Fighting']
    assert [text.get_text() for text in axes.texts] == ['0.500', '1.000']
    assert figures[0].legends[0].get_texts()[0].get_text() == 'mean 0.7500'
    with pytest.raises(DataError, match='no class with a ROC AUC'):
        plot_class_bars({}, 'ROC AUC', tmp_path / 'none.png')


def test_a_score_curve_shades_each_interval(figures, tmp_path):
    labels = np.zeros(9000, bool)
    labels[100:300] = labels[5000:5001] = True
    plot_score_curve('Arson001', np.linspace(0, 1, 9000), labels, tmp_path / 'curve.png')
    (axes,) = figures[0].axes
    spans = [(patch.get_x(), patch.get_x() + patch.get_width()) for patch in axes.patches]
    assert spans == [(100, 300), (5000, 5001)]
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ['truly anomalous', 'score']
    # A score of exactly 0 or 1 lies inside the axes.
    assert axes.get_ylim() == pytest.approx((-0.03, 1.03))
    with Image.open(tmp_path / 'curve.png') as picture:
        assert picture.size == (1440, 360)


def test_scores_that_are_no_probabilities_fill_the_axes(figures, tmp_path):
    plot_score_curve('a', np.array([-3.0, 5.0]), np.zeros(2), tmp_path / 'curve.png')
    plot_score_curve('b', np.array([7.0]), np.zeros(1), tmp_path / 'curve.png')
    assert figures[0].axes[0].get_ylim() == pytest.approx((-3.24, 5.24))
    assert figures[1].axes[0].get_ylim() == pytest.approx((6.97, 8.03))


def test_a_flat_score_is_zoomed_and_the_axis_says_so(figures, tmp_path):
    plot_score_curve('a', np.array([0.40, 0.41]), np.zeros(2), tmp_path / 'curve.png')
    (axes,) = figures[0].axes
    assert axes.get_ylim() == pytest.approx((0.3997, 0.4103))
    assert axes.get_ylabel() == 'score (zoomed)'


@pytest.mark.parametrize(
    ('other', 'limits', 'label'),
    [
        # 3 % beyond 0 and 1; a video of nearly equal scores is not zoomed beside one that is not flat
        ([0.1, 0.9], (-0.03, 1.03), 'score'),
        # 3 % of 0.02 beyond the range of both
        ([0.39, 0.40], (0.3894, 0.4106), 'score, zoomed to 0.390..0.410'),
    ],
)
def test_curves_of_a_report_share_one_axis(figures, tmp_path, other, limits, label):
    scores = {'a': np.array([0.40, 0.41]), 'b': np.array(other)}
    draw_report(ScoreReport(scores=scores, labels={name: np.zeros(2, bool) for name in scores}), tmp_path)
    assert [figure.axes[0].get_ylim() for figure in figures] == [pytest.approx(limits)] * 2
    assert [figure.axes[0].get_legend().get_texts()[0].get_text() for figure in figures] == [label] * 2


def test_all_figures_of_a_report(tmp_path):
    labels = {f'v/{i}': np.arange(20) < 5 * (i % 3) for i in range(9)}
    scores = {name: np.linspace(0, 1, 20) for name in labels}
    report = ScoreReport(
        scores=scores,
        counts=rank_counts(*(np.concatenate(list(values.values())) for values in (scores, labels))),
        labels=labels,
        class_values={'ROC AUC against all other frames': {'Arson': 0.5}, 'segment AP (standard)': {}},
    )
    paths = draw_report(report, tmp_path, num_videos=4)
    # Three of four videos with anomalies, one without.
    names = ['roc_pr.png', 'class_auc.png', *(f'scores/{picture_name(f"v/{i}")}' for i in (1, 4, 8, 0))]
    assert [str(path.relative_to(tmp_path)) for path in paths] == names
    assert all(path.stat().st_size > 1000 for path in paths)
    assert len(draw_report(report, tmp_path / 'all', num_videos=100)) == 2 + 9
    assert len(draw_report(report, tmp_path / 'none', num_videos=0)) == 2


def test_a_report_of_one_class_has_no_roc(tmp_path):
    report = ScoreReport(
        scores={'a': np.zeros(3)},
        labels={'a': np.zeros(3, bool)},
        counts=rank_counts(np.zeros(3), np.zeros(3, bool)),
    )
    assert [path.name for path in draw_report(report, tmp_path)] == ['a.png']
