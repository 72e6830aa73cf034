import os

import numpy as np
import pytest

from vadlab.apis.features import snippet_source
from vadlab.apis.features.snippet_plan import SnippetPlan
from vadlab.apis.features.snippet_source import Ended, Failed, Opened, Snippet, SnippetSource
from vadlab.apis.features.video_list import VideoItem
from vadlab.datasets.video import index_video, read_frames
from vadlab.utils.errors import DataError


def item(path):
    return VideoItem(str(path), path.stem, os.path.getsize(path))


@pytest.fixture(scope='module')
def videos(tmp_path_factory, write_coloured):
    folder = tmp_path_factory.mktemp('videos')
    write_coloured(folder / 'planned.mp4', 45, 1)
    write_coloured(folder / 'counted.avi', 45, 2, codec='mpeg4')
    write_coloured(folder / 'short.avi', 3, 3, codec='mpeg4')
    return folder


@pytest.mark.parametrize('name', ['planned.mp4', 'counted.avi', 'short.avi'])
@pytest.mark.parametrize(
    'plan',
    [
        dict(snippet_len=16), dict(snippet_len=16, frames='all'), dict(snippet_len=8, stride=3, frames=4),
        dict(snippet_len=4, stride=10, frames='all'), dict(snippet_len=16, frames='all', tail='pad'),
        dict(snippet_len=16, frames='first', tail='shift'),
    ],
)  # fmt: skip
def test_snippets_are_the_frames_of_the_plan(videos, name, plan):
    plan = SnippetPlan(**plan)
    path = videos / name
    opened, *snippets, ended = SnippetSource(plan, (24, 32), 24).snippets_of(item(path))
    total = index_video(str(path)).total_frames
    inds = plan.frame_inds(total)
    assert isinstance(opened, Opened)
    assert (ended.snippets, ended.total_frames) == (len(inds), total)
    assert len(snippets) == len(inds)
    for snippet, row in zip(snippets, inds, strict=True):
        expected = read_frames(str(path), row, (24, 32), interpolation='bilinear')
        np.testing.assert_array_equal(snippet.frames, expected)


@pytest.mark.parametrize(('name', 'opens'), [('planned.mp4', 2), ('counted.avi', 2)])
def test_a_file_is_demuxed_once_and_decoded_once(videos, name, opens, monkeypatch):
    """An AVI's frames are counted while its snippets are made."""
    from vadlab.datasets.video import pyav_reader, video_index

    calls = []
    open_video = video_index.open_video

    def counted(path):
        calls.append(path)
        return open_video(path)

    for module in (pyav_reader, video_index):
        monkeypatch.setattr(module, 'open_video', counted)
    list(SnippetSource(SnippetPlan(16), 24, 24).snippets_of(item(videos / name)))
    assert len(calls) == opens


def test_opencv_scales_after_converting(videos):
    import cv2

    path = videos / 'planned.mp4'
    (frames,) = (
        x.frames
        for x in SnippetSource(SnippetPlan(45, frames='first'), (24, 30), 24, resizer='opencv').snippets_of(item(path))
        if isinstance(x, Snippet)
    )
    expected = cv2.resize(read_frames(str(path), np.array([0]))[0], (30, 24), interpolation=cv2.INTER_LINEAR)
    np.testing.assert_array_equal(frames[0], expected)


def test_the_shorter_side_keeps_the_aspect_ratio(videos):
    source = SnippetSource(SnippetPlan(45), 24, 24)
    (frames,) = (x.frames for x in source.snippets_of(item(videos / 'counted.avi')) if isinstance(x, Snippet))
    assert frames.shape == (1, 24, 32, 3)


def test_blank_frames_are_not_decoded(videos, monkeypatch):
    monkeypatch.setattr(snippet_source, 'stream_pyav', None)
    items = list(SnippetSource(SnippetPlan(16), 24, 24, blank=True).snippets_of(item(videos / 'planned.mp4')))
    assert [x.frames.any() for x in items if isinstance(x, Snippet)] == [False, False]


def test_threads_deliver_each_video_in_order(videos, tmp_path):
    (tmp_path / 'text.mp4').write_text('no video' * 99)
    found = [item(videos / n) for n in ('planned.mp4', 'counted.avi', 'short.avi')] + [item(tmp_path / 'text.mp4')]
    delivered = list(SnippetSource(SnippetPlan(4), 24, 24, workers=3)(found))
    for video in found[:3]:
        kinds = [type(x) for x in delivered if x.video is video]
        total = index_video(video.path).total_frames
        assert kinds == [Opened, *[Snippet] * max(total // 4, 1), Ended]
    assert [type(x) for x in delivered if x.video is found[3]] == [Failed]


def test_a_fault_of_ours_is_no_bad_video(videos, monkeypatch):
    source = SnippetSource(SnippetPlan(4), 24, 24)
    monkeypatch.setattr(source, 'snippets_of', lambda video: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        list(source([item(videos / 'planned.mp4')]))
    monkeypatch.setattr(source, 'snippets_of', lambda video: (_ for _ in ()).throw(DataError('bad')))
    assert [x.reason for x in source([item(videos / 'planned.mp4')])] == ['bad']
