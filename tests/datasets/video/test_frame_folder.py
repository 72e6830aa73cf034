import cv2
import numpy as np
import pytest

from vadlab.datasets.transforms import DecodeFrames
from vadlab.datasets.video import BACKENDS, DamagedVideoError, index_video, read_frames
from vadlab.utils.errors import DataError

from ..conftest import number_picture


def write_frames(folder, numbers, name='{}.png', shape=None):
    """Images with their number drawn into them; names without leading zeros."""
    folder.mkdir(parents=True, exist_ok=True)
    for number in numbers:
        picture = number_picture(number)[..., ::-1]
        cv2.imwrite(str(folder / name.format(number)), picture if shape is None else cv2.resize(picture, shape))
    return folder


@pytest.mark.parametrize('backend', BACKENDS)
def test_a_folder_of_images_is_a_video_in_natural_order(tmp_path, numbers_in, backend):
    folder = str(write_frames(tmp_path / '01', range(12)))
    (tmp_path / '01' / 'notes.txt').write_text('no frame')
    index = index_video(folder)
    assert (index.total_frames, index.height, index.width, index.fps) == (12, 96, 128, 25.0)
    frames = read_frames(folder, np.arange(12), backend=backend)
    assert numbers_in(frames) == list(range(12))
    np.testing.assert_array_equal(frames[10], number_picture(10))
    inds = np.array([11, 2, 2, 10])
    small = read_frames(index, inds, (48, 64), backend)
    assert small.shape == (4, 48, 64, 3)
    assert numbers_in(small) == inds.tolist()
    results = DecodeFrames((48, 64)).transform(dict(video_path=folder, frame_inds=inds))
    np.testing.assert_array_equal(results['frames'], read_frames(index, inds, (48, 64)))


def test_folders_that_are_no_videos(tmp_path):
    (tmp_path / 'empty').mkdir()
    with pytest.raises(DamagedVideoError, match='empty: a folder without images is not a video'):
        index_video(str(tmp_path / 'empty'))
    folder = write_frames(tmp_path / 'mixed', [0, 1])
    write_frames(folder, [2], shape=(64, 48))
    with pytest.raises(DamagedVideoError, match=r'2\.png: 48x64 pixels, the first frame has 96x128'):
        read_frames(str(folder), np.arange(3))
    (folder / '1.png').write_bytes(b'no image')
    with pytest.raises(DataError, match=r'1\.png is not an image'):
        read_frames(str(folder), np.arange(2))


def test_an_image_that_vanishes(tmp_path):
    folder = write_frames(tmp_path / '01', range(3))
    index = index_video(str(folder))
    (folder / '2.png').unlink()
    with pytest.raises(DamagedVideoError, match='01: ends after 2 frames, but frame 2 was expected'):
        read_frames(index, np.arange(3))


def test_a_picture_without_a_number_among_frames_is_named(tmp_path):
    """It would be a frame at one end of the video, and gaps would not be looked for."""
    write_frames(tmp_path / 'a', range(4))
    write_frames(tmp_path / 'a', [9], 'cover.png')
    with pytest.raises(DamagedVideoError, match=r'4 images have a number, and cover\.png has none'):
        index_video(str(tmp_path / 'a'))
    for name in ('one.png', 'two.png', 'three.png'):
        write_frames(tmp_path / 'b', [1], name)
    assert index_video(str(tmp_path / 'b')).total_frames == 3


def test_the_clock_of_a_folder_is_the_given_one_and_that_of_a_file_its_own(tmp_path, write_video):
    write_frames(tmp_path / 'frames', range(3))
    fps, times = index_video(str(tmp_path / 'frames')).clock(3, 10.0)
    assert (fps, times.tolist()) == (10, [0, 0.1, 0.2])
    index = index_video(str(write_video(tmp_path / 'a.mp4', count=4)))  # 30 frames per second
    for total in (4, 5):  # of a file without a count, the index may have another one
        fps, times = index.clock(total, 10.0)
        assert fps == 30
        np.testing.assert_allclose(times, np.arange(total) / 30, atol=1e-3)
