import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / 'tools'))
from benchmarks import beam


@pytest.mark.parametrize('kind', ['kept', 'shared', 'ours'])
def test_captions_and_scores_equal_those_of_whole_prefixes(kind):
    plain, other = (beam.BeamJob(name, 'tiny', images=3).run() for name in ('prefix', kind))
    assert beam.compare(plain, other, 'case') == []


def test_no_caption_ends_before_its_time():
    words = beam.BeamJob('ours', 'tiny', images=3).run()['words'].split()
    assert len(words) == 3 * 5 * 20
    assert '0' not in words


def test_what_differs_is_reported():
    right = dict(words='4 5', scores='-10.000000 -20.000000')
    assert beam.compare(right, dict(right, scores='-10.000050 -20.0'), 'case') == []
    assert beam.compare(right, dict(right, scores='-10.001 -20.0'), 'case') == ['beam, case: scores differ by 0.0001']
    assert beam.compare(right, dict(right, words='4 6'), 'case') == ['beam, case: other captions are found']


@pytest.mark.slow
def test_section_reports_every_contestant():
    report = beam.run(runs=1, size='tiny', batches=(2,))
    assert [row.name for row in report.rows] == list(beam.KINDS)
    assert report.errors == []
    assert [target.name for target in report.targets] == ['beam, 2 images, 5 beams of 20 words: times as fast']
