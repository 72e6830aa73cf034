import json
import sys
from pathlib import Path

import pytest

from vadlab.utils.errors import ConfigError

sys.path.insert(0, str(Path(__file__).parents[2] / 'tools'))
from plot_learning_curve import main


def test_draws_runs_under_their_labels(tmp_path, capsys):
    path = tmp_path / 'run' / '1' / 'vis_data' / 'scalars.json'
    path.parent.mkdir(parents=True)
    records = [{'iter': 60, 'time': 1.0, 'step': 60}, {'frame/auc': 0.9, 'step': 1}, {'frame/auc': 0.8, 'step': 2}]
    path.write_text('\n'.join(map(json.dumps, records)))
    out = tmp_path / 'curve.png'
    assert main([f'{tmp_path / "run"}=from CLIP', '--out', str(out)]) == 0
    assert out.stat().st_size > 1000
    assert 'from CLIP: 0.8000 after 1.0 minutes (best 0.9000)' in capsys.readouterr().out


def test_the_figure_needs_a_known_ending(tmp_path):
    with pytest.raises(ConfigError, match=r'must end with \.png'):
        main([str(tmp_path), '--out', 'curve.txt'])
