import pytest

from vadlab.datasets.formats.cvat import convert_cvat
from vadlab.utils.errors import DataError, MissingFileError

BOX = '<box frame="0" xtl="0" ytl="0" xbr="9" ybr="9" outside="0" keyframe="1"/>'
META = '<meta><task><size>9</size><original_size><width>9</width><height>9</height></original_size>{}</task></meta>'
NAMED = META.format('<source>a.mp4</source>')


@pytest.mark.parametrize(
    ('text', 'message'),
    [
        ('no xml', 'not valid XML'),
        ('<!DOCTYPE a [<!ENTITY b "c">]><annotations/>', 'document type'),
        ('<annotations><version>1.1</version></annotations>', 'CVAT for video 1.1'),
        (f'<annotations>{NAMED}<image id="0"/></annotations>', 'CVAT for images'),
        (f'<annotations>{META.format("")}</annotations>', 'no name'),
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
