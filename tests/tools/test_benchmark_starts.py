import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / 'tools'))
from benchmarks import features_start

from vadlab.datasets.formats import shape_index


def test_starts_with_and_without_index_hold_the_same(tmp_path, monkeypatch):
    monkeypatch.setattr(shape_index, 'FEWEST_FILES', 2000)  # restored after the jobs have set it
    folder = features_start.make_feature_files(tmp_path, 40)
    jobs = [features_start.StartJob(kind, str(folder)) for kind in ('reference', 'ours')]
    assert jobs[0].run() == jobs[1].run() == {'videos': 40, 'ends': [2, 'Arson0000039_x264', 5]}
    assert features_start.make_feature_files(tmp_path, 40) == folder


@pytest.fixture(autouse=True)
def logging_enabled():
    import logging

    yield
    logging.disable(logging.NOTSET)
