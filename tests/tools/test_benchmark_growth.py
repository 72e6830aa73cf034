import sys
from pathlib import Path

import cv2

sys.path.insert(0, str(Path(__file__).parents[2] / 'tools'))
from benchmarks import growth
from benchmarks.harness import Row, Spread


def measured(section, case, entries, runs):
    """In place of a process: a second per frame, and 10 MiB per frame of a chunk."""
    (entry,) = entries
    options = entry.options
    frames = options['videos'] * options['frames']
    chunk = frames if options['chunk'] is None else options['chunk'] * options['frames']
    return [Row(section, case, entry.name, runs, cpu_s=Spread(frames, frames, frames), activation_mib=10 * chunk)]


def test_sizes_are_measured_and_drawn(monkeypatch, tmp_path):
    monkeypatch.setattr(growth, 'compete', measured)
    report = growth.run(tmp_path, frames=(16, 32), videos=(2, 4), arch='tiny', runs=1)
    assert [(row.case, row.details['frames'], row.activation_mib) for row in report.rows] == [
        (growth.PLAIN, 32, 320),
        (growth.PLAIN, 64, 640),
        (growth.CACHE, 16, 160),
        (growth.CACHE, 32, 160),
    ]
    picture = cv2.imread(str(tmp_path / 'growth.png'))
    assert picture.std() > 10


def test_size_that_fails_is_an_error_and_draws_nothing(monkeypatch, tmp_path):
    def fails(section, case, entries, runs):
        return [Row(section, case, entries[0].name, note='out of memory')]

    monkeypatch.setattr(growth, 'compete', fails)
    report = growth.run(tmp_path, frames=(16,), videos=(), arch='tiny')
    assert report.errors == [f'growth, {growth.PLAIN}, 16 frames: out of memory']
    assert not (tmp_path / 'growth.png').exists()
