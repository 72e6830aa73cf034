import numpy as np
import pytest

from vadlab.datasets.formats.av_clip_recipe import FrameRecipe, plan_av_clip
from vadlab.datasets.video import index_video
from vadlab.utils.errors import ConfigError, DataError

from ..conftest import _write_video
from ..wildlife_clips import write_clip


@pytest.fixture(scope='module')
def index(tmp_path_factory):
    """30 frames at 10 a second."""
    return index_video(str(write_clip(tmp_path_factory.mktemp('video') / 'a.mp4', 30)))


def test_middle_frames_of_equal_parts(index):
    plan = plan_av_clip(index, FrameRecipe(num_frames=5))
    assert plan.frame_inds.tolist() == [3, 9, 15, 21, 27]
    np.testing.assert_allclose(plan.times, [0.3, 0.9, 1.5, 2.1, 2.7])
    assert (plan.num_frames, plan.fps) == (30, 10.0)
    assert plan.duration == pytest.approx(3.0)


def test_a_part_by_seconds_is_half_open(index):
    plan = plan_av_clip(index, FrameRecipe(num_frames=5), 1.0, 1.5)
    assert plan.frame_inds.tolist() == [10, 11, 12, 13, 14]
    np.testing.assert_allclose(plan.times, np.arange(5) / 10, atol=1e-9)
    assert plan.duration == pytest.approx(0.5)


def test_a_short_clip_repeats_frames_and_a_long_end_is_the_videos(index):
    assert plan_av_clip(index, FrameRecipe(num_frames=4), 2.8, 99.0).frame_inds.tolist() == [28, 28, 29, 29]


def test_a_rate_keeps_as_many_frames_as_the_clip_is_long(index):
    recipe = FrameRecipe(num_frames=8, fps=2.0)
    assert plan_av_clip(index, recipe).frame_inds.tolist() == [2, 7, 12, 17, 22, 27]
    assert plan_av_clip(index, recipe, 1.0, 2.0).frame_inds.tolist() == [12, 17]
    assert len(plan_av_clip(index, FrameRecipe(num_frames=3, fps=2.0)).frame_inds) == 3


def test_variable_rates_are_cut_by_time_stamps(tmp_path):
    times = [0, 1, 2, 3, 30, 31, 60, 61]  # thirtieths of a second
    index = index_video(str(_write_video(tmp_path / 'a.mp4', 8, times=times)))
    plan = plan_av_clip(index, FrameRecipe(num_frames=2), 0.9, 1.9)
    assert plan.frame_inds.tolist() == [4, 5]
    assert plan.num_frames == 2


def test_clips_that_lie_outside_are_errors(index):
    with pytest.raises(DataError, match=r'the clip begins at 5 s, but the video ends at 3\.00 s'):
        plan_av_clip(index, FrameRecipe(), 5.0)
    with pytest.raises(DataError, match=r'no frame is shown from 1\.01 to 1\.05 s'):
        plan_av_clip(index, FrameRecipe(), 1.01, 1.05)


@pytest.mark.parametrize(
    ('options', 'match'),
    [
        (dict(num_frames=0), 'num_frames must be a whole number >= 1'),
        (dict(height=1.5), 'height must be a whole number'),
        (dict(fps=0), 'fps must be > 0'),
        (dict(interpolation='lanczos'), 'Known: bilinear, bicubic, area'),
    ],
)
def test_recipes_that_cannot_be(options, match):
    with pytest.raises(ConfigError, match=match):
        FrameRecipe(**options)
