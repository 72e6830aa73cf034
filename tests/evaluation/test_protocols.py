import numpy as np
import pytest
from scipy.io import savemat

from tests.datasets.one_class_sets import write_avenue, write_mnad, write_ucsd
from vadlab.datasets.formats.temporal_annotations import INTERVAL_MODES
from vadlab.evaluation.protocols import PROTOCOLS, check_classes, read_ground_truth
from vadlab.utils.errors import ConfigError, DataError, MissingFileError

UCF, XD, CAMPUS, AVENUE = (PROTOCOLS[name] for name in ('ucf-crime', 'xd-violence', 'shanghaitech', 'avenue'))

UCF_LINES = """Abuse028_x264.mp4  Abuse  165  240  -1  -1
Arson016_x264.mp4  Arson  1000  1796  -1  -1
Normal_Videos_317_x264.mp4  Normal  -1  -1  -1  -1
"""
UCF_FRAMES = {'Normal_Videos_317_x264': 32, 'Abuse028_x264': 1408, 'Arson016_x264': 1792}
XD_LINES = 'v=S-7__#1_label_B4-G-0 B4 0 10 G 5 20\nv=x__#0_label_G-0-0 G 3 9\n'
XD_FRAMES = {'v=S-7__#1_label_B4-G-0': 32, 'v=x__#0_label_G-0-0': 16, 'v=n__#0_label_A': 48}


def write(folder, text):
    path = folder / 'annotation.txt'
    path.write_text(text)
    return path


def test_ucf_crime_by_hand(tmp_path):
    truth = read_ground_truth(UCF, write(tmp_path, UCF_LINES), UCF_FRAMES)
    # In the order of the frame counts; an interval may reach a snippet beyond the rounded end.
    assert list(truth) == list(UCF_FRAMES)
    assert [video.label for video in truth.values()] == [0, 1, 3]
    assert truth['Arson016_x264'].class_intervals == [(3, 1000, 1796)]
    assert truth['Abuse028_x264'].intervals.tolist() == [[165, 240]]
    assert truth['Normal_Videos_317_x264'].intervals.shape == (0, 2)
    inclusive = read_ground_truth(UCF, write(tmp_path, UCF_LINES), UCF_FRAMES, 'inclusive')
    assert inclusive['Abuse028_x264'].intervals.tolist() == [[165, 241]]


@pytest.mark.parametrize('mode', INTERVAL_MODES)
def test_public_interval_that_ends_a_snippet_after_the_rounded_length(tmp_path, mode):
    lines = 'Shooting046_x264.mp4  Shooting  4630  4768  -1  -1'
    truth = read_ground_truth(UCF, write(tmp_path, lines), {'Shooting046_x264': 4752}, mode)
    assert len(truth['Shooting046_x264'].class_intervals) == 1


def test_xd_violence_lists_no_normal_video_and_has_a_class_for_each_interval(tmp_path):
    truth = read_ground_truth(XD, write(tmp_path, XD_LINES), XD_FRAMES)
    assert truth['v=S-7__#1_label_B4-G-0'].class_intervals == [(3, 0, 10), (6, 5, 20)]
    assert {name: video.label for name, video in truth.items()} == dict(zip(XD_FRAMES, (3, 6, 0), strict=True))
    check_classes(truth, XD.classes)
    plain = read_ground_truth(XD, write(tmp_path, XD_LINES.replace(' B4 ', ' ').replace(' G ', ' ')), XD_FRAMES)
    assert plain['v=S-7__#1_label_B4-G-0'].label == 3
    with pytest.raises(DataError, match=r'1 of 3 videos have intervals whose class .*annotations_multiclasses\.txt'):
        check_classes(plain, XD.classes)


def test_shanghaitech_masks_and_the_normal_videos_of_the_weakly_supervised_split(tmp_path):
    np.save(tmp_path / '01_0014.npy', np.array([0, 1, 1, 0]))
    np.save(tmp_path / '01_0015.npy', np.zeros(3, np.uint8))
    truth = read_ground_truth(CAMPUS, tmp_path)
    assert [(video.num_frames, video.label, video.class_intervals) for video in truth.values()] == [
        (4, 1, [(1, 1, 3)]),
        (3, 0, []),
    ]
    counts = {'01_0014': 4, '01_0015': 3, '01_001': 7}
    assert read_ground_truth(CAMPUS, tmp_path, counts)['01_001'].num_frames == 7
    with pytest.raises(DataError, match=r'1 of 4 videos with a frame count have no annotation .*\(first: 01_0016\)'):
        read_ground_truth(CAMPUS, tmp_path, {**counts, '01_0016': 7})
    with pytest.raises(DataError, match='01_0014: 5 frames by the frame counts, 4 by the masks'):
        read_ground_truth(CAMPUS, tmp_path, {**counts, '01_0014': 5})


def test_avenue_is_named_by_two_digits():
    assert AVENUE.by_video_id({'1': 'a', '12': 'b', 'x': 'c'}) == {'01': 'a', '12': 'b', 'x': 'c'}
    assert UCF.by_video_id({'1': 'a'}) == {'1': 'a'}
    ped2 = PROTOCOLS['ped2'].by_video_id({'01': 'a', 'Test002': 'b', '12': 'c', 'x': 'd'})
    assert ped2 == {'Test001': 'a', 'Test002': 'b', 'Test012': 'c', 'x': 'd'}
    with pytest.raises(DataError, match='1 of 2 videos are named twice'):
        AVENUE.by_video_id({'1': 'a', '01': 'b'})


@pytest.mark.parametrize(
    ('lines', 'counts', 'message'),
    [
        (UCF_LINES, {**UCF_FRAMES, 'Abuse029_x264': 9}, r'1 of 4 .* no annotation .*Did you mean .Abuse028_x264'),
        (UCF_LINES, {'Abuse028_x264': 1408}, r'2 of 3 videos of .* have no frame count \(first: Arson016_x264\)'),
        (
            UCF_LINES.replace('240', '1442'),
            UCF_FRAMES,
            r'1 intervals in .* lie outside .*Abuse028_x264: 165 to 1442 of 1408',
        ),
        (UCF_LINES.replace('165  240', '1408  1410'), UCF_FRAMES, '1408 to 1410 of 1408 frames'),
        (UCF_LINES.replace('165', '265'), UCF_FRAMES, 'ends before it starts: 265 240'),
        (UCF_LINES.replace('165  240', '-1  -1'), UCF_FRAMES, r'anomalous videos have no interval .*Abuse028'),
        (UCF_LINES.replace('Normal  -1  -1', 'Normal  3  9'), UCF_FRAMES, 'normal videos have intervals'),
        (UCF_LINES.replace(' Arson ', ' Arsn '), UCF_FRAMES, r"Arson016_x264: 'Arsn'. Did you mean 'Arson'"),
    ],
)
def test_annotations_that_cannot_be_used(tmp_path, lines, counts, message):
    with pytest.raises(DataError, match=message):
        read_ground_truth(UCF, write(tmp_path, lines), counts)


def test_predictions_of_a_subset(tmp_path):
    path = write(tmp_path, UCF_LINES)
    wanted = ['Abuse028_x264', 'Normal_Videos_317_x264']
    with pytest.raises(
        DataError, match=r'1 of 3 annotated videos have no predictions \(first: Arson016_x264\).*--subset'
    ):
        read_ground_truth(UCF, path, UCF_FRAMES, predicted=wanted)
    truth = read_ground_truth(UCF, path, UCF_FRAMES, predicted=wanted, subset=True)
    assert list(truth) == ['Normal_Videos_317_x264', 'Abuse028_x264']
    with pytest.raises(DataError, match='1 of 1 predictions are of videos that are not in the annotation'):
        read_ground_truth(UCF, path, UCF_FRAMES, predicted=['Abuse029_x264'], subset=True)


def test_frame_counts_of_training_videos_are_not_tested(tmp_path, capsys):
    path = write(tmp_path, UCF_LINES)
    whole = {'Abuse001_x264': 160, **UCF_FRAMES, 'Normal_Videos_001_x264': 320}
    assert read_ground_truth(UCF, path, whole, predicted=list(UCF_FRAMES)) == read_ground_truth(UCF, path, UCF_FRAMES)
    with pytest.raises(DataError, match=r'1 of 4 videos with a frame count have no annotation .*first: Abuse001'):
        read_ground_truth(UCF, path, whole, predicted=['Abuse001_x264', *UCF_FRAMES])
    with pytest.raises(DataError, match=r'1 of 3 annotated videos have no predictions \(first: Arson016_x264\)'):
        read_ground_truth(UCF, path, whole, predicted=list(UCF_FRAMES)[:2])
    # A normal video without an annotation may be a test video whose prediction is missing.
    path.write_text(XD_LINES)
    with pytest.raises(DataError, match='1 of 3 annotated videos have no predictions .*first: v=n__#0_label_A'):
        read_ground_truth(XD, path, {**XD_FRAMES, 'v=t__#0_label_B1-0-0': 9}, predicted=list(XD_FRAMES)[:2])


def test_names_are_compared_before_masks_are_read(tmp_path):
    (tmp_path / '1_label.mat').write_bytes(b'broken')
    savemat(tmp_path / '2_label.mat', {'volLabel': np.ones((2, 2, 3))})
    with pytest.raises(DataError, match='1 of 2 annotated videos have no predictions'):
        read_ground_truth(AVENUE, tmp_path, predicted=['02'])
    with pytest.raises(DataError, match='are not in the annotation .first: 3'):
        read_ground_truth(AVENUE, tmp_path, predicted=['01', '02', '3'])
    truth = read_ground_truth(AVENUE, tmp_path, predicted=['02'], subset=True)
    assert {name: video.num_frames for name, video in truth.items()} == {'02': 3}


def test_capital_letters_of_classes_make_no_difference(tmp_path):
    truth = read_ground_truth(UCF, write(tmp_path, UCF_LINES.replace(' Arson ', ' arson ')), UCF_FRAMES)
    assert truth['Arson016_x264'].class_intervals == [(3, 1000, 1796)]


def test_text_annotations_need_frame_counts(tmp_path):
    with pytest.raises(ConfigError, match='ucf-crime needs the number of frames of each video: --frames'):
        read_ground_truth(UCF, write(tmp_path, UCF_LINES))


def test_one_class_sets_as_they_lie(tmp_path):
    ped2 = PROTOCOLS['ped2']
    root = write_mnad(tmp_path / 'mnad')  # clips 01 and 02 of four and three frames
    truth = read_ground_truth(ped2, root, predicted=['Test001', 'Test002'])
    assert {name: (video.num_frames, video.intervals.tolist()) for name, video in truth.items()} == {
        'Test001': (4, [[1, 3]]), 'Test002': (3, [[1, 3]]),
    }  # fmt: skip
    assert list(read_ground_truth(ped2, root, predicted=['Test002'], subset=True)) == ['Test002']
    with pytest.raises(DataError, match='1 of 1 predictions are of videos that are not in the annotation'):
        read_ground_truth(ped2, root, predicted=['Test003'], subset=True)
    ucsd = read_ground_truth(ped2, write_ucsd(tmp_path / 'ucsd'))
    assert {name: video.intervals.tolist() for name, video in ucsd.items()} == {
        'Test001': [[1, 3]], 'Test002': [[1, 3]],
    }  # fmt: skip
    avenue = read_ground_truth(AVENUE, write_avenue(tmp_path / 'avenue'))
    assert {name: (v.num_frames, v.intervals.tolist()) for name, v in avenue.items()} == {'01': (4, [[1, 2]])}
    (root / 'ped2.mat').unlink()
    (root / 'frame_labels_ped2.npy').unlink()
    with pytest.raises(MissingFileError, match='there is no truth of the test clips'):
        read_ground_truth(ped2, root)
