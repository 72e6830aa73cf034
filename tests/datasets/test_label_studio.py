import pytest

from vadlab.datasets.keyframes import shown_spans
from vadlab.datasets.label_studio import convert_label_studio
from vadlab.datasets.region_annotations import RecordParser
from vadlab.utils.errors import DataError, MissingFileError


def step(frame, enabled=True, x=10.0, rotation=0):
    return dict(frame=frame, enabled=enabled, x=x, y=20.0, width=30.0, height=40.0, rotation=rotation, time=frame / 25)


def track(key, sequence, **more):
    value = dict(framesCount=100, duration=4.0, sequence=sequence, labels=['Person'])
    return dict(id=key, type='videorectangle', from_name='box', to_name='video', value=value, **more)


def text(key, *lines):
    return dict(id=key, type='textarea', from_name='caption', to_name='video', value=dict(text=list(lines)))


@pytest.fixture
def export(write_json):
    def write(results, video='/data/upload/1/0a1b2c3d-Abuse001_x264.mp4', **annotation):
        return write_json([dict(id=1, data=dict(video=video), annotations=[dict(id=1, result=results, **annotation)])])

    return write


def test_conversion_by_hand(export):
    results = [track('a', [step(1), step(51, False, x=20.0)]), text('a', '一个男人'), text('g', 'A man', 'walks.')]
    [record], counts = convert_label_studio(export(results))
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
    [record], _ = convert_label_studio(export([track('a', [step(11)]), text('g', 'x')]))
    assert shown_spans(record['bbox_info'][0]).tolist() == [[10, 100]]


@pytest.mark.parametrize(
    ('extra', 'expected'),
    [
        (dict(meta=dict(text=['a note'])), 'a note'),
        (dict(), 'Person'),
    ],
)
def test_caption_from_note_or_label(export, extra, expected):
    [record], _ = convert_label_studio(export([track('a', [step(1)], **extra), text('g', 'x')]))
    assert record['bbox_info'][0]['caption'] == expected


def test_frames_are_rescaled_to_the_true_length(export):
    results = [track('a', [step(1), step(51, False)]), text('g', 'x')]
    [record], counts = convert_label_studio(export(results), true_frames=lambda name: 200)
    assert [k['frame'] for k in record['bbox_info'][0]['keyframes']] == [0, 100]
    assert counts['tracks rescaled to the true number of frames'] == 1
    [record], counts = convert_label_studio(export(results), true_frames=lambda name: 101)
    assert [k['frame'] for k in record['bbox_info'][0]['keyframes']] == [0, 50]
    assert not counts['tracks rescaled to the true number of frames']


@pytest.mark.parametrize(
    ('url', 'name'),
    [
        ('/data/local-files/?d=Videos/Abuse/Abuse001_x264.mp4', 'Abuse001_x264.mp4'),
        ('s3://bucket/Normal%20Videos/N%201.mp4', 'N 1.mp4'),
        ('https://host/v/x.mp4?token=1', 'x.mp4'),
    ],
)
def test_file_names(export, url, name):
    [record], _ = convert_label_studio(export([text('g', 'x')], video=url))
    assert record['f_path'] == name


def test_what_one_should_know_is_counted(write_json):
    def task(*annotations):
        return dict(id=1, data=dict(video='v.mp4'), annotations=list(annotations))

    old = dict(id=1, updated_at='2024-01-01', result=[text('g', 'old')])
    new = dict(
        id=2, updated_at='2024-02-01', result=[text('g', 'new'), track('a', [step(1, rotation=9)]), track('b', [])]
    )
    path = write_json([task(old, new), task(dict(id=3, was_cancelled=True, result=[]))])
    [record], counts = convert_label_studio(path)
    assert record['global_caption'] == 'new'
    assert counts['tasks with several annotations, the newest taken'] == 1
    assert counts['tasks without an annotation left out'] == 1
    assert counts['boxes whose rotation is ignored'] == 1
    assert counts['tracks without a keyframe left out'] == 1


def test_missing_captions(export):
    path = export([track('a', [step(1)])])
    with pytest.raises(DataError, match=r'1 videos have no caption \(first: Abuse001_x264.mp4'):
        convert_label_studio(path)
    [record], _ = convert_label_studio(path, default_caption='a scene')
    assert record['global_caption'] == 'a scene'


def test_other_files(write_json, tmp_path):
    with pytest.raises(MissingFileError, match='no file'):
        convert_label_studio(tmp_path / 'none.json')
    with pytest.raises(DataError, match='not as "JSON-MIN"'):
        convert_label_studio(write_json([dict(video='v.mp4', box=[])]))
    with pytest.raises(DataError, match='names no video file'):
        convert_label_studio(write_json([dict(id=7, data=dict(a='b'), annotations=[dict(result=[])])]))
