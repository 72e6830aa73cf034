"""Files made in the layouts of the public data sets, read back."""

import json
import zipfile
from xml.sax.saxutils import escape

import pytest

from vadlab.datasets.formats.av_clip_metadata import read_metadata, write_metadata
from vadlab.datasets.formats.wildlife_layouts import LAYOUTS, read_animal_kingdom, read_mammalps, read_panaf20k
from vadlab.datasets.formats.wildlife_layouts.workbook import read_sheet
from vadlab.utils.errors import DataError, MissingFileError

HEADER = 'video_path,start_s,end_s,activity,actions,species\n'


def write_mammalps(folder):
    metadata = folder / 'benchmark_1/metadata'
    metadata.mkdir(parents=True)
    track = 'S1_C3_E154_V0066_ID1_T1'
    (metadata / 'train.csv').write_text(
        HEADER + f'{track}/{track}_c0.mp4,0.0,4.5,foraging,grazing;walking,red_deer\n'
        f'{track}/{track}_c1.mp4,0.0,3.0,vigilance,standing_head_up;none,red_deer\n'
        f'{track}/{track}_c1.mp4,3.0,5.5,foraging,walking;none,red_deer\n'
    )
    (metadata / 'val.csv').write_text(HEADER + 'a/a_c0.mp4,0.0,2.0,unknown,unknown,wolf\n')
    (metadata / 'test.csv').write_text(HEADER + 'b/b_c0.mp4,0.0,2.0,playing,none;none,fox\n')
    sound = folder / f'benchmark_1/audios/{track}/{track}_c0.wav'
    sound.parent.mkdir(parents=True)
    sound.write_bytes(b'RIFF')
    return folder


def test_mammalps(tmp_path):
    records = read_mammalps(write_mammalps(tmp_path))
    first, second, third, val, test = records
    track = 'S1_C3_E154_V0066_ID1_T1'
    assert first.clip_id == f'{track}_c0'
    assert first.video == f'benchmark_1/clips/{track}/{track}_c0.mp4'
    assert first.audio == f'benchmark_1/audios/{track}/{track}_c0.wav'
    assert first.columns == dict(species='red_deer', behaviour='foraging', actions='grazing;walking')
    assert (first.start, first.end) == (None, 4.5)
    assert (second.audio, second.columns['actions']) == ('', 'standing_head_up')
    assert (third.clip_id, third.start, third.end) == (f'{track}_c1_2', 3.0, 5.5)
    assert (val.split, val.columns['behaviour']) == ('val', 'unknown')
    assert (test.split, test.columns['actions']) == ('test', '')
    inside = read_mammalps(tmp_path / 'benchmark_1')
    assert inside[0].audio == f'audios/{track}/{track}_c0.wav'
    with pytest.raises(MissingFileError, match='is not a MammAlps release'):
        read_mammalps(tmp_path / 'benchmark_1/metadata')


def test_mammalps_without_a_column(tmp_path):
    write_mammalps(tmp_path)
    (tmp_path / 'benchmark_1/metadata/val.csv').write_text('video_path,start_s,end_s,activities,actions,species\n')
    with pytest.raises(DataError, match="no column 'activity', which its layout requires. Did you mean 'activities'"):
        read_mammalps(tmp_path)
    (tmp_path / 'benchmark_1/metadata/val.csv').unlink()
    with pytest.raises(MissingFileError, match=r'There is no .*val\.csv'):
        read_mammalps(tmp_path)


def write_workbook(path, sheets):
    """An ``.xlsx`` of rows of text: the first sheet with shared strings, the others with strings in place."""
    names = list(sheets)
    main = 'http://schemas.openxmlformats.org/spreadsheetml/2006/main'
    office = 'http://schemas.openxmlformats.org/officeDocument/2006/relationships'
    package = 'http://schemas.openxmlformats.org/package/2006/relationships'
    strings: list[str] = []

    def cell(place, value, shared):
        if value is None:
            return ''
        if shared:
            strings.append(value)
            return f'<c r="{place}" t="s"><v>{len(strings) - 1}</v></c>'
        return f'<c r="{place}" t="inlineStr"><is><t>{escape(value)}</t></is></c>'

    with zipfile.ZipFile(path, 'w') as archive:
        listed = ''.join(f'<sheet name="{n}" sheetId="{i}" r:id="rId{i}"/>' for i, n in enumerate(names, 1))
        archive.writestr(
            'xl/workbook.xml', f'<workbook xmlns="{main}" xmlns:r="{office}"><sheets>{listed}</sheets></workbook>'
        )
        targets = ''.join(
            f'<Relationship Id="rId{i}" Target="worksheets/sheet{i}.xml"/>' for i in range(1, len(names) + 1)
        )
        archive.writestr('xl/_rels/workbook.xml.rels', f'<Relationships xmlns="{package}">{targets}</Relationships>')
        for number, name in enumerate(names, 1):
            rows = ''.join(
                f'<row r="{r}">'
                + ''.join(cell(f'{chr(65 + c)}{r}', value, number == 1) for c, value in enumerate(row))
                + '</row>'
                for r, row in enumerate(sheets[name], 1)
            )
            text = f'<worksheet xmlns="{main}"><sheetData>{rows}</sheetData></worksheet>'
            archive.writestr(f'xl/worksheets/sheet{number}.xml', text)
        shared = ''.join(f'<si><t>{escape(text)}</t></si>' for text in strings)
        archive.writestr('xl/sharedStrings.xml', f'<sst xmlns="{main}">{shared}</sst>')


AR = [
    ['video_id', 'type', 'labels', 'list_animal', 'list_animal_parent_class', 'list_animal_action'],
    ['AACDFGHI', 'train', '[68]', "['Common Crane']", "['Bird']", "[('Common Crane', 'Attending')]"],
    [
        'BLUIEDSN', 'train', '[1, 78]', "['Wolf', 'Buffalo']", "['Mammal', 'Mammal']",
        "[('Wolf', 'Chasing'), ('Buffalo', 'Running'), ('Wolf', 'Running')]",
    ],
    ['CCCCCCCC', 'test', '[2]', '["Pallas\'s Gull"]', "['Bird']", '[\'[("Pallas\\\'s Gull", "Flying")]\']'],
]  # fmt: skip


def test_animal_kingdom(tmp_path):
    folder = tmp_path / 'action_recognition'
    (folder / 'dataset/video').mkdir(parents=True)
    write_workbook(folder / 'AR_metadata.xlsx', {'AR': AR, 'Action': [['Label', 'Action'], ['68', 'Attending']]})
    crane, wolf, gull = read_animal_kingdom(folder)
    assert (crane.clip_id, crane.video, crane.split) == ('AACDFGHI', 'dataset/video/AACDFGHI.mp4', 'train')
    assert crane.columns == dict(species='Common Crane', behaviour='Attending')
    assert wolf.labels('species') == ('Wolf', 'Buffalo')
    assert wolf.labels('behaviour') == ('Chasing', 'Running')
    assert (gull.split, gull.labels('species'), gull.labels('behaviour')) == ('test', ("Pallas's Gull",), ('Flying',))
    assert read_animal_kingdom(tmp_path)[0].video == 'action_recognition/dataset/video/AACDFGHI.mp4'
    assert read_sheet(folder / 'AR_metadata.xlsx', 'Action') == [{'Label': '68', 'Action': 'Attending'}]


def test_animal_kingdom_as_a_csv(tmp_path):
    lines = [','.join('"' + cell.replace('"', '""') + '"' for cell in row) for row in AR]
    (tmp_path / 'AR_metadata.csv').write_text('\n'.join(lines) + '\n')
    assert [r.labels('behaviour') for r in read_animal_kingdom(tmp_path)][2] == ('Flying',)


def test_animal_kingdom_mistakes(tmp_path):
    with pytest.raises(MissingFileError, match='AR_metadata.xlsx is not in it'):
        read_animal_kingdom(tmp_path)
    path = tmp_path / 'AR_metadata.xlsx'
    write_workbook(path, {'Sheet1': AR})
    with pytest.raises(DataError, match="has no sheet 'AR', only Sheet1"):
        read_animal_kingdom(tmp_path)
    write_workbook(path, {'AR': [[name.replace('type', 'split') for name in AR[0]], *AR[1:]]})
    with pytest.raises(DataError, match="no column 'type'"):
        read_animal_kingdom(tmp_path)
    write_workbook(path, {'AR': [AR[0], ['A', 'train', '', '[unclosed', '', '[]'], ['B', 'dev', '', '[]', '', '[]']]})
    with pytest.raises(DataError, match='1 lists of animals and actions cannot be read .A.*1 types are neither'):
        read_animal_kingdom(tmp_path)
    path.write_text('no workbook')
    with pytest.raises(DataError, match='cannot be read as a workbook'):
        read_animal_kingdom(tmp_path)


def detection(behaviour, species='chimpanzee', ape=0):
    return dict(ape_id=ape, bbox=[1.0, 2.0, 3.0, 4.0], species=species, behaviour=behaviour)


def test_panaf500(tmp_path):
    frames = [
        dict(frame_id=1, detections=[detection('sitting'), detection('walking', ape=1)]),
        dict(frame_id=2, detections=[detection('walking')]),
        dict(frame_id=3, detections=[]),
        dict(frame_id=4, detections=[detection('no_action')]),
    ]
    for split, name in (('train', 'acp0001abc'), ('validation', 'acp0002abc'), ('test', 'acp0003abc')):
        path = tmp_path / 'annotations' / split / f'{name}.json'
        path.parent.mkdir(parents=True)
        path.write_text(json.dumps(dict(video=name, annotations=frames if split == 'train' else [])))
    train, val, test = read_panaf20k(tmp_path)
    assert (train.clip_id, train.video) == ('acp0001abc', 'videos/acp0001abc.mp4')
    assert train.columns == dict(species='chimpanzee', behaviour='sitting;walking')
    assert (val.split, test.split, val.columns['behaviour']) == ('val', 'test', '')
    (tmp_path / 'annotations/train/broken.json').write_text('{')
    with pytest.raises(DataError, match='1 files cannot be read .*broken.json'):
        read_panaf20k(tmp_path)


def test_panaf20k_labels_in_one_column(tmp_path):
    (tmp_path / 'videos').mkdir()
    folder = tmp_path / 'annotations'
    folder.mkdir()
    (folder / 'train.csv').write_text('video,behaviours,species\na,"feeding, travel",chimpanzee\nb.mp4,None,gorilla\n')
    (folder / 'validation.csv').write_text('video,behaviours,species\nc,tool_use,chimpanzee\n')
    a, b, c = read_panaf20k(tmp_path)
    assert (a.clip_id, a.video, a.labels('behaviour')) == ('a', 'videos/a.mp4', ('feeding', 'travel'))
    assert (b.clip_id, b.video, b.labels('behaviour'), b.columns['species']) == ('b', 'videos/b.mp4', (), 'gorilla')
    assert c.split == 'val'


def test_panaf20k_labels_in_columns_of_zeros_and_ones(tmp_path):
    (tmp_path / 'labels.csv').write_text('filename,split,feeding,tool_use\na.mp4,train,1,0\nb.mp4,test,1,1\n')
    a, b = read_panaf20k(tmp_path)
    assert (a.video, a.labels('behaviour')) == ('a.mp4', ('feeding',))
    assert (b.split, b.labels('behaviour')) == ('test', ('feeding', 'tool_use'))


@pytest.mark.parametrize(
    ('text', 'match'),
    [
        ('clip,split,feeding\na,train,1\n', 'no column names the videos'),
        ('video,split,site\na,train,X\n', 'behaviours are neither in a column'),
        ('video,split,labels\na,dev,x\n', "a has the split 'dev'"),
        ('video,labels\na,x\n', "no column 'split'"),
    ],
)
def test_panaf20k_mistakes(tmp_path, text, match):
    (tmp_path / 'labels.csv').write_text(text)
    with pytest.raises(DataError, match=match):
        read_panaf20k(tmp_path)


def test_panaf20k_without_annotations_or_with_several(tmp_path):
    with pytest.raises(MissingFileError, match='holds neither annotations/train'):
        read_panaf20k(tmp_path)
    for name in ('a', 'b'):
        (tmp_path / f'{name}.csv').write_text('video,split,labels\na,train,x\n')
    with pytest.raises(DataError, match='holds 2 tables, and none is called train, val or test'):
        read_panaf20k(tmp_path)


def test_every_layout_gives_metadata_that_reads_back(tmp_path):
    records = LAYOUTS['mammalps'](write_mammalps(tmp_path / 'release'))
    write_metadata(tmp_path / 'all.csv', records)
    assert read_metadata(tmp_path / 'all.csv', ['species', 'behaviour', 'actions']) == records
