import numpy as np
import pytest

from vadlab.datasets.formats.temporal_annotations import read_temporal_annotations
from vadlab.evaluation.functional import frame_labels, match_lengths
from vadlab.utils.errors import ConfigError, DataError

# Five lines of UCF-Crime's public list, and those videos' lengths rounded down to multiples of 16.
LINES = """Abuse028_x264.mp4  Abuse  165  240  -1  -1
Abuse030_x264.mp4  Abuse  1275  1360  -1  -1
Arrest001_x264.mp4  Arrest  1185  1485  -1  -1
Arson016_x264.mp4  Arson  1000  1796  -1  -1
Normal_Videos_317_x264.mp4  Normal  -1  -1  -1  -1
"""
NUM_FRAMES = {
    'Abuse028_x264': 1408,
    'Abuse030_x264': 1536,
    'Arrest001_x264': 2368,
    'Arson016_x264': 1792,
    'Normal_Videos_317_x264': 32,
}


@pytest.fixture
def annotations(tmp_path):
    path = tmp_path / 'temporal.txt'
    path.write_text(LINES, encoding='utf-8')
    return read_temporal_annotations(path)


def test_labels_by_hand_from_public_lines(annotations):
    labels = frame_labels(annotations, NUM_FRAMES)
    assert {name: len(label) for name, label in labels.items()} == NUM_FRAMES
    # The interval of Arson016 reaches beyond the rounded length and is cut there.
    assert [int(label.sum()) for label in labels.values()] == [75, 85, 300, 792, 0]
    assert labels['Abuse028_x264'][165]
    assert not labels['Abuse028_x264'][[164, 240]].any()


def test_names_that_lack_an_annotation_or_a_length(annotations):
    with pytest.raises(DataError, match=r'1 of 6 videos have no temporal annotation \(first: Extra001\)'):
        frame_labels(annotations, NUM_FRAMES | {'Extra001': 5})
    fewer = {name: count for name, count in NUM_FRAMES.items() if not name.startswith('Abuse')}
    with pytest.raises(DataError, match=r'2 of 5 videos are annotated but have no frame count \(first: Abuse028'):
        frame_labels(annotations, fewer)


@pytest.mark.parametrize(
    ('policy', 'num_frames', 'expected', 'counted'),
    [
        ('error', 3, [1, 2, 3], 3),
        ('truncate', 2, [1, 2], 2),
        ('truncate', 5, [1, 2, 3], 3),
        ('pad_last', 2, [1, 2], 2),
        ('pad_last', 5, [1, 2, 3, 3, 3], 5),
    ],
)
def test_length_policies_by_hand(policy, num_frames, expected, counted):
    scores, frames = match_lengths('a', np.array([1, 2, 3]), num_frames, policy)
    assert scores.tolist() == expected
    assert frames == counted


def test_class_scores_keep_their_columns():
    scores = np.array([[1, 2], [3, 4]])
    assert match_lengths('a', scores, 4, 'pad_last')[0].tolist() == [[1, 2], [3, 4], [3, 4], [3, 4]]
    assert match_lengths('a', scores, 1, 'truncate')[0].tolist() == [[1, 2]]


def test_other_lengths_are_an_error_that_names_the_video_and_both():
    with pytest.raises(DataError, match=r'Abuse028: 3 scores for 5 frames.*truncate.*pad_last'):
        match_lengths('Abuse028', np.zeros(3), 5)
    with pytest.raises(DataError, match='0 scores for 5 frames'):
        match_lengths('Abuse028', np.zeros(0), 5, 'pad_last')
    with pytest.raises(ConfigError, match='error, truncate, pad_last'):
        match_lengths('Abuse028', np.zeros(5), 5, 'ignore')
