import numpy as np
import pytest

from vadlab.datasets.formats.feature_files import FeatureShape, open_features, read_feature_shape
from vadlab.utils.errors import DataError


@pytest.mark.parametrize('dtype', [np.float16, np.float32, np.float64])
@pytest.mark.parametrize('shape', [(7, 3), (7, 10, 3), (1, 2048)])
def test_header_equals_numpys_reading(tmp_path, dtype, shape):
    path = str(tmp_path / 'a.npy')
    np.save(path, np.zeros(shape, dtype))
    found = read_feature_shape(path)
    assert found == FeatureShape(shape[0], shape[1] if len(shape) == 3 else None, shape[-1])
    assert open_features(path).shape == shape
    assert isinstance(open_features(path), np.memmap)


def test_columns_first_is_legal(tmp_path):
    path = str(tmp_path / 'a.npy')
    feats = np.arange(6.0).reshape(2, 3).T
    np.save(path, feats)
    assert read_feature_shape(path) == FeatureShape(3, None, 2)
    np.testing.assert_array_equal(open_features(path), feats)


@pytest.mark.parametrize(
    ('content', 'message'),
    [
        (np.zeros((0, 4)), r'has the shape \(0, 4\)'),
        (np.zeros(4), r'has the shape \(4,\)'),
        (np.zeros((3, 11, 4)), 'crops are the second'),
        (np.zeros((3, 4), int), 'holds int64'),
        (np.array([{}], object), 'holds Python objects'),
    ],
)
def test_arrays_that_are_no_features(tmp_path, content, message):
    path = tmp_path / 'a.npy'
    np.save(path, content, allow_pickle=True)
    with pytest.raises(DataError, match=message):
        read_feature_shape(str(path))


def test_damaged_files(tmp_path):
    path = tmp_path / 'a.npy'
    np.save(path, np.zeros((5, 4), np.float32))
    whole = path.read_bytes()
    path.write_bytes(whole[:-8])
    with pytest.raises(DataError, match=f'is cut short: {len(whole) - 8} of {len(whole)} bytes'):
        read_feature_shape(str(path))
    for content in (b'', b'PK\x03\x04 a zip', whole[:40], whole[:8] + b'\xff\xff' + whole[10:]):
        path.write_bytes(content)
        with pytest.raises(DataError, match='^is (empty|not an .npy file|damaged: its header cannot be read)'):
            read_feature_shape(str(path))
        with pytest.raises(DataError, match='is (empty|not an .npy file|damaged)'):
            open_features(str(path))
    with pytest.raises(DataError, match='cannot be read'):
        read_feature_shape(str(tmp_path / 'gone.npy'))
