import json
import tempfile
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vadlab.datasets.formats.keyframes import shown_spans
from vadlab.datasets.formats.label_studio import convert_label_studio
from vadlab.datasets.formats.region_annotations import RecordParser
from vadlab.datasets.formats.temporal_annotations import read_temporal_annotations
from vadlab.utils.errors import ConfigError, DataError, MissingFileError


def step(frame, enabled=True, x=10.0, rotation=0):
    return dict(frame=frame, enabled=enabled, x=x, y=20.0, width=30.0, height=40.0, rotation=rotation, time=frame / 25)


def track(key, sequence, **more):
    value = dict(framesCount=100, duration=4.0, sequence=sequence, labels=['Person'])
    return dict(id=key, type='videorectangle', from_name='box', to_name='video', value=value, **more)


def text(key, *lines):
    return dict(id=key, type='textarea', from_name='caption', to_name='video', value=dict(text=list(lines)))


def timeline(key, start, end, *labels):
    return dict(
        id=key,
        type='timelinelabels',
        from_name='when',
        value=dict(ranges=[dict(start=start, end=end)], timelinelabels=list(labels)),
    )


def choice(*names, from_name='kind', key='c'):
    return dict(id=key, type='choices', from_name=from_name, value=dict(choices=list(names)))


def converted(path, *args, **options):
    export = convert_label_studio(path, *args, **options)
    return export.records, export.counts


@pytest.fixture
def export(write_json):
    def write(results, video='/data/upload/1/0a1b2c3d-Abuse001_x264.mp4', **annotation):
        return write_json([dict(id=1, data=dict(video=video), annotations=[dict(id=1, result=results, **annotation)])])

    return write


def test_conversion_by_hand(export):
    results = [track('a', [step(1), step(51, False, x=20.0)]), text('a', '一个男人'), text('g', 'A man', 'walks.')]
    [record], counts = converted(export(results))
    assert record == {
        'f_path': 'Abuse001_x264.mp4',
        'global_caption': 'A man walks.',
        'bbox_info': [
            {
                'caption': '一个男人',
                'start_frame': 0,
                'end_frame': 50,
                'keyframes': [
                    {'frame': 0, 'bbox': [0.1, 0.2, 0.4, 0.6], 'enabled': True},
                    {'frame': 50, 'bbox': [0.2, 0.2, 0.5, 0.6], 'enabled': False},
                ],
            }
        ],
    }
    assert (counts['videos'], counts['regions']) == (1, 1)
    RecordParser().parse([('record 0', record)], 'export')


def test_open_track_goes_on_to_the_end(export):
    [record], _ = converted(export([track('a', [step(11)]), text('g', 'x')]))
    assert shown_spans(record['bbox_info'][0]).tolist() == [[10, 100]]


@pytest.mark.parametrize(
    ('extra', 'expected'),
    [
        (dict(meta=dict(text=['a note'])), 'a note'),
        (dict(), 'Person'),
    ],
)
def test_caption_from_note_or_label(export, extra, expected):
    [record], _ = converted(export([track('a', [step(1)], **extra), text('g', 'x')]))
    assert record['bbox_info'][0]['caption'] == expected


def test_frames_are_rescaled_to_the_true_length(export):
    results = [track('a', [step(1), step(51, False)]), text('g', 'x')]
    [record], counts = converted(export(results), true_frames=lambda name: 200)
    assert [k['frame'] for k in record['bbox_info'][0]['keyframes']] == [0, 100]
    assert counts['tracks rescaled to the true number of frames'] == 1
    [record], counts = converted(export(results), true_frames=lambda name: 101)
    assert [k['frame'] for k in record['bbox_info'][0]['keyframes']] == [0, 50]
    assert not counts['tracks rescaled to the true number of frames']


@pytest.mark.parametrize(
    ('url', 'name'),
    [
        ('/data/local-files/?d=Videos/Abuse/Abuse001_x264.mp4', 'Abuse001_x264.mp4'),
        ('s3://bucket/Normal%20Videos/N%201.mp4', 'N 1.mp4'),
        ('https://host/v/x.mp4?token=1', 'x.mp4'),
        ('https://host/v/x.mp4?d=3', 'x.mp4'),
        # Eight hexadecimal digits are a prefix of Label Studio's only where it says that the file was uploaded.
        ('/data/upload/1/0a1b2c3d-gate.mp4', 'gate.mp4'),
        ('https://host/data/upload/1/20240131-20240201-gate.mp4', '20240201-gate.mp4'),
        ('/data/local-files/?d=cctv/20240131-gate.mp4', '20240131-gate.mp4'),
        ('/data/local-files/?d=cctv%5C20240131-gate.mp4', '20240131-gate.mp4'),
        ('s3://bucket/cctv/20240131-gate.mp4', '20240131-gate.mp4'),
    ],
)
def test_file_names(export, url, name):
    [record], _ = converted(export([text('g', 'x')], video=url))
    assert record['f_path'] == name


def test_what_one_should_know_is_counted(write_json):
    def task(*annotations):
        return dict(id=1, data=dict(video='v.mp4'), annotations=list(annotations))

    old = dict(id=1, updated_at='2024-01-01', result=[text('g', 'old')])
    new = dict(
        id=2, updated_at='2024-02-01', result=[text('g', 'new'), track('a', [step(1, rotation=9)]), track('b', [])]
    )
    path = write_json([task(old, new), task(dict(id=3, was_cancelled=True, result=[]))])
    [record], counts = converted(path)
    assert record['global_caption'] == 'new'
    assert counts['tasks with several annotations, the newest taken'] == 1
    assert counts['tasks without an annotation left out'] == 1
    assert counts['boxes whose rotation is ignored'] == 1
    assert counts['tracks without a keyframe left out'] == 1


def test_spans_of_time_become_a_temporal_annotation(export, tmp_path):
    results = [timeline('q', 10, 30, 'fight'), timeline('r', 41, 41, 'fight', 'riot'), text('g', 'two people fight')]
    found = convert_label_studio(export(results, video='/data/upload/1/0a1b2c3d-gate 1.mp4'))
    assert found.records == [dict(f_path='gate 1.mp4', global_caption='two people fight', bbox_info=[])]
    assert found.counts['spans of time'] == 3
    path = tmp_path / 'temporal.txt'
    path.write_text(found.temporal_lines())
    [(video_id, annotation)] = read_temporal_annotations(path).items()
    assert (video_id, annotation.class_name) == ('gate 1', 'fight')
    assert list(annotation.class_intervals) == [('fight', 9, 30), ('fight', 40, 41), ('riot', 40, 41)]


def test_spans_are_rescaled_with_the_video_or_refused(export):
    results = [timeline('q', 51, 100, 'fight'), track('a', [step(1)]), text('g', 'x')]
    found = convert_label_studio(export(results), true_frames=lambda name: 200)
    assert found.temporal['Abuse001_x264.mp4'].intervals.tolist() == [[100, 200]]
    results = [timeline('q', 51, 100, 'fight'), text('g', 'x')]
    with pytest.raises(DataError, match='the span from frame 51 to 100 lies outside the video of 60 frames'):
        convert_label_studio(export(results), true_frames=lambda name: 60)


def test_a_span_of_normal_frames_is_no_anomaly(export):
    results = [timeline('q', 1, 10, 'fight'), timeline('r', 11, 30, 'Normal'), text('g', 'x')]
    for order in (results, [results[1], results[0], results[2]]):
        found = convert_label_studio(export(order))
        assert found.temporal_lines() == 'Abuse001_x264.mp4  fight  0  10\n'
        assert found.counts['spans of normal frames left out: a temporal annotation lists anomalous ones'] == 1
    found = convert_label_studio(export(results[1:]))
    assert found.temporal_lines() == 'Abuse001_x264.mp4  Normal  -1  -1\n'


@pytest.mark.parametrize(
    ('result', 'message'),
    [
        (timeline('q', 50, 5, 'fight'), r'result\[0\] ends before it starts: 50 to 5'),
        (track('a', [step(1), dict(frame=20, enabled=False)]), r'result\[0\].value.sequence.* has no'),
    ],
)
def test_results_of_another_shape_are_refused(export, result, message):
    with pytest.raises(DataError, match=message):
        convert_label_studio(export([result, text('g', 'x')]))


def test_what_nobody_submitted_is_told(write_json):
    draft = dict(id=1, data=dict(video='a.mp4'), annotations=[], drafts=[dict(result=[timeline('q', 1, 2, 'fight')])])
    with pytest.raises(DataError, match='not one of 1 tasks has an annotation that was submitted'):
        convert_label_studio(write_json([draft]))
    done = dict(id=2, data=dict(video='b.mp4'), annotations=[dict(id=1, result=[text('g', 'x')])])
    assert convert_label_studio(write_json([draft, done])).counts['tasks with drafts, which were not read'] == 1


def test_track_without_boxes_is_a_span(export):
    steps = [dict(frame=11, enabled=True), dict(frame=21, enabled=False), dict(frame=31, enabled=True)]
    found = convert_label_studio(export([track('a', steps), text('g', 'x')]))
    assert list(found.temporal['Abuse001_x264.mp4'].class_intervals) == [('Person', 10, 21), ('Person', 30, 100)]
    assert found.records[0]['bbox_info'] == []


def test_choices_are_classes_and_boxes_give_their_frames(write_json):
    def task(number, video, *results):
        return dict(id=number, data=dict(video=video), annotations=[dict(id=1, result=[*results, text('g', 'x')])])

    boxes = track('a', [step(11), step(21, False)])
    tasks = [task(1, 'a.mp4', choice('Riot'), boxes), task(2, 'b.mp4', choice('Normal'))]
    found = convert_label_studio(write_json([*tasks, task(3, 'Arson001.mp4', boxes), task(4, 'c.mp4')]))
    assert found.temporal_lines() == 'a.mp4  Riot  10  21\nb.mp4  Normal  -1  -1\nArson001.mp4  Arson  10  21\n'
    found = convert_label_studio(write_json([*tasks, task(3, 'd.mp4', boxes)]))
    assert found.counts['videos with boxes and no class: add their lines to the temporal annotation'] == 1
    found = convert_label_studio(write_json([*tasks, task(3, 'Fighting033_x264.mp4')]))  # nothing was found in it
    assert list(found.temporal) == ['a.mp4', 'b.mp4']
    left_out = 'videos without a span of time whose file name has a class: left out of the temporal annotation'
    assert found.counts[left_out] == 1
    path = write_json([*tasks, task(3, 'e.mp4', choice('Theft'))])
    with pytest.raises(DataError, match=r'1 videos have a class, but neither .*first: e.mp4 .Theft'):
        convert_label_studio(path)
    found = convert_label_studio(path, class_field='')
    assert found.temporal == {}
    assert found.counts['choices of the field kind were not read (--class-field kind takes them as the class)'] == 3
    with pytest.raises(DataError, match='the classes riot and Riot differ in capital letters only'):
        convert_label_studio(
            write_json([task(1, 'a.mp4', timeline('q', 1, 2, 'riot')), task(2, 'b.mp4', choice('Riot'))])
        )


def test_one_of_several_fields_of_choices_is_the_class(export):
    results = [choice('Riot'), choice('night', from_name='light'), timeline('q', 1, 4, 'Riot'), text('g', 'x')]
    found = convert_label_studio(export(results))
    assert sum(count for what, count in found.counts.items() if 'were not read' in what) == 2
    found = convert_label_studio(export(results), class_field='kind')
    assert found.counts["choices of the field kind were taken as the video's class"] == 1
    with pytest.raises(ConfigError, match="of the field 'class'. Fields: kind, light"):
        convert_label_studio(export(results), class_field='class')


@given(st.lists(st.sampled_from(['brushlabels', 'relation', 'rating', 'ellipselabels', 'labels']), max_size=6))
def test_every_result_that_is_not_read_is_counted_by_its_kind(kinds):
    results = [dict(id=f'k{i}', type=kind, value={}) for i, kind in enumerate(kinds)]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, 'export.json')
        task = dict(id=1, data=dict(video='v.mp4'), annotations=[dict(id=1, result=[*results, text('g', 'x')])])
        path.write_text(json.dumps([task]))
        _, counts = converted(path)
    assert {k: counts[f'results of type {k} were not read'] for k in set(kinds)} == Counter(kinds)


def test_two_tasks_of_one_video_are_refused(write_json):
    tasks = [
        dict(
            id=i,
            data=dict(video=f'/data/upload/1/0a1b2c3{i}-gate.mp4'),
            annotations=[dict(id=i, result=[text('g', 'x')])],
        )
        for i in range(2)
    ]
    with pytest.raises(DataError, match='several tasks are of one video .gate.mp4'):
        convert_label_studio(write_json(tasks))


def test_missing_captions(export):
    path = export([track('a', [step(1)])])
    with pytest.raises(DataError, match=r'1 videos have no caption \(first: Abuse001_x264.mp4'):
        convert_label_studio(path)
    [record], _ = converted(path, default_caption='a scene')
    assert record['global_caption'] == 'a scene'


def test_other_files(write_json, tmp_path):
    with pytest.raises(MissingFileError, match='no file'):
        convert_label_studio(tmp_path / 'none.json')
    with pytest.raises(DataError, match='not as "JSON-MIN"'):
        convert_label_studio(write_json([dict(video='v.mp4', box=[])]))
    with pytest.raises(DataError, match='does not name a video file'):
        convert_label_studio(write_json([dict(id=7, data=dict(a='b'), annotations=[dict(result=[])])]))


def test_a_keyframe_outside_the_video_is_refused(export):
    with pytest.raises(DataError, match='Abuse001_x264.mp4: a box has a keyframe at frame 102, but the video has 100'):
        converted(export([track('a', [step(1), step(102)])]))
    with pytest.raises(DataError, match=r'result\[0\].value.sequence has the frame 0; Label Studio counts from 1'):
        converted(export([track('a', [step(0), step(5)])]))
    # framesCount comes from a rounded duration, so it may be too small by one.
    [record], _ = converted(export([track('a', [step(1), step(101)]), text('g', 'A man')]))
    assert record['bbox_info'][0]['end_frame'] == 100


@pytest.mark.parametrize('frames', [[], [step(31), step(41, False)]])
def test_a_keyframe_that_ends_nothing_is_shown_in_its_frame(export, frames):
    """As Label Studio 1.23 shows it: hidden in frame 11, the first keyframe, but drawn in it. Frames from 1."""
    results = [track('a', [step(11, False), *frames]), track('b', [step(1), step(3, False), step(21, False)])]
    [record], _ = converted(export([*results, text('g', 'x')]))
    spans = sorted(span for region in record['bbox_info'] for span in shown_spans(region).tolist())
    assert spans == [[0, 3], [10, 11], [20, 21], *([[30, 41]] if frames else [])]
    steps = [dict(frame=11, enabled=False), dict(frame=21, enabled=True), dict(frame=31, enabled=False)]
    found = convert_label_studio(export([track('a', steps), text('g', 'x')]), true_frames=lambda name: 100)
    assert found.temporal_lines().split()[1:] == ['Person', '10', '11', 'Person', '20', '31']


def test_a_box_that_was_drawn_with_a_label_of_the_timeline(export):
    """As Label Studio 1.23 exports it; a box whose label is also one of the timeline comes twice."""
    drawn = track('a', [step(11)])
    drawn['type'], drawn['value']['timelinelabels'] = 'timelinelabels', ['Riot']
    del drawn['value']['labels']
    both = track('b', [step(1), step(6, False)])
    again = dict(both, type='timelinelabels', value=dict(both['value'], timelinelabels=['Person']))
    [record], counts = converted(export([drawn, both, again, timeline('t', 1, 5, 'Riot'), text('g', 'x')]))
    assert sorted((region['caption'], *shown_spans(region).tolist()) for region in record['bbox_info']) == [
        ('Person', [0, 6]),
        ('Riot', [10, 100]),
    ]
    assert counts['boxes that were drawn with a label of the timeline'] == 1
    assert not [text for text, count in counts.items() if count and 'not read' in text]


def test_a_task_of_vadlab_has_the_number_of_frames_of_its_video(write_json):
    def path(results):
        data = dict(video='/data/local-files/?d=videos/a.mp4', vadlab_video='cam/a.mp4', vadlab_frames=100)
        return write_json([dict(id=1, data=data, annotations=[dict(id=1, result=[*results, text('g', 'x')])])])

    boxes = [track('a', [step(11)]), timeline('t', 91, 100, 'Riot')]
    export = convert_label_studio(path(boxes))
    assert export.temporal_lines() == 'cam/a.mp4  Riot  90  100\n'
    with pytest.raises(DataError, match=r'span from frame 91 to 150 lies outside the video of 100 frames'):
        convert_label_studio(path([timeline('t', 91, 150, 'Riot')]))  # no box that tells the length
    boxes[0]['value']['framesCount'] = 80
    with pytest.raises(DataError, match=r'cam/a.mp4: Label Studio counted 80 frames, but the video has 100'):
        convert_label_studio(path(boxes))
    with pytest.raises(DataError, match='has 99 frames, but had 100 when it was scored'):
        convert_label_studio(path(boxes), true_frames=lambda name: 99)


def test_a_video_without_any_result_is_counted_if_others_have_events(write_json):
    tasks = [
        dict(id=1, data=dict(video='/v/a.mp4'), annotations=[dict(id=1, result=[timeline('t', 1, 5, 'Riot')])]),
        dict(id=2, data=dict(video='/v/b.mp4'), annotations=[dict(id=2, result=[])]),
    ]
    export = convert_label_studio(write_json(tasks), 'x')
    assert (list(export.temporal), [record['f_path'] for record in export.records]) == (['a.mp4'], ['a.mp4', 'b.mp4'])
    assert export.counts['videos without a class, a span of time or a box: left out of the temporal annotation'] == 1


def test_a_project_of_images_is_refused(write_json):
    box = dict(id='q', type='rectanglelabels', value=dict(x=1, y=1, width=5, height=5, rectanglelabels=['a']))
    task = dict(id=7, data=dict(image='/data/upload/1/x.jpg'), annotations=[dict(id=1, result=[box])])
    with pytest.raises(DataError, match=r'task 7: its data does not name a video file\. Is it a project of videos'):
        convert_label_studio(write_json([task]), 'x')
