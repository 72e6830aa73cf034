import os
import pickle
import shutil
from pathlib import Path

import av
import numpy as np
import pytest
import torch
from mmengine.dataset import pseudo_collate
from torch.utils.data import DataLoader

from vadlab.datasets.transforms.decode_frames import DecodeFrames
from vadlab.datasets.transforms.tokenize_captions import TokenizeCaptions
from vadlab.datasets.ucf_crime_regions import UCF_CRIME_CLASSES, UCFCrimeRegions, class_from_path
from vadlab.datasets.video import FrameCache
from vadlab.registry import DATASETS
from vadlab.utils.errors import ConfigError, DataError, MissingFileError

NORMAL = dict(f_path='old/Normal_Videos001_x264', global_caption='一条安静的街道', bbox_info=[])


@pytest.fixture(scope='module')
def pipeline():
    """Transforms, with one tokenizer for all tests, since reading its vocabulary takes a second."""
    return [
        dict(type='ProbeVideo'),
        dict(type='SampleFrames', num_frames=8),
        dict(type='DecodeFrames', size=(48, 64)),
        dict(type='RegionsToBoxes'),
        TokenizeCaptions(),
        dict(type='PackVADInputs'),
    ]


@pytest.fixture
def build(two_videos, write_json, pipeline):
    def build(records, **options):
        options = dict(data_root=str(two_videos), pipeline=pipeline) | options
        return DATASETS.build(dict(type='UCFCrimeRegions', ann_file=write_json(records), **options))

    return build


@pytest.fixture
def many(tmp_path, two_videos, make_record):
    """Six videos, the third and fifth damaged, and their records."""
    good = two_videos / 'Videos/Abuse/Abuse001_x264.mp4'
    names = [f'Arson{i:03d}' for i in range(6)]
    for name in names:
        shutil.copy(good, tmp_path / f'{name}.mp4')
    (tmp_path / 'Arson002.mp4').write_bytes(good.read_bytes()[:900])
    (tmp_path / 'Arson004.mp4').write_bytes(b'')
    return str(tmp_path), [make_record(f'{name}.mp4') for name in names]


def test_sample_through_the_whole_pipeline(build, make_record, numbers_in):
    dataset = build([make_record(), NORMAL])
    batch = pseudo_collate([dataset[0], dataset[1]])
    frames, sample = batch['inputs'][0], batch['data_samples'][0]
    assert frames.shape == (8, 3, 48, 64)
    assert frames.dtype == torch.uint8
    assert numbers_in(frames.permute(0, 2, 3, 1).numpy()) == sample.frame_inds.tolist()
    assert sample.frame_inds[0] == 3
    assert (sample.video_id, sample.class_name, sample.gt_label) == ('Abuse001_x264', 'Abuse', 1)
    assert (sample.total_frames, sample.fps, sample.ori_shape, sample.img_shape) == (60, 30, (96, 128), (48, 64))
    assert sample.gt_intervals.tolist() == [[10, 21], [30, 41]]
    assert sample.gt_caption == 'Two men fight.'
    regions = sample.gt_regions
    assert regions.captions == ['a man in red']
    assert regions.boxes_xyxyn.shape == (1, 8, 4)
    assert regions.boxes_xyxyn.dtype == torch.float32
    shown = [10 <= t <= 20 or 30 <= t <= 40 for t in sample.frame_inds.tolist()]
    assert regions.box_valid[0].tolist() == shown
    assert regions.tokens[0][0] == 49406

    normal = batch['data_samples'][1]
    assert (normal.gt_label, normal.class_name, len(normal.gt_regions.captions)) == (0, 'Normal', 0)
    assert normal.gt_intervals.shape == (0, 2)
    assert normal.gt_regions.boxes_xyxyn.shape == (0, 8, 4)


def test_both_layouts_give_the_same_and_the_log_names_them(build, make_record, log_lines):
    as_list = build([make_record()])
    as_dict = build({'Abuse001_x264': make_record()})
    first, second = as_list.get_data_info(0), as_dict.get_data_info(0)
    np.testing.assert_array_equal(first.pop('intervals'), second.pop('intervals'))
    assert first == second
    assert any('(list layout): 1 videos, 0 of them normal, 1 regions, 4 keyframes' in line for line in log_lines)
    assert any('(dict layout)' in line for line in log_lines)


def test_what_is_mended_is_one_line_in_the_log(build, make_record, region, log_lines):
    region['keyframes'][0]['bbox'] = [-0.5, 0, 0.5, 1]
    region['keyframes'][1]['bbox'] = [0.5, 0, 0.4, 1]
    build([make_record(), NORMAL])
    [line] = [line for line in log_lines if 'clipped' in line]
    assert '1 boxes clipped, 1 inverted boxes removed' in line
    assert any('1 of 3 captions (33.3%) have non-ASCII text' in line for line in log_lines)
    assert any('0 of 3 captions (0.0%) have more than 77 tokens' in line for line in log_lines)


def test_end_frame_beyond_the_video_is_clipped_and_said(build, make_record, region, log_lines):
    region['end_frame'] = 500
    region['keyframes'][3]['enabled'] = True
    dataset = build([make_record()])
    sample = dataset[0]['data_samples']
    assert sample.gt_intervals.tolist() == [[10, 21], [30, 60]]
    assert any('Abuse001_x264 has 60 frames: end_frame of 1 regions clipped' in line for line in log_lines)


@pytest.mark.parametrize(
    ('path', 'expected'),
    [
        ('UCF_Crimes/Videos/Abuse/Abuse001_x264.mp4', 'Abuse'),
        ('RoadAccidents001_x264.mp4', 'RoadAccidents'),
        ('Testing_Normal_Videos_Anomaly/Normal_Videos_003_x264.mp4', 'Normal'),
        ('Videos/Shoplifting/clip7.mp4', 'Shoplifting'),
        ('normal/x.mp4', 'Normal'),
        ('Abnormal/x.mp4', None),
        ('a/Basketball001.mp4', None),
    ],
)
def test_class_from_path(path, expected):
    assert class_from_path(path) == expected


def test_class_names_are_ucf_crimes_in_order():
    assert len(UCF_CRIME_CLASSES) == 14
    assert UCF_CRIME_CLASSES[0] == 'Normal'
    assert list(UCF_CRIME_CLASSES[1:]) == sorted(UCF_CRIME_CLASSES[1:])
    assert UCFCrimeRegions.METAINFO['classes'] == UCF_CRIME_CLASSES


def test_unknown_class_by_regions(tmp_path, two_videos, make_record, write_json, log_lines):
    for name in ('Climb1.mp4', 'Climb2.mp4'):
        shutil.copy(two_videos / 'Videos/Abuse/Abuse001_x264.mp4', tmp_path / name)
    records = [make_record('Climb1.mp4'), make_record('Climb2.mp4', regions=[])]
    dataset = UCFCrimeRegions(write_json(records), str(tmp_path))
    assert [dataset.get_data_info(i)['label'] for i in range(2)] == [-1, 0]
    assert dataset.get_data_info(0)['class_name'] is None
    assert dataset.get_data_info(0)['intervals'].tolist() == [[10, 21], [30, 41]]
    [line] = [line for line in log_lines if 'do not name a class' in line]
    assert '1 with regions count as anomalous of unknown class, 1 without as Normal' in line


@pytest.mark.parametrize('test_mode', [False, True])
def test_anomalous_videos_without_an_anomalous_frame_are_told(build, make_record, tmp_path, log_lines, test_mode):
    silent = build([make_record(bbox_info=[]), NORMAL], test_mode=test_mode)
    (note,) = silent.notes
    assert '1 of 1 anomalous videos have no anomalous frame (first: Abuse001_x264)' in note
    assert any(note in line for line in log_lines)
    assert build([make_record(), NORMAL], test_mode=test_mode).notes == []
    temporal = tmp_path / 'temporal.txt'
    temporal.write_text('Abuse001_x264.mp4 Abuse 10 20 -1 -1\nNormal_Videos001_x264.mp4 Normal -1 -1 -1 -1\n')
    records = [make_record(bbox_info=[]), NORMAL]
    assert build(records, test_mode=test_mode, temporal_ann_file=str(temporal)).notes == []


def test_regions_of_a_normal_video_are_told(build, make_record, region):
    dataset = build([make_record(), {**NORMAL, 'bbox_info': [region]}])
    (note,) = dataset.notes
    assert '1 of 1 normal videos have regions (first: Normal_Videos001_x264)' in note


def test_temporal_list_gives_intervals(build, make_record, tmp_path):
    (tmp_path / 'temporal.txt').write_text(
        'Abuse001_x264.mp4  Abuse  5  9  50  70\nNormal_Videos001_x264  Normal  -1  -1  -1  -1\n'
    )
    options = dict(temporal_ann_file=str(tmp_path / 'temporal.txt'), test_mode=True)
    dataset = build([make_record(), NORMAL], **options)
    assert dataset[0]['data_samples'].gt_intervals.tolist() == [[5, 9], [50, 60]]
    assert dataset[1]['data_samples'].gt_intervals.shape == (0, 2)
    inclusive = build([make_record(), NORMAL], interval_mode='inclusive', **options)
    assert inclusive.get_data_info(0)['intervals'].tolist() == [[5, 10], [50, 71]]


def test_temporal_list_alone_names_the_videos(two_videos, tmp_path, pipeline):
    path = tmp_path / 'temporal.txt'
    path.write_text('Abuse001_x264.mp4  Abuse  5  9  -1  -1\nNormal_Videos001_x264  Normal  -1  -1  -1  -1\n')
    dataset = UCFCrimeRegions(data_root=str(two_videos), temporal_ann_file=str(path), pipeline=pipeline, test_mode=True)
    samples = [dataset[i]['data_samples'] for i in range(len(dataset))]
    assert [s.gt_label for s in samples] == [1, 0]
    assert [s.gt_caption for s in samples] == ['', '']


def test_annotated_videos_without_a_record_are_told(build, make_record, tmp_path):
    (tmp_path / 'temporal.txt').write_text('Abuse001_x264.mp4  Abuse  5  9\nArson002_x264.mp4  Arson  1  2\n')
    dataset = build([make_record(), NORMAL], temporal_ann_file=str(tmp_path / 'temporal.txt'), test_mode=True)
    assert any('1 of 2 videos of' in note and 'first: Arson002_x264' in note for note in dataset.notes)


def test_temporal_list_without_an_anomalous_video_is_refused(build, make_record, tmp_path):
    (tmp_path / 'temporal.txt').write_text('Other_x264.mp4  Abuse  5  9  -1  -1\n')
    with pytest.raises(DataError, match='1 anomalous videos have no interval in .*Abuse001_x264'):
        build([make_record(), NORMAL], temporal_ann_file=str(tmp_path / 'temporal.txt'))


@pytest.mark.parametrize(
    ('line', 'message'),
    [
        ('Abuse001_x264.mp4  Abusing  5  9', r"Abuse001_x264: 'Abusing'. Did you mean 'Abuse'"),
        ('Abuse001_x264.mp4  Arson  5  9', '1 videos have another class in .*Abuse001_x264: Arson, not Abuse'),
        ('abuse001_X264.mp4  Abuse  5  9', '1 names in .* differ from the video in capital letters only'),
        ('Abuse001_x264.mp4  Abuse  5  9\nNormal_Videos001_x264  Normal  1  2', '1 normal videos have intervals'),
    ],
)
def test_temporal_list_that_contradicts_the_records_is_refused(build, make_record, tmp_path, line, message):
    (tmp_path / 'temporal.txt').write_text(line + '\n')
    with pytest.raises(DataError, match=message):
        build([make_record(), NORMAL], temporal_ann_file=str(tmp_path / 'temporal.txt'))


@pytest.mark.parametrize('pair', ['60  61', '5  94'])
def test_interval_outside_the_video_is_refused_before_anything_is_trained(build, make_record, tmp_path, pair):
    (tmp_path / 'temporal.txt').write_text(f'Abuse001_x264.mp4  Abuse  {pair}\n')
    with pytest.raises(DataError, match=r'1 intervals in .*temporal.txt lie outside their video .*of 60 frames'):
        build([make_record(), NORMAL], temporal_ann_file=str(tmp_path / 'temporal.txt'))


def test_interval_outside_a_video_whose_header_tells_no_length(tmp_path, two_videos, make_record, write_json, pipeline):
    with (
        av.open(str(two_videos / 'Videos/Abuse/Abuse001_x264.mp4')) as source,
        av.open(str(tmp_path / 'Abuse001_x264.mkv'), 'w') as target,
    ):
        stream = target.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(video=0):
            if packet.dts is not None:
                packet.stream = stream
                target.mux(packet)
    (tmp_path / 'temporal.txt').write_text('Abuse001_x264  Abuse  5  94\n')
    records = write_json([make_record('Abuse001_x264.mkv')])
    dataset = UCFCrimeRegions(records, str(tmp_path), pipeline=pipeline, temporal_ann_file='temporal.txt')
    with pytest.raises(DataError, match=r'Abuse001_x264: 1 anomalous intervals in temporal.txt lie outside .*of 60'):
        dataset[0]


def test_regions_that_all_begin_after_the_video_are_refused(build, make_record, region):
    region = {**region, 'start_frame': 100, 'end_frame': 150}
    region['keyframes'] = [{**keyframe, 'frame': keyframe['frame'] + 100} for keyframe in region['keyframes']]
    with pytest.raises(DataError, match='Abuse001_x264: 2 anomalous intervals in its regions lie outside'):
        build([make_record(regions=[region])])[0]


def test_class_from_the_temporal_list_where_paths_name_none(tmp_path, two_videos, make_record, write_json):
    for name in ('gate 1.mp4', 'gate 2.mp4', 'gate 3.mp4'):
        shutil.copy(two_videos / 'Videos/Abuse/Abuse001_x264.mp4', tmp_path / name)
    (tmp_path / 'temporal.txt').write_text('gate 1.mp4 riot 5 9\ngate 2.mp4 Normal\ngate 3.mp4 Road Accidents 5 9\n')
    records = [make_record('gate 1.mp4', regions=[]), make_record('gate 2.mp4', regions=[]), make_record('gate 3.mp4')]
    options = dict(temporal_ann_file='temporal.txt', classes=('Normal', 'Road Accidents', 'Riot'))
    dataset = UCFCrimeRegions(write_json(records), str(tmp_path), **options)
    infos = [dataset.get_data_info(i) for i in range(3)]
    assert [(info['label'], info['class_name']) for info in infos] == [
        (2, 'Riot'),
        (0, 'Normal'),
        (1, 'Road Accidents'),
    ]
    assert [info['intervals'].tolist() for info in infos] == [[[5, 9]], [], [[5, 9]]]


def test_missing_videos_and_files(build, make_record, two_videos):
    with pytest.raises(MissingFileError, match='UCFCrimeRegions: 2 of 3 videos not found under'):
        build([make_record(), make_record('Arson5.mp4'), make_record('Arson6.mp4')])
    with pytest.raises(MissingFileError, match='data_root: there is no folder /nowhere'):
        build([make_record()], data_root='/nowhere')
    with pytest.raises(MissingFileError, match=r'ann_file none\.json not found \(looked at .*and'):
        UCFCrimeRegions('none.json', str(two_videos))
    with pytest.raises(MissingFileError, match='temporal_ann_file none.txt not found'):
        build([make_record()], temporal_ann_file='none.txt')


def test_one_record_a_video(build, make_record):
    with pytest.raises(DataError, match='1 videos have more than one record .Abuse001_x264'):
        build([make_record(), make_record()])


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        (dict(max_bad_videos=-1), 'max_bad_videos must be >= 0, not -1'),
        (dict(caption_type='shrot'), "no caption_type 'shrot'"),
        (dict(max_bad_video=1), "takes no option 'max_bad_video'. Did you mean 'max_bad_videos'"),
    ],
)
def test_options_that_cannot_be(build, make_record, options, message):
    with pytest.raises(ConfigError, match=message):
        build([make_record()], **options)


def test_nothing_to_read_is_refused():
    with pytest.raises(ConfigError, match='give ann_file, or temporal_ann_file'):
        UCFCrimeRegions(data_root='x')


def test_damaged_video_stops_the_run_by_default(build, many):
    root, records = many
    dataset = build(records, data_root=root)
    with pytest.raises(DataError, match=r'1 damaged videos, max_bad_videos is 0 .Arson002; last: .*Arson002.mp4'):
        [dataset[i] for i in range(6)]


def test_damaged_videos_within_the_limit_are_replaced_by_the_next_good_one(build, many, log_lines):
    root, records = many
    dataset = build(records, data_root=root, max_bad_videos=2)
    for _ in range(2):
        names = [dataset[i]['data_samples'].video_id for i in range(6)]
        assert names == ['Arson000', 'Arson001', 'Arson003', 'Arson003', 'Arson005', 'Arson005']
    skipped = [line for line in log_lines if 'is damaged and is skipped' in line]
    assert len(skipped) == 2
    assert 'Arson004 is damaged and is skipped, 2 of at most 2' in skipped[1]


@pytest.mark.parametrize('cached', [False, True])
def test_a_video_that_vanishes_during_the_run_counts_as_a_damaged_one(build, many, log_lines, tmp_path, cached):
    root, records = many
    dataset = build(records[:2], data_root=root, max_bad_videos=1)
    if cached:
        decode = next(step for step in dataset.pipeline.transforms if isinstance(step, DecodeFrames))
        decode.cache = FrameCache(str(tmp_path / 'cache'))
    assert [dataset[i]['data_samples'].video_id for i in range(2)] == ['Arson000', 'Arson001']
    os.unlink(f'{root}/Arson000.mp4')
    assert [dataset[i]['data_samples'].video_id for i in range(2)] == ['Arson001', 'Arson001']
    assert any('Arson000 is damaged and is skipped, 1 of at most 1 (There is no video' in line for line in log_lines)
    os.unlink(f'{root}/Arson001.mp4')
    with pytest.raises(DataError, match='2 damaged videos, max_bad_videos is 1'):
        dataset[1]


def test_workers_share_the_count(build, many):
    root, records = many
    dataset = build(records, data_root=root, max_bad_videos=1)
    loader = DataLoader(dataset, batch_size=1, num_workers=2, collate_fn=pseudo_collate)
    batches = iter(loader)
    with pytest.raises(DataError, match='2 damaged videos, max_bad_videos is 1 .Arson00., Arson00.;'):
        list(batches)
    batches._shutdown_workers()  # once its queues are garbage, each worker would be waited for five seconds
    assert len(dataset._budget.names()) == 2


def test_budget_survives_pickling_and_its_file_goes_with_the_dataset(build, many):
    root, records = many
    dataset = build(records, data_root=root, max_bad_videos=2)
    copied = pickle.loads(pickle.dumps(dataset))
    copied[2]
    assert dataset._budget.names() == ['Arson002']
    path = Path(dataset._budget._path)
    del copied
    assert path.exists()
    del dataset
    assert not path.exists()


def test_test_mode_leaves_damaged_videos_out_by_name_and_never_replaces(build, many, log_lines):
    root, records = many
    dataset = build(records, data_root=root, max_bad_videos=2, test_mode=True)
    assert [dataset[i]['data_samples'].video_id for i in range(len(dataset))] == [
        'Arson000', 'Arson001', 'Arson003', 'Arson005',
    ]  # fmt: skip
    assert any('2 damaged videos are left out of the test: Arson002, Arson004' in line for line in log_lines)
    with pytest.raises(DataError, match='2 damaged videos, max_bad_videos is 1'):
        build(records, data_root=root, max_bad_videos=1, test_mode=True)


def test_missing_videos_are_named_left_out_and_count_beside_damaged_ones(build, many, make_record, log_lines):
    root, records = many
    one, two = ([make_record(f'Fire{i}.mp4') for i in range(n)] for n in (1, 2))
    with pytest.raises(MissingFileError, match=r'^UCFCrimeRegions: 1 of 7 videos not found'):
        build(one + records, data_root=root)
    dataset = build(one + records, data_root=root, max_bad_videos=3)
    assert len(dataset) == 6
    assert any('1 videos are missing and left out, of at most 3 bad ones: Fire0' in line for line in log_lines)
    assert any('1 videos are missing' in note for note in dataset.notes)
    assert [dataset[i]['data_samples'].video_id for i in range(6)][1:3] == ['Arson001', 'Arson003']
    with pytest.raises(DataError, match=r'2 damaged and 1 missing videos, max_bad_videos is 2 \(.*Fire0; last'):
        build(one + records, data_root=root, max_bad_videos=2, test_mode=True)
    with pytest.raises(MissingFileError, match=r'UCFCrimeRegions \(max_bad_videos=1\): 2 of 8 videos not found'):
        build(two + records, data_root=root, max_bad_videos=1)
    with pytest.raises(MissingFileError, match='2 of 2 videos not found'):
        build(two, data_root=root, max_bad_videos=5)


def test_all_damaged(build, make_record, tmp_path):
    (tmp_path / 'Arson001.mp4').write_bytes(b'')
    dataset = build([make_record('Arson001.mp4')], data_root=str(tmp_path), max_bad_videos=5)
    with pytest.raises(DataError, match='not one of 1 videos can be decoded'):
        dataset[0]


def test_a_subset_by_indices(build, make_record):
    assert len(build([make_record(), NORMAL], indices=1)) == 1
    assert build([make_record(), NORMAL], indices=[1]).get_data_info(0)['video_id'] == 'Normal_Videos001_x264'


def test_loader_workers_repeat_with_the_seed(build, make_record, pipeline):
    def draw(seed):
        jittered = [pipeline[0], dict(type='SampleFrames', num_frames=8, mode='jitter'), *pipeline[2:]]
        dataset = build([make_record(), NORMAL], pipeline=jittered)
        torch.manual_seed(seed)
        loader = DataLoader(dataset, batch_size=1, num_workers=2, collate_fn=pseudo_collate)
        return [batch['data_samples'][0].frame_inds.tolist() for _ in range(2) for batch in loader]

    first = draw(3)
    assert first == draw(3)
    assert first[0] != first[2], 'the second epoch must draw anew'
