import numpy as np
import pytest

from vadlab.datasets.formats.region_annotations import RecordParser, load_records
from vadlab.utils.errors import ConfigError, DataError, MissingFileError


def parse(records, caption_type='caption'):
    parser = RecordParser(caption_type)
    return parser.parse([(f'record {i}', r) for i, r in enumerate(records)], 'ann.json'), parser


def test_both_layouts_are_told_apart(make_record, write_json):
    record = make_record()
    assert load_records(write_json([record])) == ([('record 0', record)], 'list')
    without_path = {k: v for k, v in record.items() if k != 'f_path'}
    [(name, found)], layout = load_records(write_json({'Abuse001_x264': without_path}))
    assert (name, layout, found['f_path']) == ('Abuse001_x264', 'dict', 'Abuse001_x264')


@pytest.mark.parametrize(
    ('content', 'message'),
    [(3, 'found a int'), ([], 'contains no records'), ([1], 'record 0 is a int'), ({'a': 'b'}, 'a is a str')],
)
def test_other_layouts_are_refused(write_json, content, message):
    with pytest.raises(DataError, match=message):
        load_records(write_json(content))


def test_missing_file_and_broken_json(tmp_path):
    with pytest.raises(MissingFileError, match='ann_file'):
        load_records(tmp_path / 'none.json')
    (tmp_path / 'broken.json').write_text('[{')
    with pytest.raises(DataError, match='is not valid JSON'):
        load_records(tmp_path / 'broken.json')


def test_boxes_are_mended_and_counted(make_record, region):
    region['keyframes'] = [
        {'frame': 0, 'bbox': [-0.1, 0.0, 0.5, 1.2], 'enabled': True},
        {'frame': 1, 'bbox': [0.5, 0.0, 0.4, 1.0], 'enabled': True},
        {'frame': 2, 'bbox': [0.5, 0.2, 0.5, 0.3], 'enabled': True},
        {'frame': 3, 'bbox': [1.1, 0.2, 1.5, 0.3], 'enabled': True},
        {'frame': 4, 'bbox': [0.0, 0, 1, 1.0], 'enabled': True},
    ]
    [record], parser = parse([make_record()])
    kept = record['regions'][0]['keyframes']
    assert [k['frame'] for k in kept] == [0, 4]
    assert kept[0]['bbox'] == [0.0, 0.0, 0.5, 1.0]
    assert parser.summary() == '1 boxes clipped, 1 inverted boxes removed, 2 empty boxes removed'


def test_region_without_a_shown_frame_is_dropped_and_named(make_record, region):
    for keyframe in region['keyframes']:
        keyframe['enabled'] = False
    [record], parser = parse([make_record()])
    assert record['regions'] == []
    assert record['n_annotated_regions'] == 1
    assert 'Abuse001_x264.mp4 (record 0) region 0' in parser.summary()


def test_all_problems_are_named_together(make_record, region):
    bad_caption = make_record('Arson001.mp4', global_caption=17)
    bad_region = make_record('Arson002.mp4', regions=[{**region, 'caption': ['a'], 'start_frame': 'x'}])
    with pytest.raises(DataError) as e:
        parse([make_record(), bad_caption, bad_region])
    assert "Arson001.mp4 (record 1): global_caption is '17' (int), must be a text" in str(e.value)
    assert 'Arson002.mp4 (record 2) region 0: caption is' in str(e.value)
    assert "start_frame is 'x' (str), must be a whole number" in str(e.value)


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        ({'f_path': None}, 'f_path is missing'),
        ({'global_caption': ' '}, 'global_caption'),
        ({'bbox_info': 'none'}, 'must be a list of regions'),
        ({'bbox_info': [5]}, 'must be a region'),
    ],
)
def test_record_fields_of_wrong_type(make_record, change, message):
    with pytest.raises(DataError, match=message):
        parse([{**make_record(), **change}])


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        ({'bbox': [0, 0, 1]}, 'four finite numbers'),
        ({'bbox': [0, 0, 1, float('nan')]}, 'four finite numbers'),
        ({'bbox': [0, 0, 1, True]}, 'four finite numbers'),
        ({'enabled': 'yes'}, 'true or false'),
        ({'frame': 1.5}, 'whole number'),
        ({'frame': float('inf')}, 'whole number'),
    ],
)
def test_keyframe_fields_of_wrong_type(make_record, region, change, message):
    region['keyframes'][0] |= change
    with pytest.raises(DataError, match=f'region 0 keyframe 0: .*{message}'):
        parse([make_record()])


def test_boxes_in_pixels_are_refused(make_record, region):
    for keyframe in region['keyframes']:
        keyframe['bbox'] = (np.array(keyframe['bbox']) * 320).tolist()
    with pytest.raises(DataError, match='4 of 4 boxes reach beyond 2, as if they were in pixels'):
        parse([make_record()])


def test_caption_types(make_record, region):
    second = {**region, 'short_expr': 'short text', 'long_expr': 'long text'}
    record = make_record(regions=[region, second])
    for caption_type, expected in dict(caption='a man in red', short='short text', long='long text').items():
        [parsed], parser = parse([record], caption_type)
        assert parsed['regions'][1]['caption'] == expected
        assert parsed['regions'][0]['caption'] == 'a man in red'
        assert parser.counts[f'regions without {parser.caption_field}'] == (caption_type != 'caption')
    with pytest.raises(ConfigError, match="no caption_type 'shrot'. Known: caption, short, long"):
        RecordParser('shrot')


def test_hard_negatives_only_where_flagged(make_record, region):
    negatives = {str(i): f'negative {i}' for i in range(10)}
    flagged = {**region, 'short_expr_negs': negatives, 'flag_short_neg': 1}
    unflagged = {**flagged, 'flag_short_neg': 0}
    [record], _ = parse([make_record(regions=[flagged, unflagged])])
    assert record['regions'][0]['negatives'] == list(negatives.values())
    assert record['regions'][1]['negatives'] == []
    with pytest.raises(DataError, match='short_expr_negs is missing'):
        parse([make_record(regions=[{**region, 'flag_short_neg': 1}])])


def test_misspelled_keys_are_refused_and_others_left_alone(make_record, region):
    region['keyframes'][0]['Enabled'] = region['keyframes'][0].pop('enabled')
    record = make_record(regions=[region])
    record['bbox_infos'] = record.pop('bbox_info')
    with pytest.raises(DataError, match="the key 'bbox_infos' is not read; did you mean 'bbox_info'"):
        RecordParser().parse([('record 0', record)], 'a.json')
    record['bbox_info'] = record.pop('bbox_infos')
    with pytest.raises(DataError, match="keyframe 0: the key 'Enabled' is not read; did you mean 'enabled'"):
        RecordParser().parse([('record 0', record)], 'a.json')
    region['keyframes'][0]['enabled'] = region['keyframes'][0].pop('Enabled')
    record['event_id'] = region['label'] = 7
    RecordParser().parse([('record 0', record)], 'a.json')
