import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / 'tools'))
from benchmarks import export


@pytest.mark.slow
def test_section_measures_three_runners_and_finds_no_difference(tmp_path):
    report = export.run(tmp_path, runs=1, towers=('demo',))
    assert [row.name for row in report.rows] == ['torch', 'onnxruntime', 'onnxruntime int8']
    assert not report.errors
    assert report.rows[1].details['difference from torch'] < 1e-5
    assert report.rows[2].details['difference from torch'] > 1e-4  # 8-bit weights
