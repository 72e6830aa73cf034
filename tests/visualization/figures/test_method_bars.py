import pytest

from vadlab.utils.errors import DataError
from vadlab.visualization.figures.method_bars import plot_method_bars


@pytest.mark.parametrize('control', [None, [[0.5, 0.51], []]])
def test_a_figure_is_written(tmp_path, control):
    out = tmp_path / 'bars.svg'
    plot_method_bars(['RTFM', 'Zero-shot'], [[0.9, 0.8], [0.6]], out, control)
    text = out.read_text()
    for expected in ('RTFM', '0.850', '0.600', 'chance'):
        assert expected in text
    assert ('blanked' in text) is (control is not None)


def test_a_method_without_a_value_is_refused(tmp_path):
    with pytest.raises(DataError, match='Every method needs a frame AUC'):
        plot_method_bars(['RTFM'], [[]], tmp_path / 'bars.png')
