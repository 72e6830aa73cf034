import shutil

import pytest

from .test_benchmark import benchmark  # puts the benchmark's folder on the path

from benchmarks import prepare  # isort: skip

pytest.importorskip('librosa')


@pytest.mark.skipif(shutil.which('ffmpeg') is None, reason='the ffmpeg program is not installed')
def test_plain_preparation_keeps_the_same_frames(tmp_path):
    paths = [str(path) for path in prepare.clip_files(tmp_path, 1, 40, 10)]
    jobs = [prepare.PrepareJob(kind, paths) for kind in ('plain', 'vadlab', 'scale')]
    plain, ours, thrown_away = (job.run() for job in jobs)
    assert ours == plain
    assert len(ours['frames_sha256']) == 64
    assert thrown_away == {}
    for job in jobs:
        job.finish()


def test_without_ffmpeg_there_is_nothing_to_compare_with(tmp_path, monkeypatch):
    monkeypatch.setattr(prepare.shutil, 'which', lambda name: None)
    assert 'the ffmpeg program is not installed' in prepare.run(tmp_path).errors[0]
    assert 'prepare' in benchmark.SECTIONS
