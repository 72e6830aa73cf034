import csv
import json
import xml.etree.ElementTree as ET

import numpy as np
import pytest

from tests.datasets.conftest import read_number
from tests.datasets.turned_videos import TURNS, write_lopsided
from tests.visualization.report.results import result_of, write_video
from vadlab.apis.exports import cvat
from vadlab.apis.exports.box_tracks import box_tracks
from vadlab.apis.exports.cvat import cvat_of, write_cvat
from vadlab.apis.exports.event_table import write_event_table
from vadlab.apis.exports.label_studio import has_constant_rate, task_of, write_label_studio
from vadlab.apis.exports.webvtt import webvtt_of
from vadlab.datasets.formats.cvat import convert_cvat
from vadlab.datasets.formats.keyframes import shown_spans, track_boxes
from vadlab.datasets.formats.label_studio import convert_label_studio
from vadlab.datasets.video import index_video, read_frames
from vadlab.visualization.box_frames import BoxFrames

UNEVEN = np.cumsum([0, *([0.04, 0.02, 0.1, 0.031] * 10)]).round(3)
HOSTILES = '\x1b --> <c.red>&"\'\n]]> 异常 ', ' {{x}}\t'
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
    (task,) = json.loads((tmp_path / 'tasks.json').read_text('utf-8'))
    assert (task['data']['vadlab_video'], task['data']['vadlab_frames']) == ('cam/a.mp4', 41)


def test_labels_are_the_same_in_interface_and_tasks(tmp_path, result):
    """Control characters are not valid in XML, and an attribute has no line breaks."""
    events = tuple(type(e)(**{**vars(e), 'label': label}) for e, label in zip(result.events, HOSTILES, strict=True))
    write_label_studio([type(result)(**{**vars(result), 'events': events})], tmp_path)
    root = ET.fromstring((tmp_path / 'labeling_config.xml').read_text('utf-8'))
    labels = [label.get('value') for label in root.find('TimelineLabels')]
    assert labels == ['anomaly', '--> <c.red>&"\' ]]> 异常', '{{x}}']
    (task,) = json.loads((tmp_path / 'tasks.json').read_text('utf-8'))
    used = [found['value'].get('timelinelabels') for found in task['predictions'][0]['result']]
    assert [name for names in used if names for name in names] == labels[1:]


def test_a_box_of_one_frame_is_one_keyframe_that_is_not_enabled(tmp_path, result):
    """Label Studio shows a keyframe that is not enabled in its own frame. The model saw every frame here."""
    boxes = result.boxes[np.array([2, 10])]
    boxes.track_ids = np.array([-1, -1])
    every = {'frame_inds': np.arange(41), 'classes': (), 'class_scores': None}
    alone = type(result)(**{**vars(result), **every, 'boxes': boxes, 'events': ()})
    task = task_of(alone, 1, 'videos/a.mp4')
    steps = [found['value']['sequence'] for found in task['predictions'][0]['result']]
    assert [[(step['frame'], step['enabled']) for step in sequence] for sequence in steps] == [
        [(9, False)],
        [(41, False)],
    ]
    exported = {**task, 'annotations': [{'id': 1, 'result': task['predictions'][0]['result']}]}
    (tmp_path / 'export.json').write_text(json.dumps([exported]), 'utf-8')
    (record,) = convert_label_studio(tmp_path / 'export.json', 'a street').records
    assert [shown_spans(region).tolist() for region in record['bbox_info']] == [[[8, 9]], [[40, 41]]]


def test_cvat_there_and_back_keeps_frames_at_a_variable_rate(tmp_path, result):
    assert write_cvat([result], tmp_path) == 1
    export = convert_cvat([tmp_path / 'cam' / 'a.mp4.xml'], 'a street')
    assert export.records[0]['f_path'] == 'cam/a.mp4'  # by the name of the task
    check_annotation(export, result, False)


def test_cvat_labels_are_those_of_all_videos(tmp_path, result):
    other = type(result)(**{**vars(result), 'name': 'b.mp4', 'events': (), 'boxes': result.boxes.clone()})
    other.boxes.labels = ['a dog'] * len(other.boxes.labels)
    assert write_cvat([result, other], tmp_path) == 2
    labels = json.loads((tmp_path / 'labels.json').read_text('utf-8'))
    names = ['anomaly', 'event: anomaly', 'a person', 'event: Road Accident', 'event: Riot', 'a dog']
    assert labels == [{'name': name, 'attributes': []} for name in names]
    used = {
        track.get('label')
        for name in ('cam/a.mp4', 'b.mp4')
        for track in ET.parse(tmp_path / f'{name}.xml').getroot().findall('track')
    }
    assert used <= set(names)


def test_cvat_labels_have_at_most_64_characters(tmp_path, result, monkeypatch):
    """The limit of CVAT's API. Prompts may be longer, and two of them begin alike."""
    prompts = [
        'a person who lies on the floor of a long corridor near the door and ' + end for end in ('waves', 'sleeps')
    ]
    events = tuple(type(e)(**{**vars(e), 'label': text}) for e, text in zip(result.events, prompts, strict=True))
    warnings = []
    monkeypatch.setattr(cvat, 'log', lambda text, *_: warnings.append(text))
    write_cvat([type(result)(**{**vars(result), 'events': events})], tmp_path)
    names = [label['name'] for label in json.loads((tmp_path / 'labels.json').read_text('utf-8'))]
    assert max(map(len, names)) == 64
    long = [name for name in names if len(name) == 64]
    assert len(set(long)) == 2
    assert all(name.startswith('event: a person who lies on the floor of a long corrido~') for name in long)
    tracks = ET.parse(tmp_path / 'cam' / 'a.mp4.xml').getroot().findall('track')
    assert {track.get('label') for track in tracks} == {'a person', *long}
    assert [text[:33] for text in warnings] == ['2 labels are longer than the 64 c']


@pytest.mark.parametrize(
    ('turn', 'shown', 'stored'), [('upright', (64, 144), (64, 96)), ('rot90', (144, 64), (96, 64))]
)
def test_cvat_boxes_are_in_stored_pixels(tmp_path, turn, shown, stored):
    """CVAT turns pictures upright, but shows pixels that are not square as squares. Sizes by hand."""
    path = write_lopsided(tmp_path / 'a.mp4', aspect='3/2', matrix=TURNS[turn][0])
    index = index_video(str(path))
    assert (index.height, index.width) == shown
    result = result_of('a.mp4', path, index.frame_times, size=shown)
    result.boxes.boxes_xyxy[:] = [0.5 * shown[1], 0.25 * shown[0], 0.75 * shown[1], 0.5 * shown[0]]
    write_cvat([result], tmp_path)
    box = ET.parse(tmp_path / 'a.mp4.xml').getroot().find('track[@label="person <b>"]/box')
    sides = [float(box.get(side)) for side in ('xtl', 'ytl', 'xbr', 'ybr')]
    assert sides == [0.5 * stored[1], 0.25 * stored[0], 0.75 * stored[1], 0.5 * stored[0]]
    size = ET.parse(tmp_path / 'a.mp4.xml').getroot().find('meta/task/original_size')
    assert (int(size.findtext('height')), int(size.findtext('width'))) == stored
    ((region, *_),) = [record['bbox_info'] for record in convert_cvat([tmp_path / 'a.mp4.xml'], 'x').records]
    assert region['keyframes'][0]['bbox'] == [0.5, 0.25, 0.75, 0.5]


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
        ('cam/a.mp4', f"'{HOSTILE}", e.start, e.end)
        for e in events  # it begins with a minus
    ]
    assert float(rows[0]['peak_s']) == pytest.approx(UNEVEN[events[0].peak])


def test_a_spreadsheet_program_runs_no_text_of_the_table(tmp_path, result):
    texts = ['=1+1', '+1', '-1', '@SUM(1)', '\t=1', '\r=1', 'a=1', '']
    events = tuple(type(e)(**{**vars(e), 'label': text, 'reason': text}) for text in texts for e in result.events[:1])
    table = [type(result)(**{**vars(result), 'name': name, 'events': events}) for name in ('=a.mp4', 'a.mp4')]
    write_event_table(table, tmp_path / 'e.csv')
    with open(tmp_path / 'e.csv', encoding='utf-8', newline='') as file:
        rows = list(csv.DictReader(file))
    expected = ["'=1+1", "'+1", "'-1", "'@SUM(1)", "'\t=1", "'\r=1", 'a=1', '']
    assert [row['label'] for row in rows] == [row['reason'] for row in rows] == expected * 2
    assert {row['video'] for row in rows} == {"'=a.mp4", 'a.mp4'}


def test_hostile_labels_are_valid_xml(result):
    events = tuple(type(e)(**{**vars(e), 'label': HOSTILE + '\x00\x1b'}) for e in result.events)
    root = ET.fromstring(cvat_of(type(result)(**{**vars(result), 'events': events})))
    assert '异常' in root.findall('track')[-1].get('label')
