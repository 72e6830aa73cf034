import numpy as np
import pytest

from vadlab.evaluation.score_files import choose_unit, counts_of_results, read_scores
from vadlab.structures.video_result import RunInfo, VideoResult
from vadlab.utils.errors import DataError, MissingFileError


def test_a_folder_of_npy_and_csv(tmp_path):
    np.save(tmp_path / 'Bad.Boys__#01_label_B2-0.npy', np.array([0.25, 0.5]))
    np.save(tmp_path / 'column.npy', np.array([[1], [0]], np.int64))
    np.save(tmp_path / 'half.npy', np.ones((2, 3), np.float16))
    (tmp_path / 'one.csv').write_text('0.1\n0.2\n')
    (tmp_path / 'named.csv').write_text('frame,score\n0,0.3\n1,0.4\n')
    (tmp_path / 'classes.csv').write_text('Normal,Fire\n0.9,0.1\n')
    (tmp_path / 'README.txt').write_text('not a score')
    scores = read_scores(tmp_path)
    assert {name: array.tolist() for name, array in scores.items()} == {
        'Bad.Boys__#01_label_B2-0': [0.25, 0.5],
        'classes': [[0.9, 0.1]],
        'column': [1.0, 0.0],
        'half': [[1, 1, 1], [1, 1, 1]],
        'named': [0.3, 0.4],
        'one': [0.1, 0.2],
    }
    assert scores['half'].dtype == scores['column'].dtype == np.float32


def test_an_npz_and_names_with_video_endings(tmp_path):
    np.savez(tmp_path / 'scores.npz', **{'Abuse/Abuse028_x264.mp4': np.ones(3), 'b': np.zeros(2)})
    assert set(read_scores(tmp_path / 'scores.npz')) == {'Abuse028_x264', 'b'}


def test_crops_are_averaged_or_chosen(tmp_path):
    for crop, value in ((0, 0.2), (1, 0.4), (5, 0.9)):
        np.save(tmp_path / f'a__{crop}.npy', np.full(2, value))
    np.testing.assert_allclose(read_scores(tmp_path)['a'], [0.5, 0.5])
    assert read_scores(tmp_path, crop=5)['a'].tolist() == [0.9, 0.9]
    with pytest.raises(DataError, match='a has no crop 2; there are 0, 1, 5'):
        read_scores(tmp_path, crop=2)
    np.save(tmp_path / 'a__1.npy', np.ones(3))
    with pytest.raises(DataError, match=r'a: its crops have the shapes \(2,\) and \(3,\)'):
        read_scores(tmp_path)
    # Where other files have no such ending, it is part of the name.
    np.save(tmp_path / 'b.npy', np.ones(3))
    assert set(read_scores(tmp_path)) == {'a__0', 'a__1', 'a__5', 'b'}


def test_a_lost_crop_is_no_other_score(tmp_path):
    for name, crops in (('a', (0, 1)), ('b', (0,)), ('c', (0, 1))):
        for crop in crops:
            np.save(tmp_path / f'{name}__{crop}.npy', np.full(2, 0.1 * crop))
    with pytest.raises(DataError, match=r'1 of 3 videos have other crops .*first: b has 0, not 0, 1\).*--crop'):
        read_scores(tmp_path)
    assert set(read_scores(tmp_path, crop=0)) == {'a', 'b', 'c'}


@pytest.mark.parametrize(
    ('content', 'message'),
    [
        (np.array([0.1, np.nan, np.inf]), 'scores of 1 of 2 cannot be used .first: bad: 2 of 3 scores are NaN'),
        (np.zeros(0), r'shape \(0,\); expected'),
        (np.zeros((2, 2, 2)), r'shape \(2, 2, 2\)'),
        (np.array(['a']), 'is not a number'),
        (np.array([None]), 'bad.npy holds Python objects, no numbers'),
    ],
)
def test_arrays_that_cannot_be_used(tmp_path, content, message):
    np.save(tmp_path / 'good.npy', np.ones(2))
    np.save(tmp_path / 'bad.npy', content)
    with pytest.raises(DataError, match=message):
        read_scores(tmp_path)


def test_files_that_cannot_be_used(tmp_path):
    for source in (tmp_path, tmp_path / 'none.npz'):
        with pytest.raises(MissingFileError, match='There (is|are) no'):
            read_scores(source)
    np.save(tmp_path / 'all.npy', np.ones(3))
    with pytest.raises(DataError, match='holds one array'):
        read_scores(tmp_path / 'all.npy')
    (tmp_path / 'broken.npz').write_bytes(b'PK broken')
    with pytest.raises(DataError, match='is not an .npz file'):
        read_scores(tmp_path / 'broken.npz')
    (tmp_path / 'all.npz').write_bytes((tmp_path / 'all.npy').read_bytes())
    with pytest.raises(DataError, match='is not an .npz file, or is cut short'):
        read_scores(tmp_path / 'all.npz')
    (tmp_path / 'all.csv').write_text('0.1\n')
    with pytest.raises(DataError, match='all is there as .npy and as .csv'):
        read_scores(tmp_path)
    (tmp_path / 'all.npy').unlink()
    (tmp_path / 'all.csv').write_text('score\n0.1\nhigh\n')
    with pytest.raises(DataError, match='all: not a table of numbers'):
        read_scores(tmp_path)


def test_units_are_told_apart_by_length():
    frames = {'a': 1408, 'b': 1536, 'c': 30}
    assert choose_unit(frames, frames) == 'frame'
    assert choose_unit({'a': 1400}, frames) == 'frame'
    assert choose_unit({name: max(1, count // 16) for name, count in frames.items()}, frames) == 'snippet'
    assert choose_unit({'a': 89, 'b': 95}, frames) == 'snippet'


def test_header_of_classes_orders_the_columns(tmp_path):
    (tmp_path / 'a.csv').write_text('fire,Normal\n0.9,0.1\n0.2,0.8\n')
    scores = read_scores(tmp_path, classes=('Normal', 'Fire'))
    np.testing.assert_array_equal(scores['a'], [[0.1, 0.9], [0.8, 0.2]])


def test_header_of_other_classes_is_refused(tmp_path):
    (tmp_path / 'a.csv').write_text('Normal,Fier\n0.9,0.1\n')
    with pytest.raises(
        DataError, match='its header names normal, fier: neither a column score nor the classes Normal, Fire'
    ):
        read_scores(tmp_path, classes=('Normal', 'Fire'))


def test_rows_of_different_widths_are_refused(tmp_path):
    (tmp_path / 'a.csv').write_text('0.9,0.1\n0.2\n')
    with pytest.raises(DataError, match='rows of 1 to 2 columns'):
        read_scores(tmp_path)


def test_results_of_inference_are_scores(tmp_path):
    """Oracle: the scores of the results; names are those of the videos, in folders, too."""
    scores = {name: np.random.default_rng(i).random(5 + i, np.float32) for i, name in enumerate(('Abuse/A_x264', 'B'))}
    for name, values in scores.items():
        times = np.arange(len(values)) / 25
        VideoResult(f'{name}.mp4', f'{name}.mp4', 25.0, (48, 64), values, times, np.arange(2)).save(tmp_path)
    with pytest.raises(MissingFileError, match='no score file'):
        read_scores(tmp_path)
    RunInfo('c.py').save(tmp_path)
    found = read_scores(tmp_path)
    assert list(found) == ['A_x264', 'B']
    for name, values in scores.items():
        np.testing.assert_array_equal(found[name.split('/')[-1]], values)
    assert counts_of_results(tmp_path, found) == {'A_x264': 5, 'B': 6}
    VideoResult.failed('C.mp4', 'C.mp4', 'cut short').save(tmp_path)
    with pytest.raises(DataError, match=r'scores of 1 of 3 cannot be used .*C\.mp4\.npz: the video was not scored'):
        read_scores(tmp_path)


def test_only_results_of_inference_tell_the_number_of_frames(tmp_path):
    """Other scores may be of snippets."""
    np.save(tmp_path / 'A.npy', np.arange(3) / 3)
    assert counts_of_results(tmp_path, read_scores(tmp_path)) is None
    RunInfo('c.py').save(tmp_path)
    assert counts_of_results(tmp_path, read_scores(tmp_path)) is None
    np.savez(tmp_path / 'all.npz', A=np.arange(3) / 3)
    assert counts_of_results(tmp_path / 'all.npz', read_scores(tmp_path / 'all.npz')) is None
