import ast
from pathlib import Path

import numpy as np
import pytest

import vadlab.visualization
from vadlab.visualization.figures.class_bars import plot_grouped_bars
from vadlab.visualization.figures.confusion_picture import plot_confusion
from vadlab.visualization.figures.curves import LearningCurve, plot_auc_vs_time
from vadlab.visualization.figures.score_plots import plot_class_bars, plot_score_curve

FOLDER = Path(vadlab.visualization.__file__).parent
NAMES = ['$frac{$', r'a\$b', '$x$ and $y$', '\udce9', '\x1b[31m', '%s {0} <b>', '']


@pytest.mark.parametrize('name', NAMES)
def test_names_are_drawn_in_every_figure(tmp_path, name):
    out = tmp_path / 'a.png'
    for draw in (
        lambda: plot_score_curve(name, np.linspace(0, 1, 9), np.arange(9) > 4, out),
        lambda: plot_class_bars({name: 0.5, 'Abuse': 0.25}, name, out),
        lambda: plot_grouped_bars([name, 'b'], {name or 'm': np.array([0.5, 1.0])}, out, name),
        lambda: plot_confusion(np.eye(2), [name, 'b'], out, name),
        lambda: plot_auc_vs_time([LearningCurve(name, np.arange(2.0), np.arange(2.0))], out, name),
    ):
        draw()
        assert out.stat().st_size > 1000
        out.unlink()


def test_a_dollar_sign_is_drawn_as_one(tmp_path):
    pictures = []
    for name in ('$x$', 'x'):
        out = tmp_path / 'a.png'
        plot_score_curve(name, np.linspace(0, 1, 9), np.arange(9) > 4, out)
        pictures.append(out.read_bytes())
    assert pictures[0] != pictures[1]


def test_no_figure_has_a_canvas_that_reads_formulas():
    for path in FOLDER.rglob('*.py'):
        names = {node.id for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Name)}
        assert 'FigureCanvasAgg' not in names or path.name == 'text.py', path
