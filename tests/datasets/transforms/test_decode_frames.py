import numpy as np
import pytest

from vadlab.datasets.transforms.decode_frames import DecodeFrames
from vadlab.datasets.video import index_video
from vadlab.datasets.video.patch_grid import patch_grid
from vadlab.utils.errors import ConfigError


@pytest.fixture
def results(two_videos):
    path = str(two_videos / 'Videos/Abuse/Abuse001_x264.mp4')
    return dict(video_path=path, frame_inds=np.array([3, 3, 20, 41]), candidate_inds=np.arange(3, 60, 1))


def test_frames_at_the_models_size(results, numbers_in):
    out = DecodeFrames(size=(36, 48))(results)
    assert out['frames'].shape == (4, 36, 48, 3)
    assert out['frames'].dtype == np.uint8
    assert out['img_shape'] == (36, 48)
    assert numbers_in(out['frames']) == [3, 3, 20, 41]


@pytest.mark.parametrize('format', ['jpeg', 'raw'])
def test_cache_serves_other_draws_without_the_video(results, tmp_path, numbers_in, monkeypatch, format):
    transform = DecodeFrames(size=48, cache=dict(dir=str(tmp_path / 'cache'), format=format, max_gb=0.1))
    assert numbers_in(transform(dict(results))['frames']) == [3, 3, 20, 41]
    monkeypatch.setattr('vadlab.datasets.transforms.decode_frames.read_frames', None)
    again = transform({**results, 'frame_inds': np.array([5, 30, 59])})
    assert numbers_in(again['frames']) == [5, 30, 59]


def test_aspect_ratio_is_kept_up_to_whole_patches(results, numbers_in):
    out = DecodeFrames(max_patches=24, patch_size=8)(results)
    index = index_video(results['video_path'])
    rows, columns = (side // 8 for side in out['img_shape'])
    assert (rows, columns) == patch_grid(index.height, index.width, 24)
    assert 12 < rows * columns <= 24
    assert out['frames'].shape == (4, 8 * rows, 8 * columns, 3)
    assert numbers_in(out['frames']) == [3, 3, 20, 41]


def test_raw_cache_is_exact(results, tmp_path):
    cached = DecodeFrames(size=48, cache=dict(dir=str(tmp_path / 'cache'), format='raw'))
    np.testing.assert_array_equal(cached(dict(results))['frames'], DecodeFrames(size=48)(dict(results))['frames'])


def test_approximate_takes_keyframes_and_says_which(results, numbers_in):
    out = DecodeFrames(size=48, approximate=True)(results)
    assert out['frame_inds'].tolist() == [0, 0, 24, 36]
    assert numbers_in(out['frames']) == [0, 0, 24, 36]


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        (dict(size=0), 'size must be one or two whole numbers'),
        (dict(size=(1, 2, 3)), 'size'),
        (dict(), 'give size or max_patches; got size=None and max_patches=None'),
        (dict(size=8, max_patches=9), 'give size or max_patches; got size=8 and max_patches=9'),
        (dict(size=8, backend='ffmpeg'), "no backend 'ffmpeg'"),
        (dict(size=8, cache=dict(dir='x', size=3)), 'cache takes dir, format and max_gb'),
        (dict(size=8, cache=dict(format='raw')), 'cache takes dir'),
    ],
)
def test_options_that_cannot_be(options, message):
    with pytest.raises(ConfigError, match=message):
        DecodeFrames(**options)
