import numpy as np
import pytest
from PIL import Image
from scipy.io import savemat

from tests.datasets.conftest import HEIGHT, WIDTH
from tests.datasets.one_class_sets import SIZE, write_avenue, write_frames, write_masks, write_mnad, write_ucsd
from tests.datasets.wildlife_clips import write_clip
from vadlab.datasets.one_class_videos import OneClassVideos
from vadlab.datasets.video import index_video
from vadlab.utils.errors import ConfigError, DataError, MissingFileError

PIPELINE = [dict(type='ProbeVideo'), dict(type='LoadPixelTruth'), dict(type='PackOneClassInputs')]


def truth(dataset):
    """Anomalous frames by clip."""
    infos = [dataset.get_data_info(i) for i in range(len(dataset))]
    return {info['video_id']: info['intervals'].tolist() for info in infos}


def test_ucsd_tree_by_masks_and_by_the_authors_intervals(tmp_path):
    root = write_ucsd(tmp_path / 'UCSDped2')
    assert truth(OneClassVideos(str(root), 'train')) == {'Train001': []}
    assert truth(OneClassVideos(str(root), 'test')) == {'Test001': [[1, 3]], 'Test002': [[1, 3]]}
    by_intervals = OneClassVideos(str(root), 'test', labels='intervals')
    assert truth(by_intervals) == {'Test001': [[1, 3]], 'Test002': [[0, 1], [2, 4]]}
    assert 'not used: masks' in by_intervals.truth_text


def test_the_archive_around_the_set_is_entered_and_two_sets_are_refused(tmp_path):
    write_ucsd(tmp_path / 'UCSDped2')
    assert len(OneClassVideos(str(tmp_path), 'test')) == 2
    write_ucsd(tmp_path / 'UCSDped1')
    with pytest.raises(DataError, match=r'several data sets \(UCSDped1, UCSDped2\). Give one of them'):
        len(OneClassVideos(str(tmp_path), 'test'))


def test_mnad_tree_by_mat_and_by_joined_labels(tmp_path):
    root = write_mnad(tmp_path)
    assert truth(OneClassVideos(str(root), 'test')) == {'01': [[1, 3]], '02': [[1, 3]]}
    assert truth(OneClassVideos(str(root), 'test', labels='joined')) == {'01': [], '02': [[2, 3]]}
    (root / 'testing' / 'frames' / '02' / '002.jpg').unlink()
    with pytest.raises(DataError, match='has 7 labels, the 2 test clips have 6 frames'):
        len(OneClassVideos(str(root), 'test', labels='joined'))
    with pytest.raises(DataError, match='anomalous up to frame 3 in 02, which has 2 frames'):
        len(OneClassVideos(str(root), 'test'))


def test_masks_beside_an_mnad_tree_count_by_the_number_in_the_name(tmp_path):
    root = write_mnad(tmp_path)
    for i, count in ((1, 4), (2, 3)):
        write_masks(root / 'pixel_masks' / f'Test{i:03d}_gt', [1] + [0] * (count - 1), 'png')
    assert truth(OneClassVideos(str(root), 'test')) == {'01': [[0, 1]], '02': [[0, 1]]}


def test_avenue_tree(tmp_path):
    dataset = OneClassVideos(str(write_avenue(tmp_path)), 'test', PIPELINE)
    assert truth(dataset) == {'01': [[1, 2]]}
    tracks = dataset[0]['data_samples'].gt_tracks
    assert (tracks.frame_inds.tolist(), tracks.boxes_xyxy.tolist()) == ([1], [[4, 3, 4, 3]])


def test_shanghaitech_tree(tmp_path):
    write_frames(tmp_path / 'training' / 'frames' / '01_001', 4)
    write_frames(tmp_path / 'testing' / 'frames' / '01_0014', 4)
    (tmp_path / 'testing' / 'test_frame_mask').mkdir()
    np.save(tmp_path / 'testing' / 'test_frame_mask' / '01_0014.npy', np.array([0, 0, 1, 1]))
    (tmp_path / 'testing' / 'test_pixel_mask').mkdir()
    pixels = np.zeros((4, *SIZE), np.uint8)
    pixels[2, 5, 6] = 1
    np.save(tmp_path / 'testing' / 'test_pixel_mask' / '01_0014.npy', pixels)
    dataset = OneClassVideos(str(tmp_path), 'test', PIPELINE)
    assert truth(dataset) == {'01_0014': [[2, 4]]}
    assert dataset[0]['data_samples'].gt_tracks.boxes_xyxy.tolist() == [[6, 5, 6, 5]]
    assert truth(OneClassVideos(str(tmp_path), 'train')) == {'01_001': []}
    write_frames(tmp_path / 'testing' / 'frames' / '01_0015', 4)
    with pytest.raises(DataError, match=r"1 of 2 test clips have no truth in .*\(first: 01_0015\).*labels='none'"):
        len(OneClassVideos(str(tmp_path), 'test'))


def test_ubnormal_tree(tmp_path):
    scene = tmp_path / 'Scene1'
    for name in ('normal_scene_1_scenario_1', 'normal_scene_1_scenario_2', 'abnormal_scene_1_scenario_4'):
        write_clip(scene / f'{name}.mp4', 4)
    folder = scene / 'abnormal_scene_1_scenario_4_annotations'
    folder.mkdir()
    (folder / 'abnormal_scene_1_scenario_4_tracks.txt').write_text('2,1,2\n3,2,2\n')

    for i in range(4):
        values = np.zeros((HEIGHT, WIDTH), np.uint8)
        values[1, 2], values[4, 5] = 1, 2
        Image.fromarray(values).save(folder / f'abnormal_scene_1_scenario_4_{i:04d}_gt.png')
    lists = {'normal_training': 'normal_scene_1_scenario_1', 'normal_test': 'normal_scene_1_scenario_2'}
    for kind, name in (lists | {'abnormal_test': 'abnormal_scene_1_scenario_4'}).items():
        (tmp_path / f'{kind}_video_names.txt').write_text(f'{name}\n')
    assert truth(OneClassVideos(str(tmp_path), 'train')) == {'normal_scene_1_scenario_1': []}
    dataset = OneClassVideos(str(tmp_path), 'test', PIPELINE)
    assert truth(dataset) == {'abnormal_scene_1_scenario_4': [[1, 3]], 'normal_scene_1_scenario_2': []}
    # Object 1 is no anomaly; object 3 has no pixels.
    assert dataset[0]['data_samples'].gt_tracks.boxes_xyxy.tolist() == [[5, 4, 5, 4]] * 2


def test_a_plain_folder_of_videos_and_frame_folders(tmp_path):
    write_clip(tmp_path / 'train' / 'day1.mp4', 4)
    write_frames(tmp_path / 'train' / 'day2', 4, 'frame-{}.png')
    write_clip(tmp_path / 'test' / 'day3.mp4', 4)
    assert list(truth(OneClassVideos(str(tmp_path), 'train'))) == ['day1', 'day2']
    with pytest.raises(DataError, match=r'no truth for the 1 test clips.*Add truth/NAME.npy'):
        len(OneClassVideos(str(tmp_path), 'test'))
    without = OneClassVideos(str(tmp_path), 'test', PIPELINE, labels='none')
    assert 'gt_intervals' not in without[0]['data_samples']
    (tmp_path / 'truth').mkdir()
    np.save(tmp_path / 'truth' / 'day3.npy', np.array([0, 1, 0, 0, 0]))
    with pytest.raises(DataError, match='day3.mp4: 4 frames, but the truth has 5'):
        OneClassVideos(str(tmp_path), 'test', PIPELINE)[0]
    np.save(tmp_path / 'truth' / 'day3.npy', np.array([0, 1, 0, 0]))
    assert OneClassVideos(str(tmp_path), 'test', PIPELINE)[0]['data_samples'].gt_intervals.tolist() == [[1, 2]]
    np.save(tmp_path / 'truth' / 'day2.npy', np.array([0, 1, 0, 0]))
    with pytest.raises(DataError, match=r'1 training clips have anomalous frames.*first: day2\).*must be normal'):
        len(OneClassVideos(str(tmp_path), 'train'))


def test_masks_beside_training_clips_must_be_normal(tmp_path):
    write_ucsd(tmp_path)
    write_masks(tmp_path / 'Train' / 'Train001_gt', [0] * 5)
    assert len(OneClassVideos(str(tmp_path), 'train')) == 1
    (tmp_path / 'Train' / 'Train001_gt').rename(tmp_path / 'normal')
    write_masks(tmp_path / 'Train' / 'Train001_gt', [0, 0, 1, 0, 0])
    with pytest.raises(DataError, match=r'1 training clips have anomalous frames in the masks .*first: Train001_gt\)'):
        len(OneClassVideos(str(tmp_path), 'train'))


def test_videos_without_subfolders_are_both_splits(tmp_path):
    write_clip(tmp_path / 'a.mp4', 4)
    assert truth(OneClassVideos(str(tmp_path), 'train')) == {'a': []}
    assert truth(OneClassVideos(str(tmp_path), 'test', labels='none')) == {'a': []}


def test_the_footage_of_a_camera_may_lie_in_folders_by_day_without_test_clips_and_truth(tmp_path):
    write_clip(tmp_path / 'train' / 'monday' / 'am' / '01.mp4', 4)
    write_clip(tmp_path / 'train' / 'tuesday' / '01.mp4', 4)
    write_frames(tmp_path / 'train' / 'wednesday' / 'cut', 4)
    clips = ['monday_am_01', 'tuesday_01', 'wednesday_cut']
    assert list(truth(OneClassVideos(str(tmp_path), 'train'))) == clips
    with pytest.raises(MissingFileError, match='there is no folder test or testing'):
        len(OneClassVideos(str(tmp_path), 'test'))
    assert list(truth(OneClassVideos(str(tmp_path), 'test', labels='optional'))) == clips
    write_clip(tmp_path / 'test' / 'new.mp4', 4)
    tests = OneClassVideos(str(tmp_path), 'test', PIPELINE, labels='optional')
    assert 'gt_intervals' not in tests[0]['data_samples']
    (tmp_path / 'truth').mkdir()
    np.save(tmp_path / 'truth' / 'new.npy', np.array([0, 1, 1, 0]))
    assert truth(OneClassVideos(str(tmp_path), 'test', labels='optional')) == {'new': [[1, 3]]}


def test_short_clips_of_frames(tmp_path):
    write_frames(tmp_path / 'train' / 'a', 7)
    write_frames(tmp_path / 'train' / 'b', 3)
    decode = [dict(type='ProbeVideo'), dict(type='DecodeFrames', size=8), dict(type='PackOneClassInputs')]
    options = dict(clip_len=3, clip_stride=2, frame_interval=2)
    dataset = OneClassVideos(str(tmp_path), 'train', decode, **options)
    assert [dataset.get_data_info(i)['frame_inds'].tolist() for i in range(2)] == [[0, 2, 4], [2, 4, 6]]
    assert len(dataset) == 2
    assert dataset.notes == ['b is left out: 3 frames, a sample has 5']
    assert dataset[1]['inputs'].shape == (3, 3, 8, 8)
    with pytest.raises(DataError, match='no train clip of .* has 9 frames'):
        len(OneClassVideos(str(tmp_path), 'train', clip_len=9))


def test_two_objects_cross_and_keep_their_tracks(tmp_path):
    write_frames(tmp_path / 'Test' / 'Test001', 3, '{:03d}.tif')
    write_frames(tmp_path / 'Train' / 'Train001', 3, '{:03d}.tif')

    folder = tmp_path / 'Test' / 'Test001_gt'
    folder.mkdir()
    for i in range(3):
        mask = np.zeros(SIZE, np.uint8)
        mask[2:6, 2 + i : 6 + i] = 255  # goes right
        mask[10:14, 20 - i : 24 - i] = 255  # goes left
        Image.fromarray(mask).save(folder / f'{i + 1:03d}.bmp')
    tracks = OneClassVideos(str(tmp_path), 'test', PIPELINE)[0]['data_samples'].gt_tracks
    assert tracks.track_ids.tolist() == [0, 1, 0, 1, 0, 1]
    assert tracks.boxes_xyxy[4].tolist() == [4, 2, 7, 5]


def test_masks_of_another_size_or_count(tmp_path):
    root = write_ucsd(tmp_path)

    Image.fromarray(np.zeros((5, 5), np.uint8)).save(root / 'Test' / 'Test001_gt' / '002.bmp')
    with pytest.raises(DataError, match='different sizes, 5x5 and 32x24'):
        len(OneClassVideos(str(root), 'test'))
    for i in range(4):
        Image.fromarray(np.full((5, 5), 255, np.uint8)).save(root / 'Test' / 'Test001_gt' / f'{i + 1:03d}.bmp')
    with pytest.raises(DataError, match='mask 0 has 5x5 pixels, its frame 24x32'):
        OneClassVideos(str(root), 'test', PIPELINE)[0]
    (root / 'Test' / 'Test001' / '004.tif').unlink()
    with pytest.raises(DataError, match='4 masks in .* for 3 frames'):
        len(OneClassVideos(str(root), 'test'))


def test_a_gap_in_the_numbers_of_frames_is_refused(tmp_path):
    write_frames(tmp_path / 'train' / 'a', 6)
    (tmp_path / 'train' / 'a' / '003.jpg').unlink()
    with pytest.raises(DataError, match='after frame 2 comes frame 4. Copy the missing frames'):
        len(OneClassVideos(str(tmp_path), 'train'))


def test_every_reader_of_a_folder_of_frames_refuses_a_gap_in_the_same_words(tmp_path):
    write_frames(tmp_path / 'train' / 'a', 6)
    assert index_video(str(tmp_path / 'train' / 'a')).total_frames == 6
    (tmp_path / 'train' / 'a' / '003.jpg').unlink()
    with pytest.raises(DataError) as of_the_set:
        len(OneClassVideos(str(tmp_path), 'train'))
    with pytest.raises(DataError) as of_the_folder:
        index_video(str(tmp_path / 'train' / 'a'))
    assert str(of_the_folder.value) == str(of_the_set.value)


def test_other_faults(tmp_path):
    with pytest.raises(MissingFileError, match='there is no folder'):
        len(OneClassVideos(str(tmp_path / 'none')))
    with pytest.raises(MissingFileError, match='there is no clip, neither a video'):
        len(OneClassVideos(str(tmp_path)))
    write_frames(tmp_path / 'direct' / 'train', 3)
    with pytest.raises(MissingFileError, match='3 pictures lie directly in the folder. The frames of each clip need a'):
        len(OneClassVideos(str(tmp_path / 'direct')))
    root = write_mnad(tmp_path / 'set')
    with pytest.raises(ConfigError, match="no split='val'. Known: train, test"):
        OneClassVideos(str(root), 'val')
    with pytest.raises(ConfigError, match='clip_len must be a whole number'):
        OneClassVideos(str(root), clip_len=2.5)
    with pytest.raises(ConfigError, match=r'1 of 2 videos= are no train clips of .* \(first: 07\)'):
        len(OneClassVideos(str(root), 'train', videos=['01', '07']))
    with pytest.raises(MissingFileError, match="labels='masks' reads Test001_gt.*Found: intervals, joined"):
        len(OneClassVideos(str(root), 'test', labels='masks'))
    savemat(root / 'ped2.mat', {'gt': np.array([[np.zeros((3, 1))]], object)})
    with pytest.raises(DataError, match=r'gt of clip 1 has .*wanted \(2, K\)'):
        len(OneClassVideos(str(root), 'test'))
