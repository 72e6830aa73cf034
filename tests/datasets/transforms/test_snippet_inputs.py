import numpy as np
import pytest
import torch

from tests.datasets.feature_sets import write_npy
from vadlab.datasets.transforms.load_features import LoadFeatures
from vadlab.datasets.transforms.pack_snippet_inputs import PackSnippetInputs
from vadlab.datasets.transforms.resample_snippets import ResampleSnippets
from vadlab.utils.errors import DataError


def results(paths, columns=None, **more):
    return dict(
        video_id='Abuse001_x264',
        feature_paths=[str(path) for path in paths],
        crop_columns=columns or [None] * len(paths),
        crop_inds=list(range(len(paths))),
        snippet_len=16,
        total_frames=100,
        class_name='B2-G-0',
        label=2,
        class_labels=[2, 3],
        num_classes=5,
        intervals=np.array([[3, 9]]),
        class_intervals=[(2, 3, 9)],
        **more,
    )


@pytest.fixture
def paths(tmp_path):
    return [write_npy(tmp_path / f'Abuse001_x264__{k}.npy', 6, dim=4) for k in (0, 1)]


def test_packed_sample(paths):
    packed = PackSnippetInputs()(LoadFeatures()(results(paths)))
    assert set(packed) == {'inputs', 'data_samples'}
    inputs, sample = packed['inputs'], packed['data_samples']
    assert inputs.dtype == torch.float16  # as in the file: half of the bytes to the device
    np.testing.assert_array_equal(inputs, np.stack([np.load(path) for path in paths]))
    assert (sample.num_snippets, sample.snippet_len, sample.total_frames) == (6, 16, 100)
    assert (sample.video_id, sample.class_name, sample.gt_label) == ('Abuse001_x264', 'B2-G-0', 2)
    assert sample.gt_classes.tolist() == [0, 0, 1, 1, 0]
    assert sample.gt_intervals.tolist() == [[3, 9]]
    assert sample.gt_class_intervals == [(2, 3, 9)]
    assert sample.feature_paths == [str(path) for path in paths]


def test_number_of_snippets_is_that_after_resampling(paths):
    loaded = ResampleSnippets(4, 'uniform')(LoadFeatures()(results(paths)))
    packed = PackSnippetInputs()(loaded)
    assert packed['inputs'].shape == (2, 4, 4)
    assert packed['data_samples'].num_snippets == 4


def test_columns_of_a_file_of_all_crops(tmp_path):
    path = write_npy(tmp_path / 'a.npy', 6, dim=4, crops=3)
    loaded = LoadFeatures()(results([path, path], columns=[2, 0]))
    np.testing.assert_array_equal(np.stack(loaded['features']), np.load(path)[:, [2, 0]].transpose(1, 0, 2))


def test_features_that_are_not_finite_name_their_file(paths):
    for value in (np.nan, np.inf):
        feats = np.load(paths[1])
        feats[3, 2] = value
        np.save(paths[1], feats)
        with pytest.raises(DataError, match=r'Abuse001_x264: NaN or infinite features in .*Abuse001_x264__1.npy'):
            PackSnippetInputs()(LoadFeatures()(results(paths)))
        with pytest.raises(DataError, match='NaN or infinite'):
            PackSnippetInputs()(ResampleSnippets(2, 'segment_mean')(LoadFeatures()(results(paths))))


def test_file_that_is_gone(paths):
    paths[0].unlink()
    with pytest.raises(DataError, match='Abuse001_x264__0.npy is gone'):
        LoadFeatures()(results(paths))
