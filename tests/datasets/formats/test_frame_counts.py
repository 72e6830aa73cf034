import json

import pytest

from vadlab.datasets.formats.frame_counts import possible_snippets, read_frame_counts
from vadlab.utils.errors import DataError, MissingFileError


def test_counts_by_video_id(tmp_path):
    path = tmp_path / 'frames.json'
    path.write_text('{"Abuse/Abuse028_x264.mp4": 1408, "b": 3}')
    assert read_frame_counts(path) == {'Abuse028_x264': 1408, 'b': 3}


@pytest.mark.parametrize(
    ('content', 'message'),
    [
        ('[1]', 'got a list'),
        ('{"a": 0, "b": 2}', '1 of 2 frame counts are not whole numbers from 1 to'),
        ('{"a": true}', 'not whole numbers'),
        ('{"a": 1, "x/a.mp4": 2}', 'names 1 videos twice'),
        ('{', 'is not valid JSON'),
    ],
)
def test_files_that_cannot_be_used(tmp_path, content, message):
    path = tmp_path / 'frames.json'
    path.write_text(content)
    with pytest.raises(DataError, match=message):
        read_frame_counts(path)
    with pytest.raises(MissingFileError, match='There is no file'):
        read_frame_counts(tmp_path / 'none.json')


def test_possible_snippets_are_the_three_public_rules():
    for frames in range(1, 100):
        rules = {frames // 16, -(-frames // 16), (frames - 1) // 16}
        assert {max(n, 1) for n in rules} == set(possible_snippets(frames)), frames
        floored = max(frames // 16 * 16, 16)
        if frames >= 16:
            assert rules <= set(possible_snippets(floored, is_rounded=True)) | {0}, frames
    assert json.dumps(list(possible_snippets(96, 8))) == '[11, 12]'


def test_counts_that_no_memory_holds_are_refused(tmp_path):
    (tmp_path / 'frames.json').write_text('{"a": 1000000000000}')
    with pytest.raises(DataError, match=r'whole numbers from 1 to 100,000,000 \(first: a: 1000000000000\)'):
        read_frame_counts(tmp_path / 'frames.json')
