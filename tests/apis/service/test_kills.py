"""The service as a program: many uploads at once, and SIGKILL in between."""

import sys
from collections import Counter
from pathlib import Path

import pytest

from .load import MAX_BYTES, check_load, free_port, run_load, write_uploads

PROGRAM = Path(__file__).parent / 'fake_service.py'


@pytest.mark.parametrize(
    ('count', 'kills'),
    [
        pytest.param(30, 3, marks=pytest.mark.slow),
        pytest.param(200, 10, marks=pytest.mark.thorough),
    ],
)
def test_every_accepted_job_ends_once_however_often_the_service_is_killed(tmp_path, video, monkeypatch, count, kills):
    monkeypatch.setenv('PYTHONPATH', str(Path(__file__).parents[3]))
    files, port, log = write_uploads(tmp_path / 'files', video, count), free_port(), tmp_path / 'begun.log'
    command = [sys.executable, str(PROGRAM), str(tmp_path / 'data'), str(port), str(MAX_BYTES), '20', str(log)]
    load = run_load(command, port, files, kills)
    check_load(load, files, tmp_path / 'data')
    assert load.kills == kills
    begun = Counter(log.read_text().split())
    assert begun.keys() == set(load.accepted.values())
    assert sum(begun.values()) <= len(begun) + kills  # only what was being scored at a kill is scored again
