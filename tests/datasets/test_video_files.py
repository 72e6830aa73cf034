import re

import pytest

from vadlab.datasets.video_files import VideoFiles
from vadlab.utils.errors import ConfigError, DataError, MissingFileError

CLASSES = ('Normal', 'Abuse', 'Arson')
NAMES = [
    'Abuse/Abuse001.mp4',
    'Abuse/Abuse002.mp4',
    'Arson/Arson001.mp4',
    'Normal/Normal_001.mp4',
    'Normal/Normal_002.mp4',
]


@pytest.fixture
def root(tmp_path):
    """Empty files as videos: the data set does not open them."""
    for name in NAMES:
        (tmp_path / 'Videos' / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / 'Videos' / name).touch()
    (tmp_path / 'test.txt').write_text('Abuse002.mp4 Abuse 3 9 -1 -1\nNormal_002.mp4 Normal -1 -1 -1 -1\n')
    (tmp_path / 'train.txt').write_text('Abuse/Abuse001.mp4\nArson001\nNormal/Normal_001.mp4\n')
    return tmp_path


def samples(root, **options):
    dataset = VideoFiles(data_root=str(root), classes=CLASSES, **options)
    return {one['video_id']: one for one in (dataset.get_data_info(i) for i in range(len(dataset)))}


def test_videos_of_a_temporal_list(root):
    found = samples(root, temporal_ann_file='test.txt', test_mode=True)
    assert list(found) == ['Abuse002', 'Normal_002']
    assert found['Abuse002']['intervals'].tolist() == [[3, 9]]
    assert (found['Abuse002']['label'], found['Normal_002']['label']) == (1, 0)
    assert found['Normal_002']['intervals'].shape == (0, 2)
    assert found['Abuse002']['video_path'] == str(root / 'Videos/Abuse/Abuse002.mp4')


def test_videos_of_a_list_take_their_class_from_the_path(root):
    found = samples(root, ann_file='train.txt')
    assert {name: one['label'] for name, one in found.items()} == {'Abuse001': 1, 'Arson001': 2, 'Normal_001': 0}


def test_folder_without_the_videos_of_the_test(root):
    assert list(samples(root, ann_file='Videos', without='test.txt')) == ['Abuse001', 'Arson001', 'Normal_001']


def test_folder_with_intervals_of_some(root):
    """XD-Violence's list names only anomalous videos: the others of the folder are normal."""
    (root / 'Videos/a').mkdir()
    (root / 'xd.txt').write_text('v=1__#1_label_B1-0-0 5 9\n')
    for name in ('v=1__#1_label_B1-0-0.mp4', 'v=2_label_A.mp4'):
        (root / 'Videos/a' / name).touch()
    dataset = VideoFiles(
        ann_file='Videos/a', data_root=str(root), temporal_ann_file='xd.txt', classes=('A', 'B1', 'G'), test_mode=True
    )
    found = [dataset.get_data_info(i) for i in range(2)]
    assert [(one['label'], one['intervals'].tolist()) for one in found] == [(1, [[5, 9]]), (0, [])]


def test_parts_of_a_list_are_disjoint_and_have_both_kinds(root):
    kept, held_out = (samples(root, ann_file='Videos', every=2, part=part) for part in ('kept', 'held_out'))
    assert list(kept) == ['Normal_001', 'Abuse001', 'Arson001']
    assert list(held_out) == ['Normal_002', 'Abuse002']


def test_subset_is_spread_over_the_list(root):
    assert list(samples(root, ann_file='Videos', max_videos=2)) == ['Abuse001', 'Normal_002']
    assert len(samples(root, ann_file='Videos', max_videos=9)) == 5


def test_feature_lists_name_each_video_once(root):
    (root / 'crops.txt').write_text('x/Abuse001__0.npy\nx/Abuse001__1.npy\nx/Normal_001__0.npy\n')
    assert list(samples(root, ann_file='crops.txt')) == ['Abuse001', 'Normal_001']


@pytest.mark.parametrize(
    ('options', 'error', 'message'),
    [
        ({}, ConfigError, 'give ann_file'),
        (dict(ann_file='train.txt', part='kept'), ConfigError, "part='kept' with every=None"),
        (dict(ann_file='train.txt', every=1, part='kept'), ConfigError, 'every >= 2'),
        (dict(ann_file='train.txt', max_videos=0), ConfigError, 'max_videos'),
        (dict(ann_file='train.txt', label_from='guess'), ConfigError, "label_from='guess'"),
        (dict(ann_file='none.txt'), MissingFileError, 'ann_file none.txt not found'),
        (dict(ann_file='missing.txt'), MissingFileError, '1 of 1 videos not found'),
        (dict(ann_file='unnamed.txt'), DataError, 'videos have no class'),
        (dict(ann_file='odd.txt'), DataError, 'unknown class'),
        (dict(ann_file='Videos', every=9, part='held_out'), DataError, 'no video is held out: of 5 videos there are'),
        (dict(ann_file='Videos', without='all.txt'), DataError, 'no video is left without those of all.txt'),
    ],
)
def test_lists_that_cannot_be_used(root, options, error, message):
    (root / 'missing.txt').write_text('Abuse/Abuse999.mp4\n')
    (root / 'unnamed.txt').write_text('clip.mp4\n')
    (root / 'odd.txt').write_text('Abuse/Abuse001.mp4 Robbery\n')
    (root / 'clip.mp4').touch()
    names = ('Normal_001', 'Normal_002', 'Abuse001', 'Abuse002', 'Arson001')
    (root / 'all.txt').write_text(''.join(f'{name}.mp4  Abuse  1  2  -1  -1\n' for name in names))
    with pytest.raises(error, match=re.escape(message)):
        samples(root, **options)
