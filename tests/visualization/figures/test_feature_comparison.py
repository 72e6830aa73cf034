import numpy as np
from matplotlib.colors import same_color

from vadlab.visualization.figures import feature_comparison
from vadlab.visualization.figures.feature_comparison import plot_feature_comparison
from vadlab.visualization.renderers.video_picture import INK


def test_no_two_lines_share_a_colour_and_no_bar_reaches_the_legend(monkeypatch, tmp_path):
    drawn = []
    save = feature_comparison._save
    monkeypatch.setattr(feature_comparison, '_save', lambda figure, out: (drawn.append(figure), save(figure, out)))
    curves = {f'v{i}': np.full(5, 0.9 - 0.1 * i) for i in range(6)}
    plot_feature_comparison(np.ones(9), np.linspace(0, 0.5, 9), curves, tmp_path / 'cosines.png')
    left, right = drawn[0].axes
    assert len({line.get_color() for line in right.lines}) == 7
    figure_box = left.get_legend().get_window_extent()
    highest = max(bar.get_window_extent().y1 for bar in left.patches)
    assert highest < figure_box.y0
    assert max(left.get_yticks()) == 1
    for axes in (left, right):
        assert all(same_color(text.get_color(), INK) for text in axes.get_legend().get_texts())
    assert (tmp_path / 'cosines.png').stat().st_size > 1000
