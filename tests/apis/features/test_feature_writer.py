import numpy as np
import pytest

from vadlab.apis.features.feature_writer import FeatureWriter, crop_path, is_done, is_whole, marker_path
from vadlab.utils.json_file import write_json


def test_files_are_what_numpy_would_have_written(tmp_path):
    feats = np.random.default_rng(0).standard_normal((1100, 2, 8)).astype(np.float32)
    writer = FeatureWriter(tmp_path, 'Abuse/a', 8, 2)
    for row in feats:
        writer.add(row)
    assert not list(tmp_path.rglob('[!.]*.npy'))
    writer.finish()
    for k in range(2):
        np.testing.assert_array_equal(np.load(crop_path(tmp_path, 'Abuse/a', k)), feats[:, k].astype(np.float16))
    assert sorted(p.name for p in tmp_path.rglob('*') if p.is_file()) == ['a__0.npy', 'a__1.npy']


def test_a_cut_file_is_not_whole(tmp_path):
    path = tmp_path / 'a__0.npy'
    np.save(path, np.zeros((5, 8), np.float16))
    assert is_whole(path, 8, 'float16', 5)
    assert not is_whole(path, 9)
    assert not is_whole(path, 8, 'float32')
    assert not is_whole(path, 8, rows=6)
    content = path.read_bytes()
    for end in (0, 5, 100, len(content) - 1):
        path.write_bytes(content[:end])
        assert not is_whole(path)
    assert not is_whole(tmp_path / 'gone.npy')


def test_a_video_is_done_only_with_its_note_and_all_crops(tmp_path):
    def done(**changes):
        wanted = {'size': 77, 'crops': 2, 'dim': 8, 'dtype': 'float16', **changes}
        return is_done(tmp_path, 'a', **wanted)

    for k in range(2):
        np.save(crop_path(tmp_path, 'a', k), np.zeros((5, 8), np.float16))
    assert not done()
    write_json(marker_path(tmp_path, 'a'), {'video_bytes': 77, 'crops': 2, 'snippets': 5})
    assert done()
    assert not done(size=78)
    assert not done(crops=1)
    assert not done(dim=9)
    crop_path(tmp_path, 'a', 1).unlink()
    assert not done()
    marker_path(tmp_path, 'a').write_text('{"video')
    assert not done()


def test_numbers_beyond_half_precision_are_counted(tmp_path):
    writer = FeatureWriter(tmp_path, 'a', 3, 1)
    writer.add(np.array([[1e6, 2.0, -1e6]], np.float32))
    assert writer.overflowed == 2
    writer.discard()
    assert not list(tmp_path.rglob('*.npy'))


@pytest.mark.parametrize('dtype', ['float16', 'float32'])
def test_dtype(tmp_path, dtype):
    writer = FeatureWriter(tmp_path, 'a', 3, 1, dtype)
    writer.add(np.ones((1, 3), np.float32))
    writer.finish()
    assert np.load(tmp_path / 'a__0.npy').dtype == dtype
