import sys
from pathlib import Path

import pytest

TOOLS = str(Path(__file__).parents[2] / 'tools')
sys.path.insert(0, TOOLS)
from benchmarks import scores  # noqa: E402


@pytest.mark.parametrize('unit', ['snippet', 'frame'])
def test_the_tool_and_scikit_learn_agree_on_the_files(tmp_path, unit):
    folder = scores.make_score_files(tmp_path, 12_000, unit)
    theirs, ours = (scores.ScoresJob(kind, str(folder)).run() for kind in ('reference', 'ours'))
    assert ours['auc'] == pytest.approx(theirs['auc'], abs=1e-12)
    assert ours['ap'] == pytest.approx(theirs['ap'], abs=1e-12)
    assert 0.6 < ours['auc'] < 0.9
    written = (folder / 'scores.npz').stat().st_mtime_ns
    assert scores.make_score_files(tmp_path, 12_000, unit) == folder
    assert (folder / 'scores.npz').stat().st_mtime_ns == written
