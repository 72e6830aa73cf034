import numpy as np
import pytest
from matplotlib.collections import LineCollection
from matplotlib.colors import to_rgb

from vadlab.visualization.renderers.concept_picture import COLOURS, ConceptPicture, concept_shares, draw_concepts

NAMES = [f'concept {i}' for i in range(20)]
IMAGE = np.zeros((32, 32, 3), np.uint8)


def picture(concepts, **changes):
    settings = dict(title='a.jpg', image=IMAGE, caption='a red car', concepts=np.array(concepts), names=NAMES)
    return ConceptPicture(**settings | changes)


def texts(figure):
    return [text.get_text() for text in (*figure.texts, *(t for axes in figure.axes for t in axes.texts))]


def test_shares_are_of_all_patches_the_largest_first():
    shares = concept_shares(np.array([3, 1, 3, 0]), NAMES)
    assert list(shares.items()) == [('concept 3', 0.5), ('concept 0', 0.25), ('concept 1', 0.25)]


def test_patches_have_the_colour_that_the_legend_gives_their_concept():
    figure = draw_concepts(picture([7, 7, 7, 2]))
    grid = figure.axes[1].images[1].get_array()
    assert grid.shape == (2, 2, 3)
    np.testing.assert_allclose(grid[0, 0], to_rgb(COLOURS[0]))
    np.testing.assert_allclose(grid[1, 1], to_rgb(COLOURS[1]))
    shown = texts(figure)
    assert [t for t in shown if t.startswith('concept') or '%' in t] == ['concept 7', '75%', 'concept 2', '25%']
    assert 'a red car' in shown
    assert [patch.get_facecolor()[:3] for patch in figure.axes[2].patches] == [to_rgb(c) for c in COLOURS[:2]]


def test_lines_are_where_the_concept_changes():
    """Of a grid of 2 x 2 with another concept in its last patch: left of it, and above it."""
    (lines,) = [c for c in draw_concepts(picture([0, 0, 0, 1])).axes[1].collections if isinstance(c, LineCollection)]
    segments = {tuple(map(tuple, segment)) for segment in lines.get_segments()}
    assert segments == {((0.5, 0.5), (0.5, 1.0)), ((0.5, 0.5), (1.0, 0.5))}


def test_rare_concepts_share_a_line_of_the_legend():
    shown = texts(draw_concepts(picture([*range(12), 0, 0, 0, 0])))
    assert '2 others' in shown
    assert 'concept 7' in shown
    assert 'concept 8' not in shown  # equal ones are in the order of their names


def test_references_and_an_empty_caption_are_written(tmp_path):
    figure = draw_concepts(picture([0, 0, 0, 0], caption='', references=['A car.', 'Ein $Auto$.']))
    shown = texts(figure)
    assert {'(no word)', 'references', 'A car.', 'Ein $Auto$.'} <= set(shown)
    figure.savefig(tmp_path / 'picture.png')


def test_patches_that_are_no_square_are_refused():
    with pytest.raises(ValueError, match='3 patches do not form a square grid'):
        draw_concepts(picture([0, 0, 0]))
