import dataclasses
import gc
import os

import av
import numpy as np
import pytest

from vadlab.datasets.video import DamagedVideoError, index_video, read_frames, video_index
from vadlab.datasets.video.pyav_reader import _planned, _sequential, plan_packets, stream_pyav
from vadlab.datasets.video.video_index import hold_video
from vadlab.utils.errors import ConfigError, DataError, MissingFileError

IRREGULAR = [2 * i + (i * 7 % 3 == 0) for i in range(60)]
# name, how it is written, and whether its packets can be planned from
KINDS = {
    'h264_gop250.mp4': (dict(), True),
    'h264_gop12.mp4': (dict(gop=12), True),
    'h264_bframes.mp4': (dict(gop=20, b_frames=3), True),
    'h264_bframes.mkv': (dict(gop=20, b_frames=3), True),
    'h264_open_gop.mp4': (dict(gop=12, b_frames=3, options={'x264-params': 'open-gop=1:scenecut=0:b-adapt=0'}), True),
    'h264_refresh.mp4': (dict(gop=12, b_frames=0, options={'x264-params': 'intra-refresh=1'}), True),
    'h264_interlaced.mp4': (dict(gop=20, options={'x264-params': 'tff=1'}), True),
    'h264_variable.mkv': (dict(gop=20, times=IRREGULAR), True),
    'h264.avi': (dict(gop=20, b_frames=3), False),
    'h264.ts': (dict(gop=20), False),
    'hevc.mp4': (dict(codec='libx265', gop=20, options={'x265-params': 'log-level=none'}), True),
    'hevc_open.mp4': (
        dict(
            codec='libx265', gop=12, options={'x265-params': 'log-level=none:open-gop=1:scenecut=0:b-adapt=0:bframes=3'}
        ),
        True,
    ),
    'mpeg4.mp4': (dict(codec='mpeg4', gop=12, b_frames=2), True),
    'mpeg4.avi': (dict(codec='mpeg4', gop=12, b_frames=2), False),
    'vp9.webm': (dict(codec='libvpx-vp9', gop=20, options={'deadline': 'realtime', 'cpu-used': '8'}), True),
}


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp('kinds')


@pytest.mark.parametrize('name', KINDS)
def test_right_frames_and_equal_to_sequential_bit_for_bit(folder, write_video, numbers_in, name):
    how, plannable = KINDS[name]
    path = write_video(folder / name, **how)
    index = index_video(str(path))
    assert index.total_frames == 60
    assert (index.why_sequential == '') is plannable
    generator = np.random.default_rng(0)
    everything = np.arange(60)
    reference = np.stack(list(_sequential(index, everything, (96, 128), 'bicubic')))
    assert numbers_in(reference) == everything.tolist()
    for inds in (everything, np.arange(3, 60, 7), *(np.unique(generator.integers(0, 60, n)) for n in (1, 2, 3, 5, 20))):
        np.testing.assert_array_equal(read_frames(str(path), inds, (96, 128)), reference[inds])


@pytest.mark.parametrize('name', [n for n, (_, plannable) in KINDS.items() if plannable and 'refresh' not in n])
def test_the_plan_itself_holds_without_falling_back(folder, write_video, numbers_in, name):
    path = write_video(folder / f'planned_{name}', **KINDS[name][0])
    index = index_video(str(path))
    inds = np.array([1, 11, 12, 13, 30, 47, 59])
    assert numbers_in(np.stack(list(_planned(index, inds, (48, 64), 'area')))) == inds.tolist()


@pytest.mark.parametrize('name', KINDS)
def test_a_video_that_is_held_has_the_same_index_and_frames_bit_for_bit(folder, write_video, name):
    how, plannable = KINDS[name]
    path = str(write_video(folder / f'held_{name}', **how))
    held = hold_video(path)
    assert (held is not None) is plannable
    if held is None:
        return
    index = index_video(path)
    for field in dataclasses.fields(index):
        np.testing.assert_array_equal(getattr(held.index, field.name), getattr(index, field.name), field.name)
    inds = np.array([1, 11, 12, 13, 30, 47, 59])
    reference = list(stream_pyav(index, inds, (96, 128), 'bicubic'))
    np.testing.assert_array_equal(list(stream_pyav(held.index, inds, (96, 128), 'bicubic', held)), reference)


def test_a_held_video_is_closed_when_it_was_read_or_is_given_up(two_videos):
    path = str(two_videos / 'Videos/Abuse/Abuse001_x264.mp4')

    def times_open():
        gc.collect()
        links = (os.path.join('/proc/self/fd', number) for number in os.listdir('/proc/self/fd'))
        return sum(os.path.realpath(link) == os.path.realpath(path) for link in links)

    held = hold_video(path)
    assert times_open() == 1
    pictures = stream_pyav(held.index, np.arange(9), (48, 64), 'bicubic', held)
    next(pictures)
    pictures.close()
    assert times_open() == 0
    held = hold_video(path)
    assert times_open() == 1
    del held
    assert times_open() == 0


def test_large_files_and_folders_are_not_held(two_videos, tmp_path, monkeypatch):
    path = two_videos / 'Videos/Abuse/Abuse001_x264.mp4'
    assert hold_video(str(tmp_path)) is None
    monkeypatch.setattr(video_index, '_HELD_BYTES', path.stat().st_size - 1)
    assert hold_video(str(path)) is None


def test_edit_list_hides_frames(tmp_path, write_video, hide_beginning, numbers_in):
    path = write_video(tmp_path / 'edit.mp4', count=60, gop=20, b_frames=3)
    hide_beginning(path, 25, 60)
    assert index_video(str(path)).total_frames == 35
    assert numbers_in(read_frames(str(path), np.arange(35))) == list(range(25, 60))
    assert numbers_in(read_frames(str(path), np.array([0, 17, 34]))) == [25, 42, 59]


def test_frames_in_any_order_and_twice(two_videos, numbers_in):
    path = str(two_videos / 'Videos/Abuse/Abuse001_x264.mp4')
    assert numbers_in(read_frames(path, np.array([40, 3, 3, 59]), (60, 80))) == [40, 3, 3, 59]


def test_plan_decodes_only_what_is_needed(two_videos):
    index = index_video(str(two_videos / 'Videos/Abuse/Abuse001_x264.mp4'))
    keys = np.flatnonzero(index.packet_is_key)
    assert keys.tolist() == [0, 12, 24, 36, 48]
    feed = plan_packets(index, np.array([24]))
    assert np.flatnonzero(feed).tolist() == [24]
    feed = plan_packets(index, np.array([12, 59]))
    assert np.flatnonzero(feed).min() == 12
    assert not feed[13:48].any()


@pytest.mark.parametrize('name', ['h264_open_gop.mp4', 'hevc_open.mp4'])
def test_leading_pictures_bring_the_group_before(folder, write_video, name):
    path = write_video(folder / f'leading_{name}', **KINDS[name][0])
    index = index_video(str(path))
    keys = np.flatnonzero(index.packet_is_key)
    of_frame, pts = index.packet_of_frame, index.packet_pts
    leading = np.flatnonzero((of_frame > keys[2]) & (pts[of_frame] < pts[keys[2]]))
    assert len(leading), 'the file has no leading pictures'
    feed = plan_packets(index, leading[:1])
    assert feed[keys[1] : keys[2] + 1].all()
    assert not feed[: keys[1]].any()


def test_cut_files_are_damaged(tmp_path, write_video):
    for name, options in {
        'cut.mp4': dict(movflags='faststart'),
        'late_index.mp4': {},
        'cut.mkv': {},
        'cut.avi': {},
    }.items():
        path = write_video(tmp_path / name, gop=12, **options)
        content = path.read_bytes()
        path.write_bytes(content[: len(content) * 6 // 10])
        with pytest.raises(DamagedVideoError, match=name):
            read_frames(str(path), np.array([0]))


def test_a_matroska_file_without_packets_after_damage_is_damaged(tmp_path, write_video):
    """FFmpeg reads such a file as a shorter one; a file of the same bytes without damage is read."""
    path = write_video(tmp_path / 'noise.mkv', count=120, gop=12)
    content = bytearray(path.read_bytes())
    assert index_video(str(path)).total_frames == 120
    start = len(content) // 3
    content[start:] = np.random.default_rng(0).integers(0, 256, len(content) - start, dtype=np.uint8).tobytes()
    path.write_bytes(content)
    with pytest.raises(DamagedVideoError, match=r'noise\.mkv: damaged after \d\.\d s of \d\.\d s'):
        index_video(str(path))


def test_a_matroska_file_with_longer_sound_is_read(tmp_path):
    path = tmp_path / 'sound.mkv'
    with av.open(str(path), 'w') as out:
        picture, sound = out.add_stream('libx264', rate=25), out.add_stream('pcm_s16le', rate=8000)
        picture.width, picture.height, picture.pix_fmt = 64, 48, 'yuv420p'
        for _ in range(25):
            out.mux(picture.encode(av.VideoFrame.from_ndarray(np.zeros((48, 64, 3), np.uint8))))
        out.mux(picture.encode(None))
        second = av.AudioFrame.from_ndarray(np.zeros((1, 8000), np.int16), layout='mono')
        second.sample_rate = 8000
        for _ in range(5):
            second.pts = None
            out.mux(sound.encode(second))
    assert index_video(str(path)).total_frames == 25


def test_damage_in_the_middle_is_found_by_every_backend(tmp_path, write_video):
    path = write_video(tmp_path / 'noise.mp4', count=120, gop=12, movflags='faststart')
    content = bytearray(path.read_bytes())
    start = len(content) // 2
    content[start : start + 4000] = np.random.default_rng(0).integers(0, 256, 4000, dtype=np.uint8).tobytes()
    path.write_bytes(content[: len(path.read_bytes())])
    inds = np.arange(120)
    for backend in ('auto', 'opencv'):
        with pytest.raises(DamagedVideoError, match=r'noise\.mp4'):
            read_frames(str(path), inds, backend=backend)


@pytest.mark.parametrize(
    ('content', 'message'),
    [(b'', 'empty'), (b'not a video at all\n' * 50, 'not a video'), (b'\0' * 5000, 'not a video')],
)
def test_files_that_are_no_videos(tmp_path, content, message):
    path = tmp_path / 'fake.mp4'
    path.write_bytes(content)
    with pytest.raises(DamagedVideoError, match=rf'fake\.mp4: .*{message}'):
        read_frames(str(path), np.array([0]))
    assert issubclass(DamagedVideoError, DataError)


def test_a_playlist_named_mp4_opens_nothing_else(tmp_path, two_videos):
    path = tmp_path / 'list.mp4'
    path.write_text(f'ffconcat version 1.0\nfile {two_videos}/Videos/Abuse/Abuse001_x264.mp4\n')
    with pytest.raises(DamagedVideoError, match='list.mp4'):
        index_video(str(path))


def test_missing_file_unknown_names_and_frames_outside(two_videos):
    path = str(two_videos / 'Videos/Abuse/Abuse001_x264.mp4')
    with pytest.raises(MissingFileError, match='gone'):
        read_frames('gone.mp4', np.array([0]))
    with pytest.raises(ConfigError, match="no video backend 'avpy'. Known: auto, pyav, decord, opencv"):
        read_frames(path, np.array([0]), backend='avpy')
    with pytest.raises(ConfigError, match="no interpolation 'cubic'"):
        read_frames(path, np.array([0]), interpolation='cubic')
    with pytest.raises(ConfigError, match='frames 5 to 60 asked, but it has 60'):
        read_frames(path, np.array([5, 60]))
    with pytest.raises(ConfigError, match='no frames asked'):
        read_frames(path, np.array([], np.int64))


def test_a_changed_file_is_indexed_anew(tmp_path, write_video):
    path = tmp_path / 'v.mp4'
    write_video(path, count=10)
    assert index_video(str(path)).total_frames == 10
    write_video(path, count=12)
    assert index_video(str(path)).total_frames == 12


@pytest.mark.parametrize('backend', ['opencv', 'decord'])
def test_named_backends_return_the_right_frames_of_a_plain_file(two_videos, numbers_in, backend):
    if backend == 'decord':
        pytest.importorskip('decord')
    frames = read_frames(str(two_videos / 'Videos/Abuse/Abuse001_x264.mp4'), np.array([2, 30, 31]), (48, 64), backend)
    assert frames.shape == (3, 48, 64, 3)
    assert numbers_in(frames) == [2, 30, 31]


def test_decord_with_another_count_is_refused(tmp_path, write_video, hide_beginning):
    pytest.importorskip('decord')
    path = write_video(tmp_path / 'edit.mp4', gop=20, b_frames=3)
    hide_beginning(path, 25, 60)
    with pytest.raises(DataError, match=r"decord counts \d+ frames where the file shows 35. Use backend='auto'"):
        read_frames(str(path), np.array([0]), backend='decord')


def test_keyframes_are_known(two_videos):
    index = index_video(str(two_videos / 'Videos/Abuse/Abuse001_x264.mp4'))
    assert index.keyframe_inds.tolist() == [0, 12, 24, 36, 48]
    assert (index.height, index.width, index.fps) == (96, 128, 30)


@pytest.mark.parametrize('name', ['h264_refresh.mp4', 'h264_bframes.mp4', 'mpeg4.avi'])
def test_streamed_one_by_one_they_are_the_same(folder, write_video, numbers_in, name):
    """The refresh file's plan breaks after the first group, when frames have been handed out already."""
    index = index_video(str(write_video(folder / f'stream_{name}', **KINDS[name][0])))
    inds = np.array([2, 5, 30, 31, 58])
    pictures = list(stream_pyav(index, inds, (48, 64), 'bicubic'))
    assert numbers_in(pictures) == inds.tolist()
    np.testing.assert_array_equal(np.stack(pictures), read_frames(index, inds, (48, 64)))


@pytest.mark.parametrize(('ending', 'codec'), [('ts', 'libx264'), ('flv', 'flv'), ('wmv', 'wmv2'), ('avi', 'mpeg4')])
def test_times_are_those_of_the_file_in_containers_without_a_plan(tmp_path, write_video, numbers_in, ending, codec):
    """Oracle: the times at which the frames were written, with a gap of three seconds as a camera leaves it."""
    times = [i + 90 * (i >= 20) + 2 * (i >= 40) for i in range(60)]
    path = write_video(tmp_path / f'gap.{ending}', codec=codec, gop=20, times=times, b_frames=0)
    index = index_video(str(path))
    assert index.why_sequential
    np.testing.assert_allclose(index.frame_times, np.array(times) / 30, atol=1.1e-3)
    assert index.fps == pytest.approx(59 / (times[-1] / 30), rel=1e-3)
    assert numbers_in(read_frames(index, np.array([0, 19, 20, 59]))) == [0, 19, 20, 59]
    np.testing.assert_array_equal(index_video(str(path), count=False).frame_times, index.frame_times)


@pytest.mark.parametrize(('ending', 'codec'), [('ts', 'libx264'), ('flv', 'flv'), ('avi', 'mpeg4')])
def test_rounded_time_stamps_of_a_constant_rate_are_those_of_the_rate(tmp_path, write_video, ending, codec):
    path = write_video(tmp_path / f'even.{ending}', codec=codec, gop=20, b_frames=0 if codec == 'flv' else 2)
    index = index_video(str(path))
    assert index.fps == 30
    np.testing.assert_array_equal(index.frame_times, np.arange(60) / 30)


def test_a_program_stream_whose_clock_goes_back_has_a_constant_rate_and_says_so(tmp_path, write_video, monkeypatch):
    said = []
    monkeypatch.setattr(video_index, 'log', said.append)
    part = write_video(tmp_path / 'part.mpg', codec='mpeg2video', count=30, gop=10).read_bytes()
    (tmp_path / 'twice.mpg').write_bytes(part + part)
    index = index_video(str(tmp_path / 'twice.mpg'))
    np.testing.assert_array_equal(index.frame_times, np.arange(index.total_frames) / 30)
    assert 'twice.mpg: time stamps are missing or go back, so times are those of 30 frames per second' in said[0]


@pytest.mark.parametrize('ending', ['mp4', 'mp3'])
def test_a_cover_picture_is_not_a_video(tmp_path, ending):
    """Oracle: FFmpeg's flag of the stream in the file."""
    path = tmp_path / f'song.{ending}'
    with av.open(str(path), 'w') as out:
        sound = out.add_stream('aac' if ending == 'mp4' else 'mp3', rate=44100, layout='mono')
        cover = out.add_stream('mjpeg', rate=1)
        cover.width, cover.height, cover.pix_fmt = 64, 48, 'yuvj420p'
        cover.disposition = av.stream.Disposition.attached_pic
        frame = av.VideoFrame.from_ndarray(np.zeros((48, 64, 3), np.uint8), format='rgb24')
        out.mux(cover.encode(frame.reformat(format='yuvj420p')))
        out.mux(cover.encode(None))
        tone = av.AudioFrame.from_ndarray(np.zeros((1, 1152), np.float32), format='fltp', layout='mono')
        tone.sample_rate = 44100
        for part in range(4):
            tone.pts = 1152 * part
            out.mux(sound.encode(tone))
        out.mux(sound.encode(None))
    with av.open(str(path)) as file:
        assert file.streams.video[0].disposition & av.stream.Disposition.attached_pic
    with pytest.raises(DamagedVideoError, match='contains no video stream, only a cover picture'):
        index_video(str(path))
