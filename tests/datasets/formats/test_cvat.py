import zipfile

import pytest

from vadlab.datasets.formats.cvat import convert_cvat
from vadlab.utils.errors import DataError, MissingFileError

BOX = '<box frame="0" xtl="0" ytl="0" xbr="9" ybr="9" outside="0" keyframe="1"/>'
META = '<meta><task><size>9</size><original_size><width>9</width><height>9</height></original_size>{}</task></meta>'
ROTATED = ' rotation="x"/>'
NAMED = META.format('<source>a.mp4</source>')


@pytest.mark.parametrize(
    ('text', 'message'),
    [
        ('no xml', 'not valid XML'),
        ('<!DOCTYPE a [<!ENTITY b "c">]><annotations/>', 'document type'),
        ('<annotations><version>1.1</version></annotations>', 'CVAT for video 1.1'),
        (f'<annotations>{NAMED}<image id="0"/></annotations>', 'CVAT for images'),
        (f'<annotations>{META.format("")}</annotations>', 'no name'),
        (f'<annotations>{NAMED.replace("task>", "job>")}</annotations>', 'an export of a job'),
        ('<annotations><meta><project/></meta></annotations>', 'an export of a project'),
        ('<annotations><meta><task><name>walk</name></task></meta></annotations>', 'no original_size: .* called walk'),
        (f'<annotations>{NAMED.replace("<width>9", "<width>0")}</annotations>', 'original_size is 0 x 9'),
        (
            f'<annotations>{NAMED}<track label="a">{BOX.replace("0", "9", 1)}</track></annotations>',
            'frame 9, .* to 8',
        ),
        (f'<annotations>{NAMED}<track label="a">{BOX.replace("/>", ROTATED)}</track></annotations>', 'rotation is .x.'),
        (f'<annotations>{NAMED}<track>{BOX}</track></annotations>', 'no label'),
        (f'<annotations>{NAMED}<track label="a">{BOX.replace("xtl=", "x=")}</track></annotations>', 'xtl is None'),
        (f'<annotations>{NAMED}<track label="a">{BOX.replace("0", "-1", 1)}</track></annotations>', 'frame -1'),
        (f'<annotations>{NAMED}<track label="event: gate 2">{BOX}</track></annotations>', 'Rename it'),
    ],
)
def test_unusable_exports_are_named(tmp_path, text, message):
    path = tmp_path / 'annotations.xml'
    path.write_text(text)
    with pytest.raises(DataError, match=rf'annotations\.xml: .*{message}'):
        convert_cvat([path], 'x')


def test_missing_file_caption_and_two_exports_of_a_video(tmp_path):
    with pytest.raises(MissingFileError):
        convert_cvat([tmp_path / 'a.xml'])
    for name in ('a.xml', 'b.xml'):
        (tmp_path / name).write_text(f'<annotations>{NAMED}<track label="a">{BOX}</track></annotations>')
    with pytest.raises(DataError, match='no caption'):
        convert_cvat([tmp_path / 'a.xml'])
    with pytest.raises(DataError, match=r'a\.mp4 is in two exports'):
        convert_cvat([tmp_path / 'a.xml', tmp_path / 'b.xml'], 'x')


def test_event_of_the_normal_class_is_no_span(tmp_path):
    (tmp_path / 'a.xml').write_text(f'<annotations>{NAMED}<track label="event: Normal">{BOX}</track></annotations>')
    export = convert_cvat([tmp_path / 'a.xml'], 'x')
    assert export.temporal_lines() == 'a.mp4  Normal  -1  -1\n'
    assert export.counts['spans of normal frames left out: a temporal annotation lists anomalous ones'] == 1


def box(frame, x, outside=0, key=1, more='', inner=''):
    sides = f'xtl="{x:.2f}" ytl="10.00" xbr="{x + 20:.2f}" ybr="30.00" z_order="0"'
    return f'<box frame="{frame}" keyframe="{key}" outside="{outside}" occluded="0" {sides}{more}>{inner}</box>'


def task(
    tracks, size=50, start=10, step=2, source='<source>gate.mp4</source>', name='t', dumped='<dumped>now</dumped>'
):
    """A task as CVAT writes it: the size and the frame filter count frames of the task, boxes those of the video."""
    sides = '<original_size><width>100</width><height>50</height></original_size>' if source else ''
    return (
        f'<annotations><version>1.1</version><meta><task><id>7</id><name>{name}</name><size>{size}</size>'
        f'<start_frame>{start}</start_frame><stop_frame>{start + size * step - 1}</stop_frame>'
        f'<frame_filter>step={step}</frame_filter>{sides}{source}</task>{dumped}</meta>{tracks}</annotations>'
    )


def test_frames_of_a_part_of_a_video_by_hand(tmp_path):
    """A task of every second frame from frame 10 on, 50 frames: 10, 12, ..., 108. Boxes name frames of the video."""
    walk = box(16, 0) + box(18, 5, key=0) + box(20, 10) + box(22, 20, key=0) + box(24, 30, outside=1)
    again = box(80, 50) + ''.join(box(frame, 50, key=0) for frame in range(82, 110, 2))
    person = f'<track id="0" label="a man" source="manual">{walk}{again}</track>'
    still = ''.join(box(frame, 0, key=0) for frame in range(12, 24, 2))
    event = f'<track id="1" label="Event: Riot" source="manual">{box(10, 0)}{still}{box(24, 0, outside=1)}</track>'
    other = '<track id="2" label="road"><polygon frame="0" points="1,1;2,2"/></track>'
    # A shape of one frame; CVAT writes no end of it, since that would be the last frame.
    shape = f'<track id="3" label="a bag">{box(106, 1, more=ROTATION, inner=ATTRIBUTE)}</track>'
    (tmp_path / 'a.xml').write_text(task(person + event + other + shape))
    export = convert_cvat([tmp_path / 'a.xml'], 'x')
    (record,) = export.records
    first, second, third = record['bbox_info']
    # Frame 22 lies between a keyframe and the end of the track, towards whose box CVAT interpolates.
    assert [(k['frame'], k['bbox']) for k in first['keyframes']] == [
        (16, [0, 0.2, 0.2, 0.6]),
        (20, [0.1, 0.2, 0.3, 0.6]),
        (22, [0.2, 0.2, 0.4, 0.6]),
    ]
    assert [(region['start_frame'], region['end_frame']) for region in (first, second, third)] == [
        (16, 22),
        (80, 108),
        (106, 106),
    ]
    assert export.temporal_lines() == 'gate.mp4  Riot  10  23\n'
    assert export.counts['tracks of polygons and other shapes were not read'] == 1
    assert export.counts['tracks with attributes, which were not read'] == 1
    assert export.counts['tracks with rotated boxes: the rotation is ignored'] == 1


ROTATION, ATTRIBUTE = ' rotation="12.00"', '<attribute name="action">runs</attribute>'


def test_keyframes_alone_are_visible_until_the_end_of_the_task(tmp_path):
    """As CVAT reads a file that it did not write."""
    (tmp_path / 'a.xml').write_text(task(f'<track label="a">{box(12, 0)}</track>', size=9, step=1, dumped=''))
    ((region,),) = [record['bbox_info'] for record in convert_cvat([tmp_path / 'a.xml'], 'x').records]
    assert (region['start_frame'], region['end_frame']) == (12, 18)


def test_a_task_of_images_takes_its_size_from_the_folder_of_frames(tmp_path):
    (tmp_path / 'a.xml').write_text(task(f'<track label="a">{box(12, 0)}</track>', source='', name='Test001'))
    asked = []

    def frame_size(name):
        asked.append(name)
        return 40, 200

    ((region,),) = [record['bbox_info'] for record in convert_cvat([tmp_path / 'a.xml'], 'x', frame_size).records]
    assert asked == ['Test001']
    assert region['keyframes'][0]['bbox'] == [0, 0.25, 0.1, 0.75]


def test_the_path_of_a_video_comes_from_the_name_of_its_task(tmp_path):
    """CVAT stores the file name of a video alone, and two folders may have one of the same name."""
    track = f'<track label="a">{box(12, 0)}</track>'
    for i, name in enumerate(['east/gate.mp4', 'west/gate.mp4', 'gate of Monday']):
        (tmp_path / f'{i}.xml').write_text(task(track, name=name))
    export = convert_cvat([tmp_path / f'{i}.xml' for i in range(3)], 'x')
    assert [record['f_path'] for record in export.records] == ['east/gate.mp4', 'west/gate.mp4', 'gate.mp4']


def test_a_zip_file_is_to_be_unpacked(tmp_path):
    with zipfile.ZipFile(tmp_path / 'a.zip', 'w') as file:
        file.writestr('annotations.xml', task(f'<track label="a">{box(12, 0)}</track>'))
    with pytest.raises(DataError, match=r'a\.zip: a ZIP file, as CVAT exports it\. Unpack it'):
        convert_cvat([tmp_path / 'a.zip'], 'x')
