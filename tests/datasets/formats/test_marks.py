import json

import pytest

from vadlab.datasets.formats.marks import convert_marks
from vadlab.datasets.formats.temporal_annotations import read_temporal_annotations
from vadlab.utils.errors import DataError


def mark(kind, start, end, label=None):
    return {'kind': kind, 'start': start, 'end': end, 'label': label, 'threshold': 0.5}


def export(path, *videos):
    content = [{'video': name, 'reviewed': done, 'marks': marks} for name, done, marks in videos]
    path.write_text(json.dumps({'format': 'vadlab marks', 'version': 1, 'report': 'x', 'videos': content}))
    return path


def test_reviewed_videos_become_a_temporal_annotation_that_reads_back(tmp_path):
    events = [mark('missed', 2, 5), mark('correct', 10, 20, 'Road Accident'), mark('false alarm', 30, 40, 'Riot')]
    alarm = [mark('false alarm', 1, 2)]
    videos = ('cam 1/a.mp4', True, events), ('b.mp4', True, alarm), ('c.mp4', False, [])
    path = export(tmp_path / 'm.json', *videos)
    found = convert_marks([path], 'Theft')
    assert found.temporal_lines() == 'cam 1/a.mp4  Theft  2  5  Road Accident  10  20\nb.mp4  Normal  -1  -1\n'
    assert dict(found.counts) == {
        'events were missed': 1,
        'events were correct': 1,
        'events were false alarms': 2,
        'videos without the mark "reviewed" were skipped': 1,
    }
    (tmp_path / 'a.txt').write_text(found.temporal_lines())
    read = read_temporal_annotations(tmp_path / 'a.txt')
    assert [annotation.intervals.tolist() for annotation in read.values()] == [[[2, 5], [10, 20]], []]


def test_of_two_exports_the_later_counts(tmp_path):
    first = export(tmp_path / '1.json', ('a.mp4', True, [mark('correct', 1, 9, 'Riot')]))
    second = export(tmp_path / '2.json', ('a.mp4', True, []))
    assert convert_marks([first, second]).temporal_lines() == 'a.mp4  Normal  -1  -1\n'


@pytest.mark.parametrize(
    ('videos', 'message'),
    [
        ([('a.mp4', True, [mark('missed', 1, 2)])], 'has no class'),
        ([('a.mp4', True, [mark('correct', 1, 2, 'Normal')])], 'class .Normal.'),
        ([('a.mp4', True, [mark('correct', 5, 5, 'Riot')])], 'not one of a report'),
        ([('a.mp4', True, [mark('like', 1, 5, 'Riot')])], 'not one of a report'),
        ([('a.mp4', False, [])], 'no video is marked as reviewed'),
        ([('cam 1', True, [])], 'no file extension'),
    ],
)
def test_unusable_marks_are_named(tmp_path, videos, message):
    with pytest.raises(DataError, match=rf'm\.json: .*{message}'):
        convert_marks([export(tmp_path / 'm.json', *videos)])


def test_another_file_is_named(tmp_path):
    (tmp_path / 'm.json').write_text('{"format": "x", "version": 1, "videos": []}')
    with pytest.raises(DataError, match='another format'):
        convert_marks([tmp_path / 'm.json'])


@pytest.mark.parametrize(
    ('name', 'label'), [('a.mp4', 'a man with 2 dogs'), ('a.mp4', '3'), ('a\nb.mp4', 'Riot'), ('a\u2028b.mp4', 'Riot')]
)
def test_what_would_be_read_as_something_else_is_not_written(tmp_path, name, label):
    """Oracle: the reader of the annotation."""
    found = convert_marks([export(tmp_path / 'm.json', (name, True, [mark('correct', 1, 9, label)]))])
    with pytest.raises(DataError, match='cannot be written, since its line would be read as something else'):
        found.temporal_lines()


def test_a_prompt_as_a_class_reads_back(tmp_path):
    words = 'a person  lying on the floor'
    found = convert_marks([export(tmp_path / 'm.json', ('my cam.mp4', True, [mark('correct', 1, 9, words)]))])
    (tmp_path / 'a.txt').write_text(found.temporal_lines())
    (read,) = read_temporal_annotations(tmp_path / 'a.txt').items()
    assert read[0] == 'my cam'
    assert read[1].class_intervals == (('a person lying on the floor', 1, 9),)
