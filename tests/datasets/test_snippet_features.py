import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from tests.datasets.feature_sets import FRAMES, write_npy, write_ucf
from vadlab.datasets.formats.class_names import UCF_CRIME_CLASSES, XD_VIOLENCE_CLASSES
from vadlab.datasets.snippet_features import SnippetFeatures
from vadlab.evaluation.metrics.frame_score_metric import FrameScoreMetric
from vadlab.evaluation.metrics.segment_metric import SegmentMetric
from vadlab.utils.errors import ConfigError, DataError, MissingFileError


@pytest.fixture
def ucf(tmp_path):
    return write_ucf(tmp_path)


def train_set(root, **options):
    return SnippetFeatures(**{'ann_file': 'train.csv', 'data_root': str(root), 'feature_dir': 'features', **options})


def test_set(root, **options):
    truth = dict(temporal_ann_file='temporal.txt', frames_file='frames.json', test_mode=True)
    return train_set(root, **{'ann_file': 'test.csv', **truth, **options})


test_set.__test__ = False


def infos(dataset):
    return [dataset.get_data_info(i) for i in range(len(dataset))]


def ids(dataset):
    return [info['video_id'] for info in infos(dataset)]


def test_crops_of_a_video_are_one_sample(ucf):
    dataset = train_set(ucf)
    assert ids(dataset) == ['Arson002_x264', 'Fighting002_x264', 'Normal_Videos002_x264']
    info = dataset.get_data_info(1)
    assert info['feature_paths'] == [str(ucf / f'features/Fighting/Fighting002_x264__{k}.npy') for k in (0, 1)]
    assert (info['crop_inds'], info['crop_columns']) == ([0, 1], [None, None])
    assert (info['num_snippets'], info['snippet_len'], info['total_frames']) == (9, 16, 144)
    assert (info['class_name'], info['label'], info['class_labels']) == ('Fighting', 7, [7])
    assert dataset.metainfo['classes'] == UCF_CRIME_CLASSES
    assert dataset.metainfo['interval_mode'] == 'half_open'
    assert dataset.notes == []


def test_separate_crops_and_one_crop(ucf):
    separate = train_set(ucf, crops='separate')
    assert [info['crop_inds'] for info in infos(separate)] == [[0], [1]] * 3
    assert ids(separate)[:2] == ['Arson002_x264'] * 2
    assert [info['crop_inds'] for info in infos(train_set(ucf, crops=1))] == [[1]] * 3
    with pytest.raises(DataError, match=r'3 videos have no crop 5 \(first: Arson002_x264 has \[0, 1\]'):
        train_set(ucf, crops=5)


def test_ground_truth_is_clipped_nowhere_and_counts_are_the_videos(ucf):
    arson, fighting, normal = infos(test_set(ucf))
    assert (arson['num_snippets'], arson['total_frames'], arson['length_known']) == (6, 100, True)
    assert arson['intervals'].tolist() == [[20, 70]]
    assert arson['class_intervals'] == [(UCF_CRIME_CLASSES.index('Arson'), 20, 70)]
    assert fighting['intervals'].tolist() == [[0, 16], [40, 48]]
    assert normal['intervals'].shape == (0, 2)
    assert normal['class_intervals'] == []
    assert infos(test_set(ucf, interval_mode='inclusive'))[0]['intervals'].tolist() == [[20, 71]]


def test_all_crops_in_one_file_as_rtfm_has_them(tmp_path):
    write_npy(tmp_path / 'UCF_Train_ten_crop_i3d/Abuse001_x264_i3d.npy', 4, crops=10)
    write_npy(tmp_path / 'UCF_Train_ten_crop_i3d/Normal_Videos001_x264_i3d.npy', 5, crops=10)
    lines = ['G:\\UCF_Train_ten_crop_i3d\\Abuse001_x264_i3d.npy', 'G:\\x\\Normal_Videos001_x264_i3d.npy']
    (tmp_path / 'ucf-i3d.list').write_text('\n'.join(lines))
    dataset = SnippetFeatures('ucf-i3d.list', str(tmp_path))
    info = dataset.get_data_info(0)
    assert (info['video_id'], info['label'], info['num_snippets']) == ('Abuse001_x264', 1, 4)
    assert info['crop_inds'] == info['crop_columns'] == list(range(10))
    assert len(SnippetFeatures('ucf-i3d.list', str(tmp_path), crops='separate')) == 20
    assert SnippetFeatures('ucf-i3d.list', str(tmp_path), crops=7).get_data_info(1)['crop_columns'] == [7]


def test_first_crop_without_number_as_pel4vad_has_it(tmp_path):
    for name in ('Abuse001_x264.npy', 'Abuse001_x264__1.npy'):
        write_npy(tmp_path / name, 4)
    (tmp_path / 'train.list').write_text('train/Abuse001_x264.npy\ntrain/Abuse001_x264__1.npy\n')
    assert SnippetFeatures('train.list', str(tmp_path)).get_data_info(0)['crop_inds'] == [0, 1]


def test_xd_violence_has_several_classes(tmp_path):
    name = 'Bad.Boys.1995__#01-11-55_01-12-40_label_G-B2-B6'
    normal = 'v=x__#1_label_A'
    for stem in (name, normal):
        write_npy(tmp_path / f'XDTestClipFeatures/{stem}__0.npy', 10)
    rows = ['path,label', f'/home/a/XDTestClipFeatures/{name}__0.npy,G-B2-B6', f'/home/a/{normal}__0.npy,A']
    (tmp_path / 'xd.csv').write_text('\n'.join(rows))
    (tmp_path / 'ann.txt').write_text(f'{name} B2 7 20 G 1 5\n')
    dataset = SnippetFeatures(
        'xd.csv', str(tmp_path), classes=XD_VIOLENCE_CLASSES, temporal_ann_file='ann.txt', test_mode=True
    )
    violent, calm = infos(dataset)
    assert (violent['class_name'], violent['label'], violent['class_labels']) == ('G-B2-B6', 6, [6, 2, 5])
    assert violent['intervals'].tolist() == [[1, 5], [7, 20]]
    assert violent['class_intervals'] == [(6, 1, 5), (2, 7, 20)]
    assert (calm['class_name'], calm['label'], calm['length_known']) == ('A', 0, False)


def test_shanghaitech_with_its_masks_and_lists_of_videos(tmp_path):
    for name, crops in (('01_0014', 2), ('01_001', 2)):
        for crop in range(crops):
            write_npy(tmp_path / f'features/{name}_{crop}.npy', 3)
    (tmp_path / 'masks').mkdir()
    np.save(tmp_path / 'masks/01_0014.npy', np.arange(50) > 40)
    (tmp_path / 'SH_Test.txt').write_text('01_001\n01_0014\n')
    dataset = SnippetFeatures(
        'SH_Test.txt',
        str(tmp_path),
        'features',
        classes=('Normal', 'Anomaly'),
        temporal_ann_file='masks',
        test_mode=True,
    )
    normal, anomalous = infos(dataset)
    assert (normal['video_id'], normal['label'], normal['crop_inds'], normal['total_frames']) == (
        '01_001',
        0,
        [0, 1],
        48,
    )
    assert (anomalous['label'], anomalous['total_frames']) == (1, 50)
    assert anomalous['class_intervals'] == [(1, 41, 50)]


def test_folder_instead_of_a_list(ucf):
    dataset = SnippetFeatures('features', str(ucf))
    assert len(dataset) == 6
    assert dataset.get_data_info(0)['video_id'] == 'Arson001_x264'


def test_absolute_paths_are_used_as_they_are(ucf, tmp_path):
    (tmp_path / 'other').mkdir()
    (tmp_path / 'other/list.txt').write_text(str(ucf / 'features/Arson/Arson002_x264__0.npy'))
    write_npy(tmp_path / 'other/Arson002_x264__0.npy', 2)
    info = SnippetFeatures('list.txt', str(tmp_path / 'other')).get_data_info(0)
    assert info['num_snippets'] == 5


def test_folders_decide_between_files_of_one_name(ucf):
    shutil.copytree(ucf / 'features', ucf / 'blank')
    with pytest.raises(DataError, match='6 crops are there more than once; name their folder by feature_dir .first: '):
        train_set(ucf, feature_dir='')
    rewrite_list(ucf, lambda text: text.replace('/home/authors/UCFClipFeatures', 'authors/blank'))
    assert train_set(ucf, feature_dir='').get_data_info(0)['feature_paths'][0].startswith(str(ucf / 'blank'))


# ---- what can be wrong ----------------------------------------------------------------------------------------------


def test_missing_files_are_counted_and_the_first_is_named(ucf):
    shutil.rmtree(ucf / 'features/Arson')
    message = (
        r'2 of 6 entries have no feature file among 8 below .*features \(first: .*Arson002_x264__0.npy, .*__1.npy\)'
    )
    with pytest.raises(MissingFileError, match=message):
        train_set(ucf)


def test_everything_wrong_is_one_message(ucf):
    write_npy(ucf / 'features/Arson/Arson002_x264__1.npy', 4)
    (ucf / 'features/Normal/Normal_Videos002_x264__0.npy').write_bytes(b'no')
    (ucf / 'features/Fighting/Fighting002_x264__1.npy').unlink()
    with pytest.raises(MissingFileError) as caught:
        train_set(ucf)
    text = str(caught.value)
    assert '1 of 6 entries have no feature file' in text
    assert '1 feature files cannot be used' in text
    assert 'Normal_Videos002_x264__0.npy is not an .npy file' in text
    assert '1 videos have crops of different lengths or sizes (Arson002_x264, snippets: crop 0 5, crop 1 4)' in text
    assert 'python tools/verify.py' in text


def rewrite_list(root, change, name='train.csv'):
    path = root / name
    path.write_text(change(path.read_text()))


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        (lambda text: text.replace(',Arson', ',Arsons'), r"1 videos have an unknown class \(known: Normal, .*'Arsons'"),
        (
            lambda text: text.replace('1.npy,Arson', '1.npy,Abuse'),
            '1 videos have crops with different labels',
        ),
        (lambda text: text + text.splitlines()[1], '1 entries are listed more than once'),
        (lambda text: '\n'.join(text.splitlines()[:-1]), '1 videos have another number of crops than the 2 of most'),
        (lambda text: text.splitlines()[0], 'train.csv is empty'),
    ],
)
def test_lists_that_cannot_be_used(ucf, change, message):
    rewrite_list(ucf, change)
    with pytest.raises(DataError, match=message):
        train_set(ucf)


def test_unlabeled_names(tmp_path):
    write_npy(tmp_path / 'Basketball001.npy', 3)
    write_npy(tmp_path / 'Makeup001.npy', 3)
    (tmp_path / 'list.txt').write_text('Basketball001.npy\nMakeup001.npy\n')
    with pytest.raises(DataError, match='2 videos have no label .label_from=auto. .first: Basketball001.npy'):
        SnippetFeatures('list.txt', str(tmp_path))


def test_feature_size(ucf):
    with pytest.raises(DataError, match='3 videos have features of another size than feature_dim=512 .*: 8'):
        train_set(ucf, feature_dim=512)
    for crop in (0, 1):
        write_npy(ucf / f'features/Arson/Arson002_x264__{crop}.npy', 5, dim=9)
    with pytest.raises(DataError, match='1 videos have features of another size than the 8 of most .Arson002_x264: 9'):
        train_set(ucf)


@pytest.mark.parametrize(
    ('frames', 'message'),
    [
        (
            64,
            '1 videos have features longer than the video .Arson001_x264: 6 snippets of 16 frames, video of 64 frames',
        ),
        (79, 'longer than the video'),
        (127, 'shorter than the video .Arson001_x264: 6 snippets'),
        (0, 'not whole numbers from 1 to'),
    ],
)
def test_lengths_that_cannot_be(ucf, frames, message):
    (ucf / 'frames.json').write_text(json.dumps({**FRAMES, 'Arson001_x264': frames}))
    with pytest.raises(DataError, match=message):
        test_set(ucf)
    if frames in (79, 127):
        assert len(test_set(ucf, length_tolerance=1)) == 3


@pytest.mark.parametrize('frames', [81, 95, 96, 97, 111, 112])
def test_lengths_that_public_sets_have(ucf, frames):
    (ucf / 'frames.json').write_text(json.dumps({**FRAMES, 'Arson001_x264': frames}))
    assert test_set(ucf).get_data_info(0)['total_frames'] == frames


def test_counts_rounded_down_allow_one_snippet_more(ucf):
    rounded = {'Arson001_x264': 80, 'Fighting001_x264': 48, 'Normal_Videos_001_x264': 64}
    (ucf / 'frames.json').write_text(json.dumps(rounded))
    assert test_set(ucf).get_data_info(0)['total_frames'] == 80


def test_missing_truth(ucf):
    (ucf / 'frames.json').write_text(json.dumps({'Arson001_x264': 100}))
    with pytest.raises(DataError, match='2 videos have no frame count in frames.json .first: Fighting001_x264'):
        test_set(ucf)
    rewrite_list(ucf, lambda text: '\n'.join(text.splitlines()[1:]), 'temporal.txt')
    with pytest.raises(DataError, match='1 anomalous videos have no interval in temporal.txt .Arson001_x264'):
        test_set(ucf, frames_file=None)
    (ucf / 'temporal.txt').write_text(
        'Arson001_x264 Arson 1 2\nFighting001_x264 Fighting 1 2\nNormal_Videos_001_x264 X 1 2'
    )
    with pytest.raises(DataError, match='1 normal videos have intervals in temporal.txt'):
        test_set(ucf, frames_file=None)


@pytest.mark.parametrize(
    ('before', 'after', 'message'),
    [
        (
            '  Arson  ',
            '  Arsn  ',
            r"1 class names in temporal.txt are not among Normal.*Arson001_x264: 'Arsn'. Did you mean 'Ars",
        ),
        ('  Arson  ', '  Abuse  ', '1 videos have another class in temporal.txt .Arson001_x264: Abuse, not Arson'),
        (
            '20  70',
            '5032  5064',
            '1 intervals in temporal.txt lie outside their video .Arson001_x264: 5032 to 5064 of 100',
        ),
        ('20  70', '20  134', 'lie outside their video'),
        ('20  70', '70  20', 'ends before it starts'),
        ('20  70', '20  20', 'no frame'),
        (
            'Arson001_x264.mp4',
            'arson001_x264.mp4',
            '1 names in temporal.txt differ from the video in capital letters only',
        ),
        ('Normal  -1  -1', 'Normal  2  5', '1 normal videos have intervals in temporal.txt'),
    ],
)
@pytest.mark.parametrize('frames_file', ['frames.json', None])
def test_annotation_that_does_not_fit_is_refused(ucf, before, after, message, frames_file):
    rewrite_list(ucf, lambda text: text.replace(before, after), 'temporal.txt')
    if frames_file is None:
        message = message.replace('of 100', 'of 96')
    with pytest.raises(DataError, match=message):
        test_set(ucf, frames_file=frames_file)


def test_capital_letters_of_annotated_classes_make_no_difference(ucf):
    wanted = [info['class_intervals'] for info in infos(test_set(ucf))]
    rewrite_list(ucf, str.lower, 'temporal.txt')
    rewrite_list(
        ucf,
        lambda text: (
            text.replace('arson001', 'Arson001')
            .replace('fighting001', 'Fighting001')
            .replace('normal_videos', 'Normal_Videos')
        ),
        'temporal.txt',
    )
    assert [info['class_intervals'] for info in infos(test_set(ucf))] == wanted
    assert wanted[0] == [(UCF_CRIME_CLASSES.index('Arson'), 20, 70)]


def test_intervals_of_several_classes_without_a_class_of_their_own(tmp_path):
    name = 'v=x__#1_label_B1-G-0'
    write_npy(tmp_path / f'{name}__0.npy', 10)
    (tmp_path / 'list.txt').write_text(f'{name}\n')
    (tmp_path / 'ann.txt').write_text(f'{name} 7 20\n')
    dataset = SnippetFeatures(
        'list.txt', str(tmp_path), classes=XD_VIOLENCE_CLASSES, temporal_ann_file='ann.txt', test_mode=True
    )
    assert dataset.get_data_info(0)['class_intervals'] == [(-1, 7, 20)]
    FrameScoreMetric().dataset_meta = dataset.metainfo
    with pytest.raises(DataError, match=r'SegmentMetric: 1 of 1 videos have intervals whose class .*multiclasses'):
        SegmentMetric().dataset_meta = dataset.metainfo


def test_what_is_worth_a_second_look(ucf):
    rewrite_list(ucf, lambda text: '\n'.join(text.splitlines()[:-2]), 'test.csv')
    [note] = test_set(ucf).notes
    assert '1 of 3 videos of temporal.txt are not in the list (first: Normal_Videos_001_x264)' in note
    [note] = test_set(ucf, temporal_ann_file=None).notes
    assert 'without temporal_ann_file' in note
    rewrite_list(ucf, lambda text: '\n'.join(text.splitlines()[:-1]), 'test.csv')
    with pytest.raises(DataError, match='1 videos have another number of crops than the 1 of most|than the 2 of most'):
        test_set(ucf)
    note = train_set(ucf, ann_file='test.csv', crops='separate').notes[0]
    assert note.startswith('1 of 2 videos have other numbers of crops than the ')


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        (dict(crops='none'), "crops is 'none'"),
        (dict(crops=True), 'crops is True'),
        (dict(snippet_len=0), 'snippet_len'),
        (dict(classes=('Normal',)), 'classes must name'),
        (dict(classes=('Normal', 'Riot', 'riot')), 'not Riot and riot'),
        (dict(classes=('Normal', 'Riot', 'Riot')), 'not Riot and Riot'),
        (dict(interval_mode='open'), "interval_mode is 'open'"),
        (dict(label_from='csv'), "label_from is 'csv'; choose one of auto"),
        (dict(crop_separator='-'), "crop_separator is '-'"),
    ],
)
def test_options_that_cannot_be(ucf, options, message):
    with pytest.raises(ConfigError, match=message):
        train_set(ucf, **options)


def test_places_that_are_not_there(ucf):
    with pytest.raises(MissingFileError, match='ann_file none.csv not found .looked at'):
        train_set(ucf, ann_file='none.csv')
    with pytest.raises(MissingFileError, match='feature_dir nowhere not found'):
        train_set(ucf, feature_dir='nowhere')
    (ucf / 'hollow').mkdir()
    with pytest.raises(MissingFileError, match='feature_dir: there is no .npy file below'):
        train_set(ucf, feature_dir='hollow')
    with pytest.raises(MissingFileError, match='temporal_ann_file none.txt not found'):
        test_set(ucf, temporal_ann_file='none.txt')


def test_frames_are_counted_in_the_videos(ucf, write_video):
    for name, count in (('Arson001_x264', 101), ('Fighting001_x264', 50), ('Normal_Videos_001_x264', 64)):
        write_video(ucf / f'videos/{name}.mp4', count=count)
    dataset = test_set(ucf, video_dir='videos', frames_file='none.json')
    assert [info['total_frames'] for info in infos(dataset)] == [101, 50, 64]
    # The pictures of tested videos show their frames.
    paths = [Path(info['video_path']).name for info in infos(dataset)]
    assert paths == ['Arson001_x264.mp4', 'Fighting001_x264.mp4', 'Normal_Videos_001_x264.mp4']
    (ucf / 'none').mkdir()
    with pytest.raises(MissingFileError, match='3 of 3 videos not found'):
        test_set(ucf, video_dir='none')
