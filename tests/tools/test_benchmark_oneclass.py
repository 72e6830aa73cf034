import pytest

from tools.benchmarks import oneclass


def test_neighbours_of_each_kind_equal_brute_force():
    sums = [oneclass.NeighbourJob(kind, 50, 8).run()['sum'] for kind in ('reference', 'torch')]
    assert sums[1] == pytest.approx(sums[0], rel=1e-5)


def test_each_stage_reads_the_whole_clip(tmp_path):
    folder = oneclass.write_clip(tmp_path, 6)
    assert oneclass.write_clip(tmp_path, 6) == folder
    for stage in oneclass.STAGES:
        assert oneclass.StageJob(str(folder), stage).run() == {'frames': 6}
