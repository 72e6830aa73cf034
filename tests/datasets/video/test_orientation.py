import itertools

import av
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vadlab.datasets.transforms.decode_frames import DecodeFrames
from vadlab.datasets.transforms.probe_video import ProbeVideo
from vadlab.datasets.video import BACKENDS, DamagedVideoError, Orientation, index_video, read_frames
from vadlab.datasets.video.orientation import UPRIGHT, orientation_of
from vadlab.datasets.video.pyav_reader import stream_in_order
from vadlab.utils.errors import DataError

from ..turned_videos import TURNS, lopsided_picture, write_lopsided


@pytest.fixture(scope='module')
def turned(tmp_path_factory):
    """A video of each orientation, of the same stored frames."""
    folder = tmp_path_factory.mktemp('turned')
    return {name: str(write_lopsided(folder / f'{name}.mp4', matrix=matrix)) for name, (matrix, _) in TURNS.items()}


@pytest.mark.parametrize('backend', BACKENDS)
@pytest.mark.parametrize('name', TURNS)
def test_every_backend_shows_what_a_player_shows(turned, name, backend):
    if backend == 'decord':
        pytest.importorskip('decord')
    stored = read_frames(turned['upright'], np.arange(6), backend=backend)
    expected = np.stack([TURNS[name][1](frame) for frame in stored])
    shown = read_frames(turned[name], np.arange(6), backend=backend)
    np.testing.assert_array_equal(shown, expected)
    index = index_video(turned[name])
    assert (index.height, index.width) == expected.shape[1:3]
    # The corner of the picture, not only the same arithmetic twice.
    corner = TURNS[name][1](lopsided_picture())[2, 2].astype(int)
    assert np.abs(shown[0, 2, 2] - corner).max() < 40


@pytest.mark.parametrize('backend', ['auto', 'opencv'])
@pytest.mark.parametrize('name', TURNS)
def test_scaled_frames_are_those_of_the_stored_picture_turned(turned, name, backend):
    shown = read_frames(turned[name], np.array([1, 4]), (20, 30), backend)
    swapped = TURNS[name][0][0] == 0
    stored = read_frames(turned['upright'], np.array([1, 4]), (30, 20) if swapped else (20, 30), backend)
    np.testing.assert_array_equal(shown, np.stack([TURNS[name][1](frame) for frame in stored]))


def test_decoding_in_order_and_transforms_show_the_same(turned):
    index = index_video(turned['rot90'])
    expected = read_frames(index, np.arange(6), (32, 24))
    pictures = [picture for _, picture in stream_in_order(index, lambda i: True, (32, 24), 'bicubic')]
    np.testing.assert_array_equal(np.stack(pictures), expected)
    results = dict(video_path=turned['rot90'], video_id='v', regions=[], intervals=np.zeros((0, 2), np.int64))
    results = ProbeVideo().transform(results)
    assert results['ori_shape'] == (96, 64)
    results = DecodeFrames((32, 24)).transform({**results, 'frame_inds': np.arange(6)})
    np.testing.assert_array_equal(results['frames'], expected)


def test_a_box_on_the_shown_picture_cuts_out_what_was_drawn_on(turned):
    """The blue corner is at the bottom left as stored; turned by 90 degrees to the right it is at the top left."""
    frame = read_frames(turned['rot90'], np.array([0]), (100, 200))[0]
    x1, y1, x2, y2 = (np.array([0.05, 0.05, 0.45, 0.45]) * [200, 100, 200, 100]).astype(int)
    inside = frame[y1:y2, x1:x2].reshape(-1, 3).mean(0)
    assert inside[2] > 180
    assert inside[:2].max() < 90


@pytest.mark.skipif(not hasattr(av.VideoStream, 'set_display_matrix'), reason='PyAV cannot write one into mkv')
def test_matroska_is_turned_and_decord_refuses_what_it_does_not_see(turned, tmp_path):
    path = tmp_path / 'rot90.mkv'
    with av.open(turned['upright']) as source, av.open(str(path), 'w') as out:
        stream = out.add_stream_from_template(source.streams.video[0])
        stream.set_display_matrix([0, 65536, 0, -65536, 0, 0, 0, 0, 1 << 30])
        for packet in source.demux(video=0):
            if packet.dts is not None:
                packet.stream = stream
                out.mux(packet)
    expected = read_frames(turned['rot90'], np.arange(6))
    for backend in ('auto', 'opencv'):
        np.testing.assert_array_equal(read_frames(str(path), np.arange(6), backend=backend), expected)
    pytest.importorskip('decord')
    with pytest.raises(DataError, match=r"rot90\.mkv: decord does not see how .* Use backend='auto'"):
        read_frames(str(path), np.arange(6), backend='decord')


@pytest.mark.parametrize(
    ('aspect', 'name', 'size'), [('2', 'upright', (64, 192)), ('2', 'rot90', (192, 64)), ('3/4', 'rot180', (64, 72))]
)
def test_pixels_that_are_not_square_widen_the_picture(tmp_path, aspect, name, size):
    path = write_lopsided(tmp_path / 'wide.mp4', aspect=aspect, matrix=TURNS[name][0])
    index = index_video(str(path))
    assert (index.height, index.width) == size
    for backend in ('auto', 'opencv'):
        assert read_frames(index, np.array([0]), backend=backend).shape == (1, *size, 3)
    # At a size asked for, as for normalised boxes, the shape of pixels makes no difference.
    plain = write_lopsided(tmp_path / 'plain.mp4', matrix=TURNS[name][0])
    np.testing.assert_array_equal(*(read_frames(str(p), np.array([0]), (24, 24)) for p in (path, plain)))


def test_a_pixel_a_hundred_times_as_wide_as_high_is_taken_for_a_slip(tmp_path):
    index = index_video(str(write_lopsided(tmp_path / 'odd.mp4', aspect='100')))
    assert (index.height, index.width) == (64, 96)


def test_cached_frames_of_before_are_not_those_of_a_turned_video(turned, tmp_path, monkeypatch):
    results = dict(video_path=turned['rot90'], frame_inds=np.arange(3))
    transform = DecodeFrames((20, 20), cache=dict(dir=str(tmp_path / 'cache'), format='raw'))
    with monkeypatch.context() as patched:
        old = index_video(turned['upright'])
        patched.setattr('vadlab.datasets.transforms.decode_frames.index_video', lambda path: old)
        patched.setattr(
            'vadlab.datasets.transforms.decode_frames.read_frames', lambda *a: np.zeros((3, 20, 20, 3), np.uint8)
        )
        assert not transform.transform(dict(results))['frames'].any()
    assert transform.transform(dict(results))['frames'].any()


class _Frame:
    def __init__(self, matrix):
        from av.sidedata.sidedata import Type

        self.side_data = {} if matrix is None else {Type.DISPLAYMATRIX: np.array(matrix, np.int32).tobytes()}


@given(st.sampled_from(sorted(TURNS)), st.floats(0.2, 4), st.floats(-40, 40), st.integers(-(2**20), 2**20))
def test_scale_shift_and_a_slanted_camera_do_not_change_the_orientation(name, scale, degrees, shift):
    """The nearest right angle counts: a turn by up to 40 degrees more is the same orientation."""
    a, b, c, d = TURNS[name][0]
    sine, cosine = np.sin(np.radians(degrees)), np.cos(np.radians(degrees))
    turn = np.array([[cosine, sine], [-sine, cosine]])
    (a, b), (c, d) = np.array([[a, b], [c, d]]) @ turn * scale * 65536
    found = orientation_of(_Frame([a, b, 0, c, d, 0, shift, -shift, 1 << 30]))
    picture = lopsided_picture(4, 6)
    np.testing.assert_array_equal(found.apply(picture), TURNS[name][1](picture))


def test_without_a_matrix_or_with_an_empty_one_nothing_is_turned():
    assert orientation_of(_Frame(None)) == orientation_of(_Frame([0] * 9)) == UPRIGHT
    assert not UPRIGHT


def test_sizes_and_pictures_agree_for_all_eight():
    picture = lopsided_picture(4, 6)
    seen = set()
    for flags in itertools.product((False, True), repeat=3):
        orientation = Orientation(*flags)
        shown = orientation.apply(picture[None])
        assert shown.shape[1:3] == orientation.size(4, 6)
        assert orientation.size(*orientation.size(4, 6)) == (4, 6)
        seen.add(shown.tobytes() + bytes(shown.shape))
    assert len(seen) == 8


def test_a_damaged_first_frame_is_left_to_decoding(tmp_path, write_video, numbers_in):
    path = write_video(tmp_path / 'a.mp4', count=30, gop=10)
    content = bytearray(path.read_bytes())
    with av.open(str(path)) as container:
        packet = next(container.demux(video=0))
    start = content.index(bytes(packet)[-40:])
    content[start : start + 30] = bytes(30)
    path.write_bytes(content)
    index = index_video(str(path))
    assert (index.total_frames, index.orientation) == (30, UPRIGHT)
    assert numbers_in(read_frames(index, np.array([15, 29]))) == [15, 29]
    with pytest.raises(DamagedVideoError, match=r'a\.mp4'):
        read_frames(index, np.array([0]))
