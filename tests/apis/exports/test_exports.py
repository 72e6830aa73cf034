import csv
import json
import xml.etree.ElementTree as ET

import numpy as np
import pytest

from tests.datasets.conftest import read_number
from tests.visualization.report.results import result_of, write_video
from vadlab.apis.exports.box_tracks import box_tracks
from vadlab.apis.exports.cvat import cvat_of, write_cvat
from vadlab.apis.exports.event_table import write_event_table
from vadlab.apis.exports.label_studio import has_constant_rate, write_label_studio
from vadlab.apis.exports.webvtt import webvtt_of
from vadlab.datasets.formats.cvat import convert_cvat
from vadlab.datasets.formats.keyframes import track_boxes
from vadlab.datasets.formats.label_studio import convert_label_studio
from vadlab.datasets.video import index_video, read_frames
from vadlab.visualization.box_frames import BoxFrames

UNEVEN = np.cumsum([0, *([0.04, 0.02, 0.1, 0.031] * 10)]).round(3)
HOSTILE = '--> <c.red>&"\'\n]]> 异常'


@pytest.fixture(scope='module')
def result(tmp_path_factory):
    source = write_video(tmp_path_factory.mktemp('in') / 'a.mp4', UNEVEN.tolist(), sound='aac')
    found = result_of('cam/a.mp4', source, UNEVEN)
    labels = ['Road Accident', 'Riot']
    found.events = tuple(type(e)(**{**vars(e), 'label': labels[i]}) for i, e in enumerate(found.events))
    found.boxes.labels = ['a person'] * len(found.boxes.labels)
    return found


def check_annotation(export, result, is_frame_exact):
    """Spans, and the boxes of every frame, are those of the result."""
    (record,) = export.records
    (annotation,) = export.temporal.values()
    assert [tuple(span) for span in annotation.class_intervals] == [(e.label, e.start, e.end) for e in result.events]
    (region,) = record['bbox_info']
    assert region['caption'] == 'a person'
    frames = np.arange(len(result.scores))
    corners, shown = track_boxes(region, frames)
    boxes = BoxFrames(result)
    assert shown.tolist() == [bool(boxes.at(frame)) for frame in frames]
    keys = result.boxes.frame_inds
    expected = np.array([boxes.at(frame)[0].corners for frame in keys]) / [128, 96, 128, 96]
    assert np.abs(corners[keys] - expected).max() < 1e-3
    if is_frame_exact:  # between keyframes, tools interpolate by frame, not by time
        even = np.array([boxes.at(frame)[0].corners for frame in frames]) / [128, 96, 128, 96]
        assert np.abs(corners - even).max() < 1e-3


@pytest.mark.parametrize('is_variable', [True, False])
def test_label_studio_there_and_back_keeps_frames_and_boxes(tmp_path, result, is_variable):
    if not is_variable:
        times = np.arange(41) / 25
        source = write_video(tmp_path / 'even.mp4', times.tolist(), sound='aac')
        even = result_of('cam/a.mp4', source, times)
        even.boxes.labels = result.boxes.labels
        even.events = tuple(type(e)(**{**vars(e), 'label': 'Riot'}) for e in even.events)
        result = even
    assert has_constant_rate(result) is not is_variable
    assert write_label_studio([result], tmp_path / 'ls') == 1
    (task,) = json.loads((tmp_path / 'ls' / 'tasks.json').read_text('utf-8'))
    video = tmp_path / 'ls' / task['data']['video'].partition('?d=')[2]
    # What Label Studio plays: frame f is at (f - 1) / fps, as it counts.
    index = index_video(str(video))
    assert np.abs(index.frame_times - np.arange(41) / task['data']['fps']).max() < 1e-3
    assert [read_number(frame) for frame in read_frames(index, np.arange(41))] == list(range(41))
    # An annotator accepts the prediction and exports.
    (prediction,) = task.pop('predictions')
    exported = {**task, 'annotations': [{'id': 1, 'result': prediction['result']}]}
    (tmp_path / 'export.json').write_text(json.dumps([exported]), 'utf-8')
    export = convert_label_studio(tmp_path / 'export.json', 'a street', lambda name: 41)
    assert export.records[0]['f_path'] == 'cam/a.mp4'
    check_annotation(export, result, not is_variable)


def test_labelling_interface_is_xml_with_all_labels(tmp_path, result):
    write_label_studio([result], tmp_path)
    root = ET.fromstring((tmp_path / 'labeling_config.xml').read_text('utf-8'))
    assert [label.get('value') for label in root.find('TimelineLabels')] == ['anomaly', 'Road Accident', 'Riot']
    assert [label.get('value') for label in root.find('Labels')] == ['anomaly', 'a person']
    assert root.find('Video').get('frameRate') == '$fps'


def test_cvat_there_and_back_keeps_frames_at_a_variable_rate(tmp_path, result):
    path = write_cvat(result, tmp_path)
    export = convert_cvat([path], 'a street')
    assert export.records[0]['f_path'] == 'a.mp4'
    check_annotation(export, result, False)


def test_cvat_by_hand(tmp_path):
    """A task of every second frame from frame 10 on, as CVAT's documentation describes the format."""

    def box(frame, x, outside=0, key=1):
        sides = f'xtl="{x}" ytl="10" xbr="{x + 20}" ybr="30"'
        return f'<box frame="{frame}" {sides} outside="{outside}" keyframe="{key}" occluded="0"/>'

    def task(tracks, name='gate.mp4'):
        return (
            f'<annotations><meta><task><name>t</name><size>50</size><start_frame>10</start_frame>'
            f'<frame_filter>step=2</frame_filter><original_size><width>100</width><height>50</height></original_size>'
            f'<source>{name}</source></task></meta>{tracks}</annotations>'
        )

    person = f'<track id="0" label="a man">{box(3, 0)}{box(4, 5, key=0)}{box(5, 10)}{box(6, 10, 1)}{box(8, 50)}</track>'
    event = f'<track id="1" label="Event: Riot">{box(0, 0)}{box(7, 0, 1)}</track>'
    other = '<track id="2" label="road"><polygon frame="0" points="1,1;2,2"/></track>'
    (tmp_path / 'a.xml').write_text(task(person + event + other))
    export = convert_cvat([tmp_path / 'a.xml'], 'x')
    (record,) = export.records
    first, second = record['bbox_info']
    assert [(k['frame'], k['bbox']) for k in first['keyframes']] == [
        (16, [0, 0.2, 0.2, 0.6]),
        (20, [0.1, 0.2, 0.3, 0.6]),
    ]
    assert (first['start_frame'], first['end_frame']) == (16, 20)
    assert (second['start_frame'], second['end_frame']) == (26, 108)
    assert export.temporal_lines() == 'gate.mp4  Riot  10  23\n'
    assert export.counts['tracks of polygons and other shapes were not read'] == 1


def test_a_box_without_a_track_is_a_track_until_the_next_sampled_frame(result):
    boxes = result.boxes.clone()
    boxes.track_ids = np.full(len(boxes.track_ids), -1)
    alone = type(result)(**{**vars(result), 'boxes': boxes})
    spans = [(track.frames, track.end) for track in box_tracks(alone)]
    assert spans[:2] == [([0], 4), ([4], 8)]
    assert spans[-1] == ([40], 41)
    hole = boxes[np.array([0, 1, 3])]
    hole.track_ids = np.array([7, 7, 7])
    spans = [(track.frames, track.end) for track in box_tracks(type(result)(**{**vars(result), 'boxes': hole}))]
    assert spans == [([0, 4], 8), ([12], 16)]


def test_webvtt_cues_have_times_and_escaped_text(result):
    events = tuple(type(e)(**{**vars(e), 'label': HOSTILE, 'reason': HOSTILE}) for e in result.events)
    text = webvtt_of(type(result)(**{**vars(result), 'events': events}))
    blocks = text.split('\n\n')
    assert blocks[0] == 'WEBVTT'
    assert len(blocks) == 1 + len(events)
    number, times, label, reason = blocks[1].strip().split('\n')
    start = events[0].start_s
    assert times.startswith(f'00:00:0{start:.3f} --> ')
    assert (number, reason) == ('1', '--&gt; &lt;c.red&gt;&amp;"\' ]]&gt; 异常')
    assert label.startswith(reason)


def test_table_of_events_reads_back(tmp_path, result):
    events = tuple(type(e)(**{**vars(e), 'label': HOSTILE}) for e in result.events)
    assert write_event_table([type(result)(**{**vars(result), 'events': events})], tmp_path / 'e.csv') == 2
    with open(tmp_path / 'e.csv', encoding='utf-8', newline='') as file:
        rows = list(csv.DictReader(file))
    assert [(row['video'], row['label'], int(row['start']), int(row['end'])) for row in rows] == [
        ('cam/a.mp4', HOSTILE, e.start, e.end) for e in events
    ]
    assert float(rows[0]['peak_s']) == pytest.approx(UNEVEN[events[0].peak])


def test_hostile_labels_are_valid_xml(result):
    events = tuple(type(e)(**{**vars(e), 'label': HOSTILE + '\x00\x1b'}) for e in result.events)
    root = ET.fromstring(cvat_of(type(result)(**{**vars(result), 'events': events})))
    assert '异常' in root.findall('track')[-1].get('label')
