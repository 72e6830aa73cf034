import numpy as np
import pytest
from matplotlib.image import imread

from vadlab.utils.errors import DataError
from vadlab.visualization.figures import confusion_picture
from vadlab.visualization.figures.confusion_picture import plot_confusion


def test_a_sure_class_is_dark_and_an_empty_row_is_white(tmp_path):
    plot_confusion(np.array([[9, 0, 0], [3, 6, 0], [0, 0, 0]]), ['fox', 'hare', 'wolf'], tmp_path / 'a.png', 'species')
    pixels = imread(tmp_path / 'a.png')[..., :3]
    assert pixels.min() < 0.25
    plot_confusion(np.zeros((3, 3), int), ['fox', 'hare', 'wolf'], tmp_path / 'b.png', 'species')
    # Without a clip there is no number and no coloured cell; the bar of colours stays.
    assert (pixels.mean(axis=2) < 0.3).sum() > (imread(tmp_path / 'b.png')[..., :3].mean(axis=2) < 0.3).sum()


def test_a_long_title_of_few_classes_is_wrapped_inside_the_picture(monkeypatch, tmp_path):
    drawn = []
    monkeypatch.setattr(confusion_picture, '_save', lambda figure, out: drawn.append(figure))
    plot_confusion(np.eye(2), ['fox', 'hare'], tmp_path / 'a.png', 'behaviour: top-1 0.500 of 4 clips from 12 stations')
    (figure,) = drawn
    figure.canvas.draw()
    title = figure.texts[0].get_window_extent()
    assert 0 <= title.x0 < title.x1 <= figure.bbox.width
    assert title.y0 > figure.axes[0].get_window_extent().y1
    assert figure.texts[0].get_text().replace('\n', ' ') == 'behaviour: top-1 0.500 of 4 clips from 12 stations'


def test_many_classes_and_names_of_any_language(tmp_path):
    plot_confusion(np.eye(60, dtype=int), [f'鹿 ${k}$' for k in range(60)], tmp_path / 'many.png')
    assert (tmp_path / 'many.png').stat().st_size > 0


def test_another_number_of_names_is_an_error(tmp_path):
    with pytest.raises(DataError, match=r'of 2 classes has the shape \(2, 2\), not \(3, 3\)'):
        plot_confusion(np.eye(3), ['a', 'b'], tmp_path / 'a.png')
